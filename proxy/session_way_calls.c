/* The way by the protocol's calls, for any agent: one ReadStdout, ReadStderr and WriteStdin at a time. What an answer had that was
 * cut off is lost, so then the streams end. */
#include <errno.h>
#include <stdlib.h>

#include "agent.pb-c.h"
#include "health_service.pb-c.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "proxy/agent_methods.h"
#include "proxy/session.h"

#define CALL_SIZE 32768u

struct calls_way {
	bool busy[RING_STREAMS];
	uint32_t asked[RING_STREAMS]; /* bytes */
	/* Of an answer: what there is no room for any more, as somebody who must miss nothing has been attached meanwhile. */
	struct buffer left[RING_STREAMS];
	bool over[RING_STREAMS]; /* behind that nothing comes */
	bool close_sent;
};

static struct calls_way *way_of(const struct session *session)
{
	return session->way_data;
}

static void advance(struct session_stream *stream);

/* ---- Output -------------------------------------------------------------------------------------------------- */

static size_t copy_output(const struct iovec parts[2], size_t room, const uint8_t *data, size_t length)
{
	size_t done = 0;

	if (length > room)
		length = room;
	for (unsigned int i = 0; i < 2 && done < length; i++) {
		size_t here = parts[i].iov_len < length - done ? parts[i].iov_len : length - done;

		memcpy(parts[i].iov_base, data + done, here);
		done += here;
	}
	return done;
}

/* True where nothing is left. A reader that goes by what comes here leads back to this. */
static bool keep_left(struct session_stream *stream)
{
	struct calls_way *way = way_of(stream->session);
	struct buffer *left = &way->left[stream->number];

	while (buffer_length(left) > 0) {
		struct iovec parts[2];
		size_t room = session_output_room(stream, parts);
		size_t count = copy_output(parts, room, buffer_bytes(left), buffer_length(left));

		if (count == 0)
			return false;
		buffer_consume(left, count);
		session_output_came(stream, count);
	}
	if (way->over[stream->number])
		session_stream_end(stream);
	return true;
}

static void read_answered(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	const Grpc__ReadStreamResponse *response = (const void *)result->response;
	struct session_stream *stream = &session->streams[number];
	struct calls_way *way = way_of(session);

	way->busy[number] = false;
	if (session_stream_ended(stream))
		return;
	if (result->code == TTRPC_UNAVAILABLE) {
		session_stream_fail(stream, "the agent can't be reached");
	} else if (result->code != TTRPC_OK && !session->record->opened) {
		session_open_failed(session, result->code, result->message);
	} else if (result->code != TTRPC_OK) {
		session_stream_fail(stream, "%s", result->message);
	} else if (response->data.len > way->asked[number]) {
		session_stream_fail(stream, "%zu bytes have come where %u were asked for", response->data.len,
				    way->asked[number]);
	} else if (response->data.len == 0) {
		session_stream_end(stream);
	} else if (buffer_append(&way->left[number], response->data.data, response->data.len) < 0) {
		session_stream_fail(stream, "no memory for %zu bytes", response->data.len);
	} else {
		advance(stream);
	}
}

static void read_output(struct session_stream *stream)
{
	struct session *session = stream->session;
	struct calls_way *way = way_of(session);
	Grpc__ReadStreamRequest request = GRPC__READ_STREAM_REQUEST__INIT;
	struct iovec parts[2];
	size_t room = session_output_room(stream, parts);

	if (room == 0)
		return;
	request.container_id = session->record->container_id;
	request.exec_id = session->record->exec_id;
	request.len = way->asked[stream->number] = room < CALL_SIZE ? (uint32_t)room : CALL_SIZE;
	way->busy[stream->number] =
		session_call_agent(session, &agent_methods,
			     stream->number == SESSION_STDOUT ? "ReadStdout" : "ReadStderr", &request.base, stream->number,
			     read_answered) == 0;
}

/* ---- Input --------------------------------------------------------------------------------------------------- */

