/* Connections of the proxy's own. */
#include "proxy/dial.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

/* syscalls: socketpair sendto recvfrom close */

static void dial_ready(struct loop_source *source, uint32_t events)
{
	struct dial *dial = container_of(source, struct dial, source);
	int status = line_read(&dial->line, dial->fd);
	uint32_t port = 0;
	int fd;

	(void)events;
	if (status == 0)
		return;
	loop_remove(dial->loop, &dial->source);
	fd = take_fd(&dial->fd);
	if (status < 0 || line_number(&dial->line, "OK", &port) < 0)
		fd_close(&fd);
	dial->done(dial, fd, port);
}

int dial_pair(struct streams *streams, enum stream_origin origin, uint32_t port)
{
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	status = streams_serve(streams, pair[1], origin, port);
	if (status < 0) {
		fd_close(&pair[0]);
		return status;
	}
	return pair[0];
}

int dial_start(struct dial *dial, struct loop *loop, struct streams *streams, uint32_t port,
	       void (*done)(struct dial *dial, int fd, uint32_t host_port))
{
	char request[LINE_SIZE];
	int length = snprintf(request, sizeof(request), "CONNECT %u\n", port);
	int status;

	*dial = (struct dial){.loop = loop, .source.fd = -1, .done = done};
	dial->fd = dial_pair(streams, STREAM_PORT, 0);
	if (dial->fd < 0) {
		status = dial->fd;
		dial->fd = -1;
		return status;
	}
	status = send(dial->fd, request, (size_t)length, MSG_NOSIGNAL) == length
			 ? loop_add(loop, &dial->source, dial->fd, EPOLLIN, dial_ready)
			 : -EPIPE;
	if (status < 0)
		fd_close(&dial->fd);
	return status;
}

void dial_stop(struct dial *dial)
{
	if (dial->fd < 0)
		return;
	loop_remove(dial->loop, &dial->source);
	fd_close(&dial->fd);
}
