/* Streams by a session of the proxy's (nacre.Proxy): each is attached to, and attached to again where the connection ends, at the
 * offset that we have: the proxy's worker may die, and what it keeps of a stream is the next one's. So the end of a stream is not
 * the end of a connection, but what is answered to who attaches again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/ttrpc_client.h"
#include "proxy_service.pb-c.h"
#include "runtime/attached.h"
#include "runtime/streams_way.h"

/* What may have left us without being in the proxy's ring is what the socket holds (the kernel doubles SOCKET_BUFFER, and goes
 * beyond it by one write of half of that) and what is just being read from it, a ring at most (64 KiB); so much, and what hasn't
 * left yet, can be sent again. */
#define SOCKET_BUFFER (32 << 10)
#define HISTORY (256u << 10)

struct session_output {
	struct stream_output *output;
	struct attached attached;
	uint64_t offset; /* of the next byte */
};

struct session_input {
	struct stream_input *input;
	struct attached attached;
	uint8_t *history;   /* the last HISTORY bytes before `end`, each at its offset modulo HISTORY */
	uint64_t sent, end; /* of what we were given: how much has gone into the socket, and how much there is */
	bool began;
	uint64_t shift; /* the stream's offset of our first byte */
};

struct sessions_way {
	struct streams *streams;
	const char *directory;
	struct ttrpc_client *client; /* NULL: none is needed now */
	bool opened;		     /* the session is */
	bool waiting;		     /* for the exit */
	char failure[ERROR_TEXT_SIZE];
	struct session_input input;
	struct session_output outputs[STREAMS_OUTPUTS];
};

static struct sessions_way *way_of(const struct streams *streams)
{
	return streams->way_data;
}

/* Output ------------------------------------------------------------------------------------------------------- */

static void output_answered(struct attached *attached, const struct proxy_attached *answer)
{
	struct session_output *own = container_of(attached, struct session_output, attached);

	own->offset = answer->offset;
	if (answer->ended) {
		attached_close(attached);
		streams_output_end(own->output);
	} else if (own->output->held) {
		attached_watch(attached, 0);
	}
}

static void output_refused(struct attached *attached, const char *text)
{
	(void)text;
	streams_output_end(container_of(attached, struct session_output, attached)->output);
}

static void output_ready(struct attached *attached, uint32_t events)
{
	struct session_output *own = container_of(attached, struct session_output, attached);
	char data[STREAMS_CHUNK];
	ssize_t count = recv(attached->fd, data, sizeof(data), MSG_DONTWAIT);

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		attached_open_at(attached, own->offset);
		return;
	}
	own->offset += (size_t)count;
	streams_output_came(own->output, data, (size_t)count);
}

static struct attached *attached_of(const struct stream_output *output)
{
	return &way_of(output->streams)->outputs[output - output->streams->outputs].attached;
}

static void read_on(struct stream_output *output)
{
	attached_watch(attached_of(output), EPOLLIN);
}

static void rest(struct stream_output *output)
{
	attached_watch(attached_of(output), 0);
}

/* Input -------------------------------------------------------------------------------------------------------- */

static bool has_room(const struct stream_input *input)
{
	const struct session_input *own = &way_of(input->streams)->input;

	return own->attached.established && own->sent == own->end;
}

/* The bytes from `offset` on that are in one piece. */
static size_t piece(const struct session_input *own, uint64_t offset, uint8_t **bytes)
{
	size_t start = (size_t)(offset % HISTORY), left = (size_t)(own->end - offset);

	*bytes = own->history + start;
	return left < HISTORY - start ? left : HISTORY - start;
}

static void push(struct session_input *own)
{
	while (own->sent < own->end) {
		uint8_t *bytes;
		size_t length = piece(own, own->sent, &bytes);
		ssize_t count = send(own->attached.fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN) {
			attached_watch(&own->attached, EPOLLIN | EPOLLOUT);
			return;
		}
		if (count < 0) {
			attached_open(&own->attached, "now");
			return;
		}
		own->sent += (size_t)count;
	}
	if (own->input->ended)
		shutdown(own->attached.fd, SHUT_WR);
	attached_watch(&own->attached, EPOLLIN);
}