static void write_answered(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	struct session_stream *stream = &session->streams[number];
	struct calls_way *way = way_of(session);
	uint32_t taken;

	way->busy[number] = false;
	if (session_stream_ended(stream))
		return;
	if (result->code != TTRPC_OK || way->close_sent) {
		/* The process doesn't read it any more, or that was the end. */
		session_stream_end(stream);
		return;
	}
	taken = ((const Grpc__WriteStreamResponse *)result->response)->len;
	if (taken == 0 || taken > way->asked[number]) {
		session_stream_fail(stream, "%u bytes have been taken of %u", taken, way->asked[number]);
		return;
	}
	session_input_taken(stream, stream->ring.state->begin + taken);
	advance(stream);
}

static void close_input(struct session_stream *stream)
{
	struct ring_record *record = stream->session->record;
	Grpc__CloseStdinRequest request = GRPC__CLOSE_STDIN_REQUEST__INIT;
	struct calls_way *way = way_of(stream->session);

	request.container_id = record->container_id;
	request.exec_id = record->exec_id;
	way->close_sent = way->busy[SESSION_STDIN] =
		session_call_agent(stream->session, &agent_methods, "CloseStdin", &request.base, SESSION_STDIN,
			     write_answered) == 0;
}

/* The ring's bytes up to where it starts again from the front, so that they are in one piece. */
static void write_input(struct session_stream *stream)
{
	struct session *session = stream->session;
	struct calls_way *way = way_of(session);
	Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
	struct iovec parts[2];

	if (ring_data(&stream->ring, stream->ring.state->begin, parts) == 0) {
		if (stream->ring.state->closing)
			close_input(stream);
		return;
	}
	request.container_id = session->record->container_id;
	request.exec_id = session->record->exec_id;
	request.data.data = parts[0].iov_base;
	request.data.len = parts[0].iov_len < CALL_SIZE ? parts[0].iov_len : CALL_SIZE;
	way->asked[SESSION_STDIN] = (uint32_t)request.data.len;
	way->busy[SESSION_STDIN] = session_call_agent(session, &agent_methods, "WriteStdin", &request.base,
						SESSION_STDIN, write_answered) == 0;
}

/* ---- The way ------------------------------------------------------------------------------------------------- */

static bool may_ask(const struct session_stream *stream)
{
	return stream->session->record->begun && !session_stream_ended(stream) &&
	       !way_of(stream->session)->busy[stream->number];
}

static void advance(struct session_stream *stream)
{
	if (!may_ask(stream))
		return;
	if (stream->number == SESSION_STDIN)
		write_input(stream);
	else if (keep_left(stream) && may_ask(stream))
		read_output(stream);
}

static void advance_all(struct session *session)
{
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		advance(&session->streams[i]);
}

/* A read of a process that isn't there has been answered before this one. */
static void asked_behind(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	(void)number;
	if (session->record->opened)
		return;
	if (result->code == TTRPC_UNAVAILABLE)
		session_open_failed(session, result->code, result->message);
	else
		session_opened(session);
}

static void way_ready(struct session *session)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;

	advance_all(session);
	if (!session->record->opened)
		session_call_agent(session, &grpc__health__descriptor, "Check", &request.base, 0, asked_behind);
}

static void end_all(struct session *session)
{
	for (unsigned int i = 0; session->record->opened && session->record->begun && i < RING_STREAMS; i++) {
		way_of(session)->over[i] = true;
		if (keep_left(&session->streams[i]))
			session_stream_end(&session->streams[i]);
	}
}

static int way_open(struct session *session)
{
	session->way_data = calloc(1, sizeof(struct calls_way));
	if (!session->way_data)
		return -ENOMEM;
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		buffer_init(&way_of(session)->left[i], CALL_SIZE);
	/* What a process before this one was being answered is lost. */
	end_all(session);
	if (session->sessions->caller.ready)
		way_ready(session);
	return 0;
}

static void way_close(struct session *session)
{
	struct calls_way *way = way_of(session);

	for (unsigned int i = 0; way && i < RING_STREAMS; i++)
		buffer_free(&way->left[i]);
	free(way);
	session->way_data = NULL;
}

const struct session_way session_way_calls = {
	.number = NACRE__OPEN_SESSION_RESPONSE__WAY__CALLS,
	.open = way_open,
	.begin = advance_all,
	.resume = advance,
	.ready = way_ready,
	.lost = end_all,
	.close = way_close,
};
