/* Streams: opening them (the handshake, asking the guest, asking again), and their end. */
#include "proxy/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "proxy/message_socket.h"

#define LOG_SUBSYSTEM "stream"
#include "lib/log.h"

/* syscalls: sendto getsockopt setsockopt */

#define RETRY_FIRST (5 * LOOP_MILLISECOND)
#define RETRY_LAST (50 * LOOP_MILLISECOND)

static void timer_expired(struct loop_timer *timer);

static struct stream *of_socket(struct vsock_socket *socket)
{
	return container_of(socket, struct stream, socket);
}

enum stream_state stream_state(const struct stream *stream)
{
	if (stream->socket.early)
		return stream->step;
	return stream->socket.draining ? STREAM_DRAINING : STREAM_OPEN;
}

void streams_init(struct streams *streams, struct loop *loop, struct vsock_engine *engine,
		  void (*agent_opened)(struct streams *streams))
{
	*streams = (struct streams){
		.loop = loop, .engine = engine, .limits = STREAMS_LIMITS, .agent_opened = agent_opened};
	list_init(&streams->all);
}

static size_t *count_of(struct streams *streams, enum stream_origin origin)
{
	return origin == STREAM_GUEST ? &streams->from_guest : &streams->from_host;
}

static void stream_free(struct stream *stream)
{
	struct streams *streams = stream->streams;

	message_socket_free(&stream->socket);
	vsock_socket_close(&stream->socket);
	loop_timer_clear(streams->loop, &stream->timer);
	list_remove(&stream->link);
	*count_of(streams, stream->origin) -= 1;
	free(stream);
	if (list_empty(&streams->all) && streams->emptied)
		streams->emptied(streams);
}

/* So that all which the guest may send at once goes to the client without a copy of it being kept. The kernel doubles the
 * number for its own needs, and cuts what is over its limit: that costs copies and nothing else. */
static void widen(const struct streams *streams, int fd)
{
	int size = (int)streams->engine->buffer, now = 0;
	socklen_t length = sizeof(now);

	/* What it says is doubled, too. */
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &now, &length) == 0 && now / 2 < size)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static const struct vsock_socket_ops socket_ops;

static struct stream *stream_new(struct streams *streams, int fd, enum stream_origin origin)
{
	size_t *count = count_of(streams, origin);
	size_t limit = origin == STREAM_GUEST ? streams->limits.from_guest : streams->limits.from_host;
	int (*open)(struct vsock_socket *, struct vsock_engine *, int, bool, const struct vsock_socket_ops *) =
		message_socket_is(fd) ? message_socket_open : vsock_socket_open;
	struct stream *stream = *count < limit ? calloc(1, sizeof(*stream)) : NULL;

	if (!stream) {
		log_limited(LOG_WARNING, "no room for a connection beside %zu others", *count);
		fd_close(&fd);
		return NULL;
	}
	if (open(&stream->socket, streams->engine, fd, origin != STREAM_GUEST, &socket_ops) < 0) {
		free(stream);
		return NULL;
	}
	widen(streams, fd);
	stream->streams = streams;
	stream->origin = origin;
	list_append(&streams->all, &stream->link);
	*count += 1;
	return stream;
}

/* ---- Connecting ---------------------------------------------------------------------------------------------- */

static void wait_until_next(struct stream *stream)
{
	stream->step = STREAM_WAITING;
	loop_timer_set(stream->streams->loop, &stream->timer, stream->retry_delay, timer_expired);
	stream->retry_delay = stream->retry_delay * 2 < RETRY_LAST ? stream->retry_delay * 2 : RETRY_LAST;
}

/* Without a driver in the guest, agent clients wait for streams_started(); others are refused, as by a VMM. */
static void ask_guest(struct stream *stream)
{
	struct streams *streams = stream->streams;

	stream->step = STREAM_CONNECTING;
	if (vsock_socket_connect(&stream->socket, streams->engine, stream->port) == 0) {
		loop_timer_set(streams->loop, &stream->timer, streams->limits.handshake_time, timer_expired);
		return;
	}
	stream->step = STREAM_WAITING;
	if (stream->origin != STREAM_AGENT)
		stream_free(stream);
}

