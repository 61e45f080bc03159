/* Reading, and resting. */
#include "runtime/conduit.h"

#include <errno.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define CHUNK 65536u

static void end(struct conduit *conduit)
{
	conduit_close(conduit);
	conduit->ended(conduit);
}

static void readable(struct loop_source *source, uint32_t events)
{
	struct conduit *conduit = container_of(source, struct conduit, source);
	char bytes[CHUNK];
	ssize_t count = recv(conduit->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		end(conduit);
		return;
	}
	stdio_write(conduit->stdio, conduit->stream, bytes, (size_t)count);
	if (stdio_pending(conduit->stdio, conduit->stream))
		loop_remove(conduit->loop, source);
}

int conduit_open(struct conduit *conduit, struct loop *loop, int fd, struct stdio *stdio, unsigned stream)
{
	conduit->loop = loop;
	conduit->stdio = stdio;
	conduit->stream = stream;
	conduit->fd = fd;
	return loop_add(loop, &conduit->source, fd, EPOLLIN, readable);
}

void conduit_resume(struct conduit *conduit)
{
	if (conduit->fd >= 0 && conduit->source.fd < 0 &&
	    loop_add(conduit->loop, &conduit->source, conduit->fd, EPOLLIN, readable) < 0)
		end(conduit);
}

void conduit_close(struct conduit *conduit)
{
	if (!conduit->loop || conduit->fd < 0)
		return;
	loop_remove(conduit->loop, &conduit->source);
	fd_close(&conduit->fd);
}
