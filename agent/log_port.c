/* From the pipe to the connection, by splice(2). */
#define LOG_SUBSYSTEM "log"
#include "agent/log_port.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define CHUNK 65536
#define STORED "log.reader"

static void reader_gone(struct log_port *port)
{
	int fd = port->reader.fd;

	loop_change(port->loop, &port->lines, 0);
	loop_remove(port->loop, &port->reader);
	supervisor_drop(port->supervisor, STORED);
	close(fd);
}

/* One piece: there is the agent's other work too. */
static void pump(struct log_port *port)
{
	int waiting = 0;

	if (splice(port->lines.fd, NULL, port->reader.fd, NULL, CHUNK, SPLICE_F_NONBLOCK) >= 0)
		return;
	if (errno != EAGAIN && errno != EINTR) {
		reader_gone(port);
		return;
	}
	/* Either there is nothing, or the reader takes nothing: splice(2) says the same of both. */
	ioctl(port->lines.fd, FIONREAD, &waiting);
	loop_change(port->loop, &port->lines, waiting > 0 ? 0 : EPOLLIN);
	loop_change(port->loop, &port->reader, waiting > 0 ? EPOLLOUT : 0);
}

static void lines_ready(struct loop_source *source, uint32_t events)
{
	(void)events;
	pump(container_of(source, struct log_port, lines));
}

/* It is gone when it has closed both ways: what it says is nothing to us. */
static void reader_ready(struct loop_source *source, uint32_t events)
{
	struct log_port *port = container_of(source, struct log_port, reader);

	if (events & (EPOLLHUP | EPOLLERR))
		reader_gone(port);
	else
		pump(port);
}

void log_port_accept(struct log_port *port, int fd)
{
	if (port->reader.fd >= 0 || loop_add(port->loop, &port->reader, fd, EPOLLOUT, reader_ready) < 0) {
		close(fd);
		return;
	}
	supervisor_store(port->supervisor, STORED, fd);
}

int log_port_open(struct log_port *port, struct loop *loop, struct supervisor *supervisor, struct error *error)
{
	cleanup_close int from = -1, to = -1;
	int ends[2], reader, status;

	*port = (struct log_port){.loop = loop, .supervisor = supervisor, .lines.fd = -1, .reader.fd = -1};
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(error, errno, "make a pipe for the log");
	from = ends[0];
	to = ends[1];
	status = loop_add(loop, &port->lines, from, 0, lines_ready);
	if (status == 0 && dup2(to, STDERR_FILENO) < 0)
		status = -errno;
	if (status < 0) {
		loop_remove(loop, &port->lines);
		return error_errno(error, -status, "send the log to a pipe");
	}
	take_fd(&from);
	reader = supervisor_take(supervisor, STORED);
	if (reader >= 0)
		log_port_accept(port, reader);
	return 0;
}