static void timer_expired(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, timer);

	if (stream->step == STREAM_WAITING) {
		ask_guest(stream);
	} else if (stream->step == STREAM_CONNECTING && stream->origin == STREAM_AGENT) {
		vsock_connection_abort(&stream->socket.connection);
		ask_guest(stream);
	} else {
		stream_free(stream);
	}
}

static int connected(struct vsock_socket *socket)
{
	struct stream *stream = of_socket(socket);
	char answer[LINE_SIZE];
	int length;

	loop_timer_clear(stream->streams->loop, &stream->timer);
	if (stream->origin == STREAM_AGENT)
		stream->streams->agent_opened(stream->streams);
	if (stream->origin != STREAM_PORT)
		return 0;
	length = snprintf(answer, sizeof(answer), "OK %u\n", socket->connection.known_port);
	/* Nothing has been written to this socket yet, so the line fits, unless the client is gone. */
	return send(socket->fd, answer, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) == length ? 0 : -EPIPE;
}

static void refused(struct vsock_socket *socket)
{
	struct stream *stream = of_socket(socket);

	if (stream->origin == STREAM_AGENT)
		wait_until_next(stream);
	else
		stream_free(stream);
}

static void ended(struct vsock_socket *socket)
{
	stream_free(of_socket(socket));
}

/* ---- The handshake: "CONNECT port\n" ------------------------------------------------------------------------- */

static void readable(struct vsock_socket *socket)
{
	struct stream *stream = of_socket(socket);
	int status = line_read(&stream->line, socket->fd);

	if (status == 0)
		return;
	if (status < 0 || line_number(&stream->line, "CONNECT", &stream->port) < 0) {
		log_debug("a client of vsock.sock without a valid CONNECT line");
		stream_free(stream);
		return;
	}
	vsock_socket_watch_readable(socket, false);
	ask_guest(stream);
}

/* A client of a forward may only have wanted to say something. */
static void left(struct vsock_socket *socket)
{
	struct stream *stream = of_socket(socket);

	if (stream->origin != STREAM_FORWARD)
		stream_free(stream);
}

static const struct vsock_socket_ops socket_ops = {
	.readable = readable,
	.left = left,
	.connected = connected,
	.refused = refused,
	.ended = ended,
};

/* ---- All of them --------------------------------------------------------------------------------------------- */

int streams_serve(struct streams *streams, int fd, enum stream_origin origin, uint32_t port)
{
	struct stream *stream = stream_new(streams, fd, origin);

	if (!stream)
		return -ENFILE;
	stream->retry_delay = RETRY_FIRST;
	stream->port = port;
	if (origin != STREAM_PORT) {
		ask_guest(stream);
		return 0;
	}
	stream->step = STREAM_HANDSHAKE;
	vsock_socket_watch_readable(&stream->socket, true);
	loop_timer_set(streams->loop, &stream->timer, streams->limits.handshake_time, timer_expired);
	return 0;
}

struct vsock_connection *streams_accept(struct streams *streams, int fd)
{
	struct stream *stream = stream_new(streams, fd, STREAM_GUEST);

	return stream ? &stream->socket.connection : NULL;
}

void streams_started(struct streams *streams)
{
	struct list *link = streams->all.next;

	while (link != &streams->all) {
		struct stream *stream = container_of(link, struct stream, link);

		link = link->next;
		if (stream_state(stream) == STREAM_WAITING && stream->timer.deadline == 0)
			ask_guest(stream);
	}
}

void streams_finish(struct streams *streams, void (*emptied)(struct streams *streams))
{
	struct list *link = streams->all.next;

	if (link == &streams->all) {
		emptied(streams);
		return;
	}
	streams->emptied = emptied;
	while (link != &streams->all) {
		struct stream *stream = container_of(link, struct stream, link);

		link = link->next;
		if (!stream->socket.draining)
			stream_free(stream);
	}
}

void streams_destroy(struct streams *streams)
{
	streams->emptied = NULL;
	while (!list_empty(&streams->all))
		stream_free(container_of(streams->all.next, struct stream, link));
}
