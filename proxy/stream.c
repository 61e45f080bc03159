/* Streams: opening them (the handshake, asking the guest, asking again), and their end. Data is moved in
 * stream_data.c.
 */
#include "proxy/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "proxy/stream_private.h"

#define LOG_SUBSYSTEM "stream"
#include "lib/log.h"

#define RETRY_FIRST (5 * LOOP_MILLISECOND)
#define RETRY_LAST (50 * LOOP_MILLISECOND)

static void timer_expired(struct loop_timer *timer);

void streams_init(struct streams *streams, struct loop *loop, struct vsock_engine *engine,
		  void (*agent_opened)(struct streams *streams))
{
	*streams = (struct streams){
		.loop = loop, .engine = engine, .limits = STREAMS_LIMITS, .agent_opened = agent_opened};
	list_init(&streams->all);
}

void stream_free(struct stream *stream)
{
	struct streams *streams = stream->streams;

	vsock_connection_abort(&stream->connection);
	loop_timer_clear(streams->loop, &stream->timer);
	loop_remove(streams->loop, &stream->source);
	fd_close(&stream->fd);
	buffer_free(&stream->backlog);
	list_remove(&stream->link);
	*(stream->origin == STREAM_GUEST ? &streams->from_guest : &streams->from_host) -= 1;
	free(stream);
	if (list_empty(&streams->all) && streams->emptied)
		streams->emptied(streams);
}

static struct stream *stream_new(struct streams *streams, int fd, enum stream_origin origin)
{
	size_t *count = origin == STREAM_GUEST ? &streams->from_guest : &streams->from_host;
	size_t limit = origin == STREAM_GUEST ? streams->limits.from_guest : streams->limits.from_host;
	struct stream *stream = *count < limit ? calloc(1, sizeof(*stream)) : NULL;

	if (!stream) {
		log_warning("no room for a connection beside %zu others", *count);
		fd_close(&fd);
		return NULL;
	}
	stream->streams = streams;
	stream->origin = origin;
	stream->fd = fd;
	stream->connection.ops = &stream_ops;
	buffer_init(&stream->backlog, streams->engine->buffer);
	list_append(&streams->all, &stream->link);
	*count += 1;
	if (loop_add(streams->loop, &stream->source, fd, 0, stream_ready) < 0) {
		stream_free(stream);
		return NULL;
	}
	return stream;
}

/* ---- Connecting ---------------------------------------------------------------------------------------------- */

static void wait_until_next(struct stream *stream)
{
	stream->state = STREAM_WAITING;
	loop_timer_set(stream->streams->loop, &stream->timer, stream->retry_delay, timer_expired);
	stream->retry_delay = stream->retry_delay * 2 < RETRY_LAST ? stream->retry_delay * 2 : RETRY_LAST;
}

/* Without a driver in the guest, agent clients wait for streams_started(); others are refused, as by a VMM. */
static void ask_guest(struct stream *stream)
{
	struct streams *streams = stream->streams;

	stream->state = STREAM_CONNECTING;
	if (vsock_engine_connect(streams->engine, &stream->connection, &stream_ops, stream->port) == 0) {
		loop_timer_set(streams->loop, &stream->timer, streams->limits.handshake_time, timer_expired);
		return;
	}
	stream->state = STREAM_WAITING;
	if (stream->origin != STREAM_AGENT)
		stream_free(stream);
}

static void timer_expired(struct loop_timer *timer)
{
	struct stream *stream = container_of(timer, struct stream, timer);

	if (stream->state == STREAM_WAITING) {
		ask_guest(stream);
	} else if (stream->state == STREAM_CONNECTING && stream->origin == STREAM_AGENT) {
		vsock_connection_abort(&stream->connection);
		ask_guest(stream);
	} else {
		stream_free(stream);
	}
}

int stream_opened(struct stream *stream)
{
	char answer[LINE_SIZE];
	int length;

	loop_timer_clear(stream->streams->loop, &stream->timer);
	stream->state = STREAM_OPEN;
	if (stream->origin == STREAM_AGENT)
		stream->streams->agent_opened(stream->streams);
	if (stream->source.fd < 0)
		stream_hung_up(stream);
	if (stream->origin != STREAM_PORT)
		return 0;
	length = snprintf(answer, sizeof(answer), "OK %u\n", stream->connection.known_port);
	/* Nothing has been written to this socket yet, so the line fits, unless the client is gone. */
	return send(stream->fd, answer, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT) == length ? 0 : -EPIPE;
}

void stream_closed(struct stream *stream)
{
	if (stream->state == STREAM_CONNECTING && stream->origin == STREAM_AGENT) {
		wait_until_next(stream);
		return;
	}
	if (buffer_length(&stream->backlog) == 0) {
		stream_free(stream);
		return;
	}
	stream->state = STREAM_DRAINING;
	stream->readable_wanted = false;
	stream_watch(stream);
}

/* ---- The handshake: "CONNECT port\n" ------------------------------------------------------------------------- */

static void go_on_with_handshake(struct stream *stream)
{
	int status = line_read(&stream->line, stream->fd);

	if (status == 0)
		return;
	if (status < 0 || line_number(&stream->line, "CONNECT", &stream->port) < 0) {
		log_debug("a client of vsock.sock without a valid CONNECT line");
		stream_free(stream);
		return;
	}
	stream->readable_wanted = false;
	stream_watch(stream);
	ask_guest(stream);
}

void stream_hung_up_early(struct stream *stream)
{
	/* A client that only wanted to say something: what it has written goes to the guest when that has accepted. */
	if (stream->origin == STREAM_FORWARD)
		loop_remove(stream->streams->loop, &stream->source);
	else
		stream_free(stream);
}

void stream_readable(struct stream *stream)
{
	if (stream->state == STREAM_HANDSHAKE)
		go_on_with_handshake(stream);
	else if (stream->state == STREAM_OPEN)
		vsock_connection_readable(&stream->connection);
}

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
	stream->state = STREAM_HANDSHAKE;
	stream->readable_wanted = true;
	stream_watch(stream);
	loop_timer_set(streams->loop, &stream->timer, streams->limits.handshake_time, timer_expired);
	return 0;
}

struct vsock_connection *streams_accept(struct streams *streams, int fd)
{
	struct stream *stream = stream_new(streams, fd, STREAM_GUEST);

	if (!stream)
		return NULL;
	stream->state = STREAM_OPEN;
	return &stream->connection;
}

void streams_started(struct streams *streams)
{
	struct list *link = streams->all.next;

	while (link != &streams->all) {
		struct stream *stream = container_of(link, struct stream, link);

		link = link->next;
		if (stream->state == STREAM_WAITING && stream->timer.deadline == 0)
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
		if (stream->state != STREAM_DRAINING)
			stream_free(stream);
	}
}

void streams_destroy(struct streams *streams)
{
	streams->emptied = NULL;
	while (!list_empty(&streams->all))
		stream_free(container_of(streams->all.next, struct stream, link));
}
