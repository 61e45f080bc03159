/* Streams: data between a Unix socket and a connection of the engine's. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/stream_private.h"

#define LOG_SUBSYSTEM "stream"
#include "lib/log.h"

static struct stream *of_connection(struct vsock_connection *connection)
{
	return container_of(connection, struct stream, connection);
}

void stream_watch(struct stream *stream)
{
	uint32_t events = 0;

	/* After a hang-up the source is in no loop, because that would be reported again and again. */
	if (stream->source.fd < 0)
		return;
	if (stream->readable_wanted)
		events |= EPOLLIN;
	if (buffer_length(&stream->backlog) > 0)
		events |= EPOLLOUT;
	loop_change(stream->streams->loop, &stream->source, events);
}

/* ---- To the guest -------------------------------------------------------------------------------------------- */

static ssize_t stream_read(struct vsock_connection *connection, const struct iovec *parts, size_t count)
{
	ssize_t length = readv(of_connection(connection)->fd, parts, (int)count);

	if (length < 0 && errno == EINTR)
		return -EAGAIN;
	return length < 0 ? -errno : length;
}

static void stream_watch_readable(struct vsock_connection *connection, bool readable)
{
	struct stream *stream = of_connection(connection);

	stream->readable_wanted = readable;
	stream_watch(stream);
}

/* ---- From the guest ------------------------------------------------------------------------------------------ */

/* The socket's peer reads no more; whatever else comes is dropped. */
static void give_up_writing(struct stream *stream)
{
	stream->unread = true;
	buffer_consume(&stream->backlog, buffer_length(&stream->backlog));
	vsock_connection_unread(&stream->connection);
}

/* Like writev(2); everything counts as written where nobody reads it. */
static size_t write_some(struct stream *stream, const struct iovec *parts, size_t count, size_t size)
{
	ssize_t written = writev(stream->fd, parts, (int)count);

	if (written >= 0)
		return (size_t)written;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	give_up_writing(stream);
	return size;
}

static int keep(struct stream *stream, const struct iovec *parts, size_t count, size_t skip)
{
	for (size_t i = 0; i < count; i++) {
		size_t here = parts[i].iov_len;
		int status;

		if (here <= skip) {
			skip -= here;
			continue;
		}
		status = buffer_append(&stream->backlog, (const uint8_t *)parts[i].iov_base + skip, here - skip);
		if (status < 0)
			return status;
		skip = 0;
	}
	return 0;
}

static ssize_t stream_write(struct vsock_connection *connection, const struct iovec *parts, size_t count, size_t size)
{
	struct stream *stream = of_connection(connection);
	size_t written = 0;

	if (stream->unread)
		return (ssize_t)size;
	if (buffer_length(&stream->backlog) == 0)
		written = write_some(stream, parts, count, size);
	if (written == size)
		return (ssize_t)size;
	if (keep(stream, parts, count, written) < 0) {
		log_warning("no memory for what a client of port %u doesn't read", connection->peer_port);
		return -ENOMEM;
	}
	stream_watch(stream);
	return (ssize_t)written;
}

static void shut_socket(struct stream *stream)
{
	/* Fails where the peer is gone already, which is all the same. */
	shutdown(stream->fd, SHUT_WR);
}

static void stream_shut(struct vsock_connection *connection, unsigned int flags)
{
	struct stream *stream = of_connection(connection);

	if (flags & VSOCK_SHUTDOWN_RECEIVE)
		shutdown(stream->fd, SHUT_RD);
	if (!(flags & VSOCK_SHUTDOWN_SEND))
		return;
	if (buffer_length(&stream->backlog) > 0)
		stream->end_wanted = true;
	else
		shut_socket(stream);
}

static int connected(struct vsock_connection *connection)
{
	return stream_opened(of_connection(connection));
}

static void closed(struct vsock_connection *connection)
{
	stream_closed(of_connection(connection));
}

const struct vsock_stream_ops stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.watch = stream_watch_readable,
	.connected = connected,
	.shut = stream_shut,
	.closed = closed,
};

static void drain(struct stream *stream)
{
	size_t length = buffer_length(&stream->backlog), written;
	struct iovec part = {.iov_base = (void *)buffer_bytes(&stream->backlog), .iov_len = length};

	if (length == 0)
		return;
	written = write_some(stream, &part, 1, length);
	if (!stream->unread)
		buffer_consume(&stream->backlog, written);
	if (stream->state == STREAM_OPEN)
		vsock_connection_forwarded(&stream->connection, written);
	if (buffer_length(&stream->backlog) == 0 && stream->end_wanted)
		shut_socket(stream);
}

/* ---- The loop ------------------------------------------------------------------------------------------------ */

void stream_hung_up(struct stream *stream)
{
	loop_remove(stream->streams->loop, &stream->source);
	stream->unread = true;
	buffer_consume(&stream->backlog, buffer_length(&stream->backlog));
	vsock_connection_hung_up(&stream->connection);
}

void stream_ready(struct loop_source *source, uint32_t events)
{
	struct stream *stream = container_of(source, struct stream, source);

	if (events & EPOLLOUT)
		drain(stream);
	if (stream->state == STREAM_DRAINING) {
		if (buffer_length(&stream->backlog) == 0 || (events & (EPOLLHUP | EPOLLERR)))
			stream_free(stream);
		else
			stream_watch(stream);
		return;
	}
	stream_watch(stream);
	if (events & (EPOLLHUP | EPOLLERR)) {
		if (stream->state == STREAM_OPEN)
			stream_hung_up(stream);
		else
			stream_hung_up_early(stream);
	} else if (events & EPOLLIN) {
		stream_readable(stream);
	}
}