/* Goes back to what has been taken. Where it is more than we have sent others write, too, and there is no telling more. False:
 * it isn't there any more. */
static bool rewind_to(struct session_input *own, uint64_t offset)
{
	if (!own->began || offset - own->shift > own->sent)
		own->shift = offset - own->sent;
	own->began = true;
	own->sent = offset - own->shift;
	return own->end - own->sent <= HISTORY;
}

static void input_answered(struct attached *attached, const struct proxy_attached *answer)
{
	struct session_input *own = container_of(attached, struct session_input, attached);
	int size = SOCKET_BUFFER;

	setsockopt(attached->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (rewind_to(own, answer->offset)) {
		push(own);
		streams_input_update(own->input);
	} else {
		attached_close(attached);
		streams_input_lost(own->input);
	}
}

/* The process reads no more, or has had the end. */
static void input_refused(struct attached *attached, const char *text)
{
	(void)text;
	streams_input_lost(container_of(attached, struct session_input, attached)->input);
}

/* Nothing comes from there but the end: the proxy has read ours, or is another one. */
static void input_ready(struct attached *attached, uint32_t events)
{
	struct session_input *own = container_of(attached, struct session_input, attached);

	if (events & ~(uint32_t)EPOLLOUT)
		attached_open(attached, "now");
	else
		push(own);
	streams_input_update(own->input);
}

static void write_input(struct stream_input *input, const void *bytes, size_t length)
{
	struct session_input *own = &way_of(input->streams)->input;
	size_t start = (size_t)(own->end % HISTORY), first = length < HISTORY - start ? length : HISTORY - start;

	memcpy(own->history + start, bytes, first);
	memcpy(own->history, (const uint8_t *)bytes + first, length - first);
	own->end += length;
	push(own);
}

static void end_input(struct stream_input *input)
{
	struct session_input *own = &way_of(input->streams)->input;

	if (own->attached.established && own->sent == own->end)
		push(own);
}

/* The session -------------------------------------------------------------------------------------------------- */

static void fail(struct sessions_way *way, const char *text)
{
	struct streams *streams = way->streams;

	snprintf(way->failure, sizeof(way->failure), "%s", text);
	for (unsigned i = 0; i < streams->output_count; i++)
		streams_output_end(&streams->outputs[i]);
	if (way->waiting)
		streams->told(streams->options.data, -1, way->failure);
}

static void attach(struct sessions_way *way)
{
	struct streams *streams = way->streams;

	for (unsigned i = 0; i < streams->output_count; i++)
		attached_open_at(&way->outputs[i].attached, 0);
	if (streams->options.interactive || !streams->options.terminal)
		attached_open(&way->input.attached, "now");
}

/* Whether it is no answer: the connection has broken, and we ask again, or are closing. */
static bool unanswered(const struct sessions_way *way, const struct ttrpc_result *result)
{
	return !way->client || (result->code == TTRPC_UNAVAILABLE && ttrpc_client_broken(way->client));
}

static void open_answered(void *data, const struct ttrpc_result *result)
{
	struct sessions_way *way = data;

	if (unanswered(way, result))
		return;
	way->opened = result->code == TTRPC_OK;
	if (way->opened)
		attach(way);
	else
		fail(way, result->message);
}

static void exit_answered(void *data, const struct ttrpc_result *result)
{
	const Nacre__WaitExitResponse *response = (const void *)result->response;
	struct sessions_way *way = data;
	struct streams *streams = way->streams;

	if (unanswered(way, result))
		return;
	way->waiting = false;
	streams->told(streams->options.data, response ? response->status & 0xff : -1, result->message);
}

static int ask_open(struct sessions_way *way)
{
	const struct streams_options *options = &way->streams->options;
	Nacre__OpenSessionRequest request = NACRE__OPEN_SESSION_REQUEST__INIT;

	request.container_id = (char *)options->container;
	request.exec_id = (char *)(options->exec ? options->exec : "");
	request.terminal = options->terminal;
	request.keep = true;
	return ttrpc_client_call(way->client, &nacre__proxy__descriptor, "OpenSession", &request.base, 0, open_answered, way);
}

static int ask_exit(struct sessions_way *way)
{
	const struct streams_options *options = &way->streams->options;
	Nacre__SessionRequest request = NACRE__SESSION_REQUEST__INIT;

	request.container_id = (char *)options->container;
	request.exec_id = (char *)(options->exec ? options->exec : "");
	return ttrpc_client_call(way->client, &nacre__proxy__descriptor, "WaitExit", &request.base, 0, exit_answered, way);
}

static void ask(struct sessions_way *way)
{
	int status = !way->opened ? ask_open(way) : way->waiting ? ask_exit(way) : 0;

	if (status < 0)
		fail(way, strerror(-status));
}

static void connect_and_ask(struct sessions_way *way);

static void service_broke(void *data)
{
	struct sessions_way *way = data;

	ttrpc_client_free(way->client);
	way->client = NULL;
	if (!way->opened || way->waiting)
		connect_and_ask(way);
}

/* Whoever connects while there is no worker waits for the next one. */
static void connect_and_ask(struct sessions_way *way)
{
	struct error error = {0};
	int fd = proxy_connect_service(way->directory, &error);

	if (fd < 0) {
		fail(way, error.text);
		return;
	}
	way->client = ttrpc_client_new(way->streams->options.loop, fd);
	if (!way->client) {
		fail(way, strerror(ENOMEM));
		return;
	}
	ttrpc_client_tell_broken(way->client, service_broke, way);
	ask(way);
}

static void wait_exit(struct streams *streams)
{
	struct sessions_way *way = way_of(streams);

	if (*way->failure) {
		streams->told(streams->options.data, -1, way->failure);
		return;
	}
	way->waiting = true;
	if (way->client)
		ask(way);
	else
		connect_and_ask(way);
}

/* All of it ---------------------------------------------------------------------------------------------------- */

static void prepare(struct sessions_way *way, struct attached *attached, const char *stream)
{
	const struct streams_options *options = &way->streams->options;

	attached->loop = options->loop;
	attached->directory = way->directory;
	attached->stream = (struct proxy_stream){options->container, options->exec, stream, NULL};
	attached->fd = attached->source.fd = -1;
}

static int open_all(struct streams *streams, const char *directory, struct error *error)
{
	static const char *const names[STREAMS_OUTPUTS] = {"stdout", "stderr"};
	struct sessions_way *way = calloc(1, sizeof(*way));

	if (!way)
		return error_errno(error, ENOMEM, "streams");
	streams->way_data = way;
	way->streams = streams;
	way->directory = directory;
	for (unsigned i = 0; i < STREAMS_OUTPUTS; i++) {
		struct session_output *own = &way->outputs[i];

		prepare(way, &own->attached, names[i]);
		own->output = &streams->outputs[i];
		own->attached.answered = output_answered;
		own->attached.refused = output_refused;
		own->attached.ready = output_ready;
	}
	prepare(way, &way->input.attached, "stdin");
	way->input.input = &streams->input;
	way->input.attached.answered = input_answered;
	way->input.attached.refused = input_refused;
	way->input.attached.ready = input_ready;
	if (streams->options.interactive)
		way->input.history = malloc(HISTORY);
	return streams->options.interactive && !way->input.history ? error_errno(error, ENOMEM, "streams") : 0;
}

static int start(struct streams *streams, struct error *error)
{
	(void)error;
	/* Without a stdin it is attached to all the same, to be ended. */
	streams->input.ended = !streams->options.interactive;
	connect_and_ask(way_of(streams));
	return 0;
}

static void close_all(struct streams *streams)
{
	struct sessions_way *way = way_of(streams);
	struct ttrpc_client *client;

	if (!way)
		return;
	client = way->client;
	way->client = NULL;
	ttrpc_client_free(client);
	for (unsigned i = 0; i < STREAMS_OUTPUTS; i++)
		attached_close(&way->outputs[i].attached);
	attached_close(&way->input.attached);
	free(way->input.history);
	free(way);
	streams->way_data = NULL;
}

const struct streams_way streams_by_sessions = {
	.open = open_all,
	.start = start,
	.read = read_on,
	.rest = rest,
	.has_room = has_room,
	.write = write_input,
	.end = end_input,
	.wait = wait_exit,
	.close = close_all,
};
