/* Data between a Unix socket and a connection of the engine's. */
#include "lib/vsock_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"

#define LOG_SUBSYSTEM "vsock"
#include "lib/log.h"

/* syscalls: readv writev shutdown close */

static struct vsock_socket *of_connection(struct vsock_connection *connection)
{
	return container_of(connection, struct vsock_socket, connection);
}

void vsock_socket_watch(struct vsock_socket *socket)
{
	uint32_t events = 0;

	/* After a hang-up the source is in no loop, because that would be reported again and again. */
	if (socket->source.fd < 0)
		return;
	if (socket->readable_wanted)
		events |= EPOLLIN;
	if (buffer_length(&socket->backlog) > 0)
		events |= EPOLLOUT;
	loop_change(socket->loop, &socket->source, events);
}

/* ---- To the peer --------------------------------------------------------------------------------------------- */

static ssize_t read_socket(struct vsock_connection *connection, const struct iovec *parts, size_t count)
{
	ssize_t length = readv(of_connection(connection)->fd, parts, (int)count);

	if (length < 0 && errno == EINTR)
		return -EAGAIN;
	return length < 0 ? -errno : length;
}

void vsock_socket_watch_readable(struct vsock_socket *socket, bool readable)
{
	socket->readable_wanted = readable;
	vsock_socket_watch(socket);
}

static void watch_readable(struct vsock_connection *connection, bool readable)
{
	vsock_socket_watch_readable(of_connection(connection), readable);
}

/* ---- From the peer ------------------------------------------------------------------------------------------- */

void vsock_socket_unread(struct vsock_socket *socket)
{
	socket->unread = true;
	buffer_consume(&socket->backlog, buffer_length(&socket->backlog));
	vsock_connection_unread(&socket->connection);
}

/* Like writev(2); everything counts as written where nobody reads it. */
static size_t write_some(struct vsock_socket *socket, const struct iovec *parts, size_t count, size_t size)
{
	ssize_t written = writev(socket->fd, parts, (int)count);

	if (written >= 0)
		return (size_t)written;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	vsock_socket_unread(socket);
	return size;
}

static int keep(struct vsock_socket *socket, const struct iovec *parts, size_t count, size_t skip)
{
	for (size_t i = 0; i < count; i++) {
		size_t here = parts[i].iov_len;
		int status;

		if (here <= skip) {
			skip -= here;
			continue;
		}
		status = buffer_append(&socket->backlog, (const uint8_t *)parts[i].iov_base + skip, here - skip);
		if (status < 0)
			return status;
		skip = 0;
	}
	return 0;
}

static ssize_t write_socket(struct vsock_connection *connection, const struct iovec *parts, size_t count, size_t size)
{
	struct vsock_socket *socket = of_connection(connection);
	size_t written = 0;

	if (socket->unread)
		return (ssize_t)size;
	if (buffer_length(&socket->backlog) == 0)
		written = write_some(socket, parts, count, size);
	if (written == size)
		return (ssize_t)size;
	if (keep(socket, parts, count, written) < 0) {
		log_warning("no memory for what a client of port %u doesn't read", connection->peer_port);
		return -ENOMEM;
	}
	vsock_socket_watch(socket);
	return (ssize_t)written;
}

static void shut_socket(struct vsock_connection *connection, unsigned int flags)
{
	struct vsock_socket *socket = of_connection(connection);

	if (flags & VSOCK_SHUTDOWN_RECEIVE)
		shutdown(socket->fd, SHUT_RD);
	if (!(flags & VSOCK_SHUTDOWN_SEND))
		return;
	if (buffer_length(&socket->backlog) > 0)
		socket->end_wanted = true;
	else
		shutdown(socket->fd, SHUT_WR);
}

/* The socket can't be written any more, and has no other reader than the engine, who takes what is left in it. */
static void hung_up(struct vsock_socket *socket)
{
	loop_remove(socket->loop, &socket->source);
	socket->unread = true;
	buffer_consume(&socket->backlog, buffer_length(&socket->backlog));
	vsock_connection_hung_up(&socket->connection);
}

static int connected(struct vsock_connection *connection)
{
	struct vsock_socket *socket = of_connection(connection);
	int status;

	socket->early = false;
	status = socket->ops->connected(socket);
	if (status == 0 && socket->source.fd < 0)
		hung_up(socket);
	return status;
}

static void closed(struct vsock_connection *connection)
{
	struct vsock_socket *socket = of_connection(connection);

	if (socket->early) {
		socket->ops->refused(socket);
		return;
	}
	socket->draining = true;
	socket->readable_wanted = false;
	if (buffer_length(&socket->backlog) == 0)
		socket->ops->ended(socket);
	else
		vsock_socket_watch(socket);
}

const struct vsock_stream_ops vsock_socket_stream_ops = {
	.read = read_socket,
	.write = write_socket,
	.watch = watch_readable,
	.connected = connected,
	.shut = shut_socket,
	.closed = closed,
};

static void drain(struct vsock_socket *socket)
{
	size_t length = buffer_length(&socket->backlog), written;
	struct iovec part = {.iov_base = (void *)buffer_bytes(&socket->backlog), .iov_len = length};

	if (length == 0)
		return;
	written = write_some(socket, &part, 1, length);
	if (!socket->unread)
		buffer_consume(&socket->backlog, written);
	if (!socket->draining)
		vsock_connection_forwarded(&socket->connection, written);
	if (buffer_length(&socket->backlog) == 0 && socket->end_wanted)
		shutdown(socket->fd, SHUT_WR);
}

/* ---- The loop ------------------------------------------------------------------------------------------------ */

static void left_early(struct vsock_socket *socket)
{
	loop_remove(socket->loop, &socket->source);
	socket->ops->left(socket);
}

static void ready(struct loop_source *source, uint32_t events)
{
	struct vsock_socket *socket = container_of(source, struct vsock_socket, source);
	bool over = events & (EPOLLHUP | EPOLLERR);

	if (events & EPOLLOUT)
		socket->drain(socket);
	if (socket->draining && (over || buffer_length(&socket->backlog) == 0)) {
		socket->ops->ended(socket);
		return;
	}
	vsock_socket_watch(socket);
	if (socket->draining)
		return;
	if (over && socket->early)
		left_early(socket);
	else if (over)
		hung_up(socket);
	else if ((events & EPOLLIN) && socket->early)
		socket->ops->readable(socket);
	else if (events & EPOLLIN)
		vsock_connection_readable(&socket->connection);
}

int vsock_socket_open(struct vsock_socket *socket, struct vsock_engine *engine, int fd, bool early,
		      const struct vsock_socket_ops *ops)
{
	int status;

	*socket = (struct vsock_socket){
		.connection.ops = &vsock_socket_stream_ops,
		.ops = ops,
		.drain = drain,
		.loop = engine->loop,
		.fd = fd,
		.early = early,
	};
	buffer_init(&socket->backlog, engine->buffer);
	status = loop_add(socket->loop, &socket->source, fd, 0, ready);
	if (status < 0)
		fd_close(&socket->fd);
	return status;
}

int vsock_socket_connect(struct vsock_socket *socket, struct vsock_engine *engine, uint32_t port)
{
	return vsock_engine_connect(engine, &socket->connection, socket->connection.ops, port);
}

void vsock_socket_close(struct vsock_socket *socket)
{
	vsock_connection_abort(&socket->connection);
	loop_remove(socket->loop, &socket->source);
	/* A child may have it, too, and its peer is to see the end. */
	shutdown(socket->fd, SHUT_RDWR);
	fd_close(&socket->fd);
	buffer_free(&socket->backlog);
}
