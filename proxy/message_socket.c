/* Messages between a Unix socket and vsock: taking them apart, and putting them together. */
#include "proxy/message_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/cleanup.h"

#define LOG_SUBSYSTEM "message"
#include "lib/log.h"

/* syscalls: recvmsg sendmsg getsockopt setsockopt shutdown close */

/* A backlog holds messages, each behind its size: with messages of one byte that is five times what they are. */
#define BACKLOG_FACTOR 5

struct messages {
	struct buffer partial; /* of the peer's message, as far as it has come */
	uint8_t *out;	       /* the rest of one for the peer, which had no room for all of it; or NULL */
	size_t out_size, out_sent;
};

static struct vsock_socket *of_connection(struct vsock_connection *connection)
{
	return container_of(connection, struct vsock_socket, connection);
}

/* ---- To the peer --------------------------------------------------------------------------------------------- */

static ssize_t receive(int fd, const struct iovec *parts, size_t count, int flags)
{
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
	ssize_t length = recvmsg(fd, &message, flags | MSG_DONTWAIT);

	if (length < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return length;
}

static ssize_t read_rest(struct vsock_connection *connection, struct messages *own, const struct iovec *parts, size_t count)
{
	size_t here = iovec_write(parts, count, own->out + own->out_sent, own->out_size - own->out_sent);

	own->out_sent += here;
	connection->end_of_message = own->out_sent == own->out_size;
	if (connection->end_of_message)
		free(take_pointer(&own->out));
	return (ssize_t)here;
}

/* Nothing of it is passed on, and nothing after it. */
static ssize_t refuse(struct vsock_socket *socket, size_t size)
{
	log_limited(LOG_WARNING, "a message of %zu bytes is too long for the guest's port %u", size,
		    socket->connection.peer_port);
	shutdown(socket->fd, SHUT_RD);
	return -EMSGSIZE;
}

static ssize_t read_message(struct vsock_connection *connection, const struct iovec *parts, size_t count)
{
	struct vsock_socket *socket = of_connection(connection);
	struct messages *own = socket->messages;
	ssize_t size;

	if (own->out)
		return read_rest(connection, own, parts, count);
	size = receive(socket->fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	if (size <= 0)
		return size;
	if ((size_t)size > connection->peer_buffer || (size_t)size > connection->engine->buffer)
		return refuse(socket, (size_t)size);
	connection->end_of_message = true;
	if ((size_t)size <= iovec_size(parts, count))
		return receive(socket->fd, parts, count, 0);
	own->out = malloc((size_t)size);
	if (!own->out)
		return -ENOMEM;
	size = receive(socket->fd, &(struct iovec){.iov_base = own->out, .iov_len = (size_t)size}, 1, 0);
	if (size <= 0) {
		free(take_pointer(&own->out));
		return size;
	}
	own->out_size = (size_t)size;
	own->out_sent = 0;
	return read_rest(connection, own, parts, count);
}

/* ---- From the peer ------------------------------------------------------------------------------------------- */

/* False where it has to wait. A message that isn't taken for another reason ends the direction. */
static bool send_message(struct vsock_socket *socket, struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};

	if (sendmsg(socket->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	if (errno == EAGAIN || errno == EINTR)
		return false;
	if (errno == EMSGSIZE)
		log_limited(LOG_WARNING, "a message of %zu bytes from the guest's port %u is too long for its reader",
			    iovec_size(parts, count), socket->connection.peer_port);
	vsock_socket_unread(socket);
	return true;
}

static int append(struct buffer *buffer, const struct iovec *parts, size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		status = buffer_append(buffer, parts[i].iov_base, parts[i].iov_len);
	return status;
}

static int keep(struct vsock_socket *socket, const struct iovec *parts, size_t count, uint32_t size)
{
	int status = buffer_append(&socket->backlog, &size, sizeof(size));

	if (status == 0)
		status = append(&socket->backlog, parts, count);
	vsock_socket_watch(socket);
	return status;
}

static ssize_t write_message(struct vsock_connection *connection, const struct iovec *parts, size_t count, size_t size)
{
	struct vsock_socket *socket = of_connection(connection);
	struct messages *own = socket->messages;
	struct iovec whole[IOVEC_MAX];
	size_t first = buffer_length(&own->partial), pieces = count;

	if (socket->unread)
		return (ssize_t)size;
	/* Of one piece as it comes, of more than one after it has been put together. */
	if (!connection->end_of_message || first > 0) {
		if (append(&own->partial, parts, count) < 0)
			return -ENOMEM;
		whole[0] = (struct iovec){.iov_base = (void *)buffer_bytes(&own->partial), .iov_len = first + size};
		pieces = 1;
	} else {
		memcpy(whole, parts, count * sizeof(*parts));
	}
	if (!connection->end_of_message || first + size == 0)
		return 0;
	if (buffer_length(&socket->backlog) > 0 || !send_message(socket, whole, pieces)) {
		if (keep(socket, whole, pieces, (uint32_t)(first + size)) < 0)
			return -ENOMEM;
		size = 0;
	} else {
		size += first;
	}
	buffer_consume(&own->partial, buffer_length(&own->partial));
	return (ssize_t)size;
}

static void drain(struct vsock_socket *socket)
{
	while (buffer_length(&socket->backlog) > 0) {
		struct iovec part;
		uint32_t size;

		memcpy(&size, buffer_bytes(&socket->backlog), sizeof(size));
		part = (struct iovec){.iov_base = (void *)(buffer_bytes(&socket->backlog) + sizeof(size)), .iov_len = size};
		if (!send_message(socket, &part, 1) || socket->unread)
			return;
		buffer_consume(&socket->backlog, sizeof(size) + size);
		if (!socket->draining)
			vsock_connection_forwarded(&socket->connection, size);
	}
	if (socket->end_wanted)
		shutdown(socket->fd, SHUT_WR);
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static const struct vsock_stream_ops *message_ops(void)
{
	static struct vsock_stream_ops ops;

	ops = vsock_socket_stream_ops;
	ops.messages = true;
	ops.read = read_message;
	ops.write = write_message;
	return &ops;
}

bool message_socket_is(int fd)
{
	int type;
	socklen_t length = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

int message_socket_open(struct vsock_socket *socket, struct vsock_engine *engine, int fd, bool early,
			const struct vsock_socket_ops *ops)
{
	int room = engine->buffer < INT32_MAX ? (int)engine->buffer : INT32_MAX;
	struct messages *own = calloc(1, sizeof(*own));
	int status = vsock_socket_open(socket, engine, fd, early, ops);

	if (status == 0 && !own) {
		vsock_socket_close(socket);
		status = -ENOMEM;
	}
	if (status < 0) {
		free(own);
		return status;
	}
	/* What the kernel takes as one message; where it doesn't take as much, messages have to be shorter. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	buffer_init(&own->partial, engine->buffer);
	socket->backlog.limit = (size_t)engine->buffer * BACKLOG_FACTOR;
	socket->messages = own;
	socket->connection.ops = message_ops();
	socket->drain = drain;
	return 0;
}

void message_socket_free(struct vsock_socket *socket)
{
	struct messages *own = socket->messages;

	if (!own)
		return;
	buffer_free(&own->partial);
	free(own->out);
	free(own);
	socket->messages = NULL;
}
