/* Sessions, between clients of proxy.sock that come and go and a guest that says anything: its agent's answers to the proxy's
 * calls, and the bytes on the connections of streams. The input is a byte of options (1: the agent takes streams without being
 * told to, 2: the VM ends before the proxy does), then steps: see enum step. The clock is the input's, too.
 * The promises: a reader that isn't lossy gets what the guest has said, in order, and in the end all of it; the guest gets what the
 * only writer has written, in order and once; what was cut is made again; and of nobody's leaving anything stays.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent_service.pb-c.h"
#include "guest_service.pb-c.h"
#include "health_service.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/ttrpc_client.h"
#include "proxy/attach_line.h"
#include "proxy/line.h"
#include "proxy/service.h"
#include "proxy/session.h"
#include "proxy/waiting.h"
#include "proxy_service.pb-c.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session_model.h"
#include "ttrpc.pb-c.h"

#define SESSIONS 2
#define RING 8192u
#define MODELS_MAX 12 /* sessions that there have been */
#define CLIENTS_MAX 2
#define ENDS_MAX 8
#define CONNECTIONS_MAX 16
#define AGENTS_MAX 4
#define RECORD_MAX 65536u

enum step {
	OPEN,
	CLOSE,
	ATTACH,
	DETACH,
	WRITE,
	READ,
	END_CLOSES,
	CALL,
	CLIENT_GOES,
	ANSWER,
	SAY_RECORD,
	SAY_BYTES,
	ACKNOWLEDGE,
	CUT,
	HEAR,
	AGENT_DIES,
	AGENT_BYTES,
	TIME,
	REFUSE,
	RESTART,
	STEPS,
};

/* A session, known by its exec id, which is its number. */
struct model {
	bool used, over;
	bool unknown_input; /* what the guest is to get can't be said */
	struct said said[RING_STREAMS];
	unsigned int writers;
	uint64_t written, first; /* bytes of the only writer, and the offset of its first one */
	uint64_t taken;		 /* the guest has had what is before this offset */
	bool may_end;		 /* a writer has closed it */
};

/* A client's end of what is attached. */
struct end {
	int fd;
	struct model *model;
	unsigned int stream, client;
	uint64_t id;
	bool pending, started, lossy, keep_open, socket, line;
	bool whole; /* nothing has happened to it for which it may miss something at its end */
	bool unknown;
	struct heard heard;
	uint64_t total;
};

/* One to a stream's port. */
struct connection {
	int fd;
	uint32_t port;
	struct line line;
	bool open, bound, raw;
	struct model *model;
	unsigned int stream;
	uint8_t *early; /* said before it was attached */
	size_t early_length;

	uint8_t header[4];
	size_t header_length;
	uint32_t left; /* of the record that is being said */

	uint8_t heard[8];
	size_t heard_length;
	uint32_t heard_left;
	uint64_t position; /* of stdin: of the next byte; of output: what has been acknowledged */
	bool heard_end;
};

static struct scene {
	struct fuzz_input input;
	uint64_t now;
	struct loop loop;
	struct streams streams;
	struct ring_store store;
	struct sessions sessions;
	struct service service;
	struct ttrpc_client *clients[CLIENTS_MAX];
	struct model models[MODELS_MAX];
	struct model *current[SESSIONS];
	struct end ends[ENDS_MAX];
	struct connection connections[CONNECTIONS_MAX];
	uint32_t last_port;
	int agents[AGENTS_MAX]; /* what else we have of the connections that `agent` serves */
	struct ttrpc_server agent;
	struct list asked; /* calls to the agent */
	bool helpful, refuses, unknown, quiet;
} scene;

/* Not the machine's while an input is run. */
int clock_gettime(clockid_t id, struct timespec *now)
{
	if (id != CLOCK_MONOTONIC || scene.now == 0)
		return (int)syscall(SYS_clock_gettime, id, now);
	now->tv_sec = (time_t)(scene.now / LOOP_SECOND);
	now->tv_nsec = (long)(scene.now % LOOP_SECOND);
	return 0;
}

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

static struct model *model_of(const char *exec_id)
{
	size_t number = strtoul(exec_id, NULL, 10);

	promise(number < MODELS_MAX);
	return &scene.models[number];
}

static const char *exec_id_of(const struct model *model)
{
	static char text[8];

	snprintf(text, sizeof(text), "%zu", (size_t)(model - scene.models));
	return text;
}

/* ---- The guest's side of the proxy --------------------------------------------------------------------------- */

/* The proxy has closed it. */
static bool is_cut(int fd)
{
	struct pollfd poller = {.fd = fd};

	return poll(&poller, 1, 0) > 0 && (poller.revents & POLLHUP);
}

static int keep_agent(int fd)
{
	for (size_t i = 0; i < AGENTS_MAX; i++) {
		if (scene.agents[i] >= 0 && !is_cut(scene.agents[i]))
			continue;
		fd_close(&scene.agents[i]);
		scene.agents[i] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		return ttrpc_server_serve(&scene.agent, fd);
	}
	close(fd);
	return -ENFILE;
}

static void connection_close(struct connection *connection)
{
	fd_close(&connection->fd);
	free(connection->early);
	*connection = (struct connection){.fd = -1};
}

static int keep_connection(int fd)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (scene.connections[i].fd >= 0 && !is_cut(scene.connections[i].fd))
			continue;
		connection_close(&scene.connections[i]);
		scene.connections[i] = (struct connection){.fd = fd};
		return 0;
	}
	close(fd);
	return -ENFILE;
}

int streams_serve(struct streams *streams, int fd, enum stream_origin origin, uint32_t port)
{
	(void)streams;
	(void)port;
	if (!scene.refuses)
		return origin == STREAM_AGENT ? keep_agent(fd) : keep_connection(fd);
	close(fd);
	return -ENFILE;
}

enum stream_state stream_state(const struct stream *stream)
{
	(void)stream;
	return STREAM_OPEN;
}

/* What a client of vsock.sock is told. */
static void accept_connection(struct connection *connection)
{
	char answer[32];
	int length, status = line_read(&connection->line, connection->fd);

	if (status == 0)
		return;
	if (status < 0 || scene.refuses) {
		connection_close(connection);
		return;
	}
	connection->open = true;
	connection->port = ++scene.last_port;
	length = snprintf(answer, sizeof(answer), "OK %u\n", connection->port);
	send(connection->fd, answer, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct connection *find_connection(uint32_t port)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (scene.connections[i].fd >= 0 && scene.connections[i].open && scene.connections[i].port == port)
			return &scene.connections[i];
	return NULL;
}

/* What has been said goes through the frames that the proxy sees. */
static void say_counted(struct connection *connection, const uint8_t *bytes, size_t length)
{
	struct said *said = &connection->model->said[connection->stream];

	if (connection->raw) {
		said_add(said, bytes, length);
		return;
	}
	while (length > 0 && !said->over) {
		size_t part = connection->left < length ? connection->left : length;
		uint32_t number;

		said_add(said, bytes, part);
		connection->left -= (uint32_t)part;
		bytes += part;
		length -= part;
		if (length == 0)
			return;
		connection->header[connection->header_length++] = *bytes++;
		length--;
		if (connection->header_length < sizeof(number))
			continue;
		connection->header_length = 0;
		memcpy(&number, connection->header, sizeof(number));
		connection->left = le32toh(number);
		said->clean = connection->left == 0;
		said->over = connection->left == 0 || connection->left > RECORD_MAX;
	}
}

static void say(struct connection *connection, const uint8_t *bytes, size_t length)
{
	ssize_t count = connection->open ? send(connection->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;

	if (count <= 0)
		return;
	if (connection->bound) {
		if (connection->stream != SESSION_STDIN)
			say_counted(connection, bytes, (size_t)count);
		return;
	}
	connection->early = realloc(connection->early, connection->early_length + (size_t)count);
	promise(connection->early);
	memcpy(connection->early + connection->early_length, bytes, (size_t)count);
	connection->early_length += (size_t)count;
}

static void bind_stream(struct connection *connection, struct model *model, unsigned int stream, bool raw)
{
	connection->bound = true;
	connection->raw = raw;
	connection->model = model;
	connection->stream = stream;
	if (stream != SESSION_STDIN)
		say_counted(connection, connection->early, connection->early_length);
}

static void acknowledge(struct connection *connection, int8_t more)
{
	uint64_t offset = htole64(connection->position + (uint64_t)(int64_t)more);

	say(connection, (const uint8_t *)&offset, sizeof(offset));
}

/* ---- What the guest hears ------------------------------------------------------------------------------------ */

static void check_input(const struct model *model, uint64_t position, const uint8_t *bytes, size_t length)
{
	if (scene.unknown || model->unknown_input || model->writers != 1)
		return;
	promise(position >= model->first && position + length <= model->first + model->written);
	for (size_t i = 0; i < length; i++)
		promise(bytes[i] == byte_at(position + i - model->first));
}

/* Its writer has closed it, and all that was written has come before. */
static void check_input_end(const struct model *model, uint64_t position)
{
	if (scene.unknown)
		return;
	promise(model->may_end);
	promise(model->unknown_input || model->writers != 1 || position == model->first + model->written);
}

static void hear_input(struct connection *connection, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t part = connection->raw || connection->heard_left > length ? length : connection->heard_left;
		uint32_t number;

		check_input(connection->model, connection->position, bytes, part);
		connection->position += part;
		connection->model->taken = connection->position;
		connection->heard_left -= connection->raw ? 0 : (uint32_t)part;
		bytes += part;
		length -= part;
		if (length == 0)
			return;
		promise(!connection->heard_end);
		connection->heard[connection->heard_length++] = *bytes++;
		length--;
		if (connection->heard_length < sizeof(number))
			continue;
		connection->heard_length = 0;
		memcpy(&number, connection->heard, sizeof(number));
		connection->heard_left = le32toh(number);
		promise(connection->heard_left <= RECORD_MAX);
		connection->heard_end = connection->heard_left == 0;
		if (connection->heard_end)
			check_input_end(connection->model, connection->position);
	}
}

/* Never more than was said, and never less than before. */
static void hear_offsets(struct connection *connection, const uint8_t *bytes, size_t length)
{
	promise(!connection->raw);
	for (size_t i = 0; i < length; i++) {
		uint64_t number;

		connection->heard[connection->heard_length++] = bytes[i];
		if (connection->heard_length < sizeof(number))
			continue;
		connection->heard_length = 0;
		memcpy(&number, connection->heard, sizeof(number));
		number = le64toh(number);
		promise(scene.unknown || number > connection->position);
		promise(scene.unknown || number <= said_end(&connection->model->said[connection->stream]));
		connection->position = number;
	}
}

static void hear(struct connection *connection, size_t length)
{
	uint8_t bytes[65536];
	ssize_t count = connection->open && connection->bound ? recv(connection->fd, bytes, length, MSG_DONTWAIT) : -1;

	if (count > 0 && connection->stream == SESSION_STDIN)
		hear_input(connection, bytes, (size_t)count);
	else if (count > 0)
		hear_offsets(connection, bytes, (size_t)count);
}

/* ---- What the agent answers ---------------------------------------------------------------------------------- */

static void answer_attach(struct ttrpc_call *call, uint8_t choice)
{
	const Nacre__AttachStreamRequest *request = (const void *)call->request;
	Nacre__AttachStreamResponse response = NACRE__ATTACH_STREAM_RESPONSE__INIT;
	struct model *model = model_of(request->exec_id);
	struct connection *connection = find_connection(request->port);
	struct said *said;

	promise(request->stream < RING_STREAMS);
	said = &model->said[request->stream];
	response.offset = request->stream == SESSION_STDIN ? model->taken : request->offset;
	if ((choice & 12) == 4 && said->count < SAID_PARTS - 1)
		response.offset += fuzz_byte(&scene.input);
	else if ((choice & 12) == 8 && said->count < SAID_PARTS - 1)
		response.offset = fuzz_u64(&scene.input);
	response.ended = (choice & 0x30) == 0x30;
	if (connection && !is_cut(connection->fd)) {
		if (request->stream != SESSION_STDIN) {
			promise(scene.unknown || request->offset <= said_end(said));
			said_go_on(said, request->offset, response.offset);
		} else if (request->offset == 0 && model->writers > 0) {
			model->unknown_input |= response.offset != 0;
		} else if (request->offset == 0) {
			model->first = model->taken = response.offset;
		}
		connection->position = response.offset;
		if (!response.ended)
			bind_stream(connection, model, request->stream, false);
		else if (request->stream != SESSION_STDIN && !said->over)
			said->over = said->clean = true;
	}
	ttrpc_call_reply(call, &response.base);
}

static void answer_read(struct ttrpc_call *call, unsigned int stream, uint8_t choice)
{
	static uint8_t bytes[40000];
	const Grpc__ReadStreamRequest *request = (const void *)call->request;
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;
	struct model *model = model_of(request->exec_id);
	const struct session *session = sessions_find(&scene.sessions, "c", request->exec_id);
	struct said *said = &model->said[stream];
	size_t length = choice & 4 ? fuzz_u16(&scene.input) : fuzz_byte(&scene.input);
	uint64_t had = session ? ring_end(&session->streams[stream].ring) : 0;

	promise(request->len > 0);
	if (length > sizeof(bytes))
		length = sizeof(bytes);
	if (!(choice & 8) && length > request->len)
		length = request->len;
	if (session) {
		promise(scene.unknown || had <= said_end(said));
		said_go_on(said, had, had);
		for (size_t i = 0; i < length; i++)
			bytes[i] = byte_at(had + i);
		if (length > request->len)
			said->over = true;
		else
			said_add(said, bytes, length);
		if (length == 0)
			said->over = said->clean = true;
	}
	response.data = (ProtobufCBinaryData){.len = length, .data = bytes};
	ttrpc_call_reply(call, &response.base);
}

static void answer_write(struct ttrpc_call *call, uint8_t choice)
{
	const Grpc__WriteStreamRequest *request = (const void *)call->request;
	Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;
	const struct session *session = sessions_find(&scene.sessions, "c", request->exec_id);

	promise(request->data.len > 0);
	if (session)
		check_input(model_of(request->exec_id), session->streams[SESSION_STDIN].ring.state->begin, request->data.data,
			    request->data.len);
	response.len = choice & 4 ? fuzz_u32(&scene.input) : (uint32_t)request->data.len;
	ttrpc_call_reply(call, &response.base);
}

static void answer_wait(struct ttrpc_call *call)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;

	response.status = (int32_t)fuzz_u16(&scene.input);
	ttrpc_call_reply(call, &response.base);
}

/* What the proxy has had until then is all. */
static void refuse_attach(const Nacre__AttachStreamRequest *request)
{
	const struct connection *connection = find_connection(request->port);
	struct said *said = &model_of(request->exec_id)->said[request->stream];

	if (request->stream == SESSION_STDIN || !connection || is_cut(connection->fd))
		return;
	said_go_on(said, request->offset, request->offset);
	said->over = said->clean = true;
}

static void refuse(struct ttrpc_call *call)
{
	if (strcmp(call->method, "AttachStream") == 0)
		refuse_attach((const void *)call->request);
	ttrpc_call_fail(call, (enum ttrpc_code)(1 + fuzz_byte(&scene.input) % 16), "no");
}

static void answer(struct ttrpc_call *call, uint8_t choice)
{
	if ((choice & 3) == 3)
		refuse(call);
	else if (strcmp(call->method, "AttachStream") == 0)
		answer_attach(call, choice);
	else if (strcmp(call->method, "ReadStdout") == 0)
		answer_read(call, SESSION_STDOUT, choice);
	else if (strcmp(call->method, "ReadStderr") == 0)
		answer_read(call, SESSION_STDERR, choice);
	else if (strcmp(call->method, "WriteStdin") == 0)
		answer_write(call, choice);
	else if (strcmp(call->method, "WaitProcess") == 0)
		answer_wait(call);
	else
		ttrpc_call_reply(call, NULL);
}

static struct ttrpc_call *asked(size_t number)
{
	size_t count = list_length(&scene.asked);
	struct list *link = scene.asked.next;

	if (count == 0)
		return NULL;
	for (number %= count; number > 0; number--)
		link = link->next;
	return container_of(link, struct waiting, link)->call;
}

static void hold(struct ttrpc_call *call)
{
	waiting_add(&scene.asked, call);
}

static const struct ttrpc_method agent_calls[] = {
	{"WaitProcess", hold}, {"ReadStdout", hold},	{"ReadStderr", hold},  {"WriteStdin", hold},
	{"CloseStdin", hold},  {"SignalProcess", hold}, {"TtyWinResize", hold}, {NULL, NULL},
};
static const struct ttrpc_method guest_calls[] = {{"AttachStream", hold}, {NULL, NULL}};
static const struct ttrpc_method health_calls[] = {{"Check", hold}, {NULL, NULL}};
static const struct ttrpc_service agent_service = {.descriptor = &grpc__agent_service__descriptor, .methods = agent_calls};
static const struct ttrpc_service guest_service = {.descriptor = &nacre__guest__descriptor, .methods = guest_calls};
static const struct ttrpc_service health_service = {.descriptor = &grpc__health__descriptor, .methods = health_calls};
static const struct ttrpc_service *const agent_services[] = {&agent_service, &guest_service, &health_service, NULL};

static void help(void)
{
	struct list *link = scene.asked.next;

	while (scene.helpful && link != &scene.asked) {
		struct waiting *waiting = container_of(link, struct waiting, link);

		link = link->next;
		if (strcmp(waiting->call->method, "Check") == 0 || strcmp(waiting->call->method, "AttachStream") == 0)
			answer(waiting_remove(waiting), 0);
	}
}

static void turn(void)
{
	for (int i = 0; i < 8; i++) {
		fuzz_step(&scene.loop);
		for (size_t j = 0; j < CONNECTIONS_MAX; j++)
			if (scene.connections[j].fd >= 0 && !scene.connections[j].open)
				accept_connection(&scene.connections[j]);
		help();
	}
}

/* Its own bytes, or those of an answer to what was asked. From there on nobody knows what was said. */
static void agent_bytes(int fd)
{
	uint8_t choice = fuzz_byte(&scene.input);
	size_t length = fuzz_byte(&scene.input);
	const uint8_t *bytes = fuzz_bytes(&scene.input, &length);
	const struct ttrpc_call *call = asked(choice >> 1);
	uint8_t header[TTRPC_HEADER_SIZE];

	if (fd < 0)
		return;
	scene.unknown = true;
	if (call && (choice & 1)) {
		ttrpc_header_encode(header, &(struct ttrpc_header){
						    .length = (uint32_t)length, .stream = call->stream, .type = TTRPC_RESPONSE});
		send(fd, header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- Clients: their calls ------------------------------------------------------------------------------------ */

struct asking {
	struct model *model;
	struct end *end;
};

static void bind_ports(struct model *model, const Nacre__OpenSessionResponse *response)
{
	const uint32_t ports[] = {response->stdin_port, response->stdout_port, response->stderr_port};

	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		struct connection *connection = ports[i] > 0 ? find_connection(ports[i]) : NULL;

		if (!connection || connection->bound)
			continue;
		said_go_on(&model->said[i], 0, 0);
		bind_stream(connection, model, i, true);
	}
}

static void opened(void *data, const struct ttrpc_result *result)
{
	struct asking *asking = data;

	if (result->code == TTRPC_OK)
		bind_ports(asking->model, (const void *)result->response);
	else if (!sessions_find(&scene.sessions, "c", exec_id_of(asking->model)))
		asking->model->over = true;
	free(asking);
}

static void attached(void *data, const struct ttrpc_result *result)
{
	struct asking *asking = data;
	struct end *end = asking->end;

	end->pending = false;
	end->started = result->code == TTRPC_OK;
	end->unknown = result->code == TTRPC_UNAVAILABLE;
	if (end->started) {
		end->id = ((const Nacre__AttachResponse *)result->response)->attachment;
		heard_start(&end->heard, ((const Nacre__AttachResponse *)result->response)->offset);
	}
	free(asking);
}

static void answered(void *data, const struct ttrpc_result *result)
{
	const ProtobufCMessage *response = result->response;

	if (response && response->descriptor == &nacre__wait_exit_response__descriptor)
		promise((((const Nacre__WaitExitResponse *)response)->status & ~0xff) == 0);
	free(data);
}

/* 0 or -errno with nothing asked. */
static int ask(unsigned int client, const char *method, const ProtobufCMessage *request, int fd, ttrpc_answered done,
	       struct model *model, struct end *end)
{
	struct asking *asking = malloc(sizeof(*asking));
	int status;

	promise(asking);
	*asking = (struct asking){model, end};
	status = fd < 0 ? ttrpc_client_call(scene.clients[client], &nacre__proxy__descriptor, method, request, 0, done, asking)
			: ttrpc_client_call_passing(scene.clients[client], &nacre__proxy__descriptor, method, request, fd, 0,
						    done, asking);
	if (status < 0)
		free(asking);
	return status;
}

/* Where it is over the next one takes its place; NULL where there have been too many. */
static struct model *model_to_open(unsigned int slot)
{
	struct model *model = scene.current[slot];

	if (model && !model->over)
		return model;
	for (size_t i = 0; i < MODELS_MAX; i++) {
		if (scene.models[i].used)
			continue;
		scene.models[i].used = true;
		return scene.current[slot] = &scene.models[i];
	}
	return NULL;
}

static void open_session(unsigned int client, unsigned int slot)
{
	Nacre__OpenSessionRequest request = NACRE__OPEN_SESSION_REQUEST__INIT;
	uint8_t choice = fuzz_byte(&scene.input);
	struct model *model = model_to_open(slot);

	if (!model)
		return;
	request.container_id = "c";
	request.exec_id = (char *)exec_id_of(model);
	request.terminal = choice & 1;
	request.ports = choice & 2;
	ask(client, "OpenSession", &request.base, -1, opened, model, NULL);
	/* Three streams are attached one after the other. */
	turn();
	turn();
}

/* Who was attached to that, or to anything, may miss something. */
static void disturb(const struct model *model)
{
	for (size_t i = 0; i < ENDS_MAX; i++)
		if (!model || scene.ends[i].model == model)
			scene.ends[i].whole = false;
}

static void by_name(unsigned int client, const char *method, const struct model *model)
{
	Nacre__SessionRequest request = NACRE__SESSION_REQUEST__INIT;

	request.container_id = "c";
	request.exec_id = (char *)exec_id_of(model);
	ask(client, method, &request.base, -1, answered, NULL, NULL);
}

static void close_session(unsigned int client, struct model *model)
{
	disturb(model);
	by_name(client, "CloseSession", model);
	turn();
	model->over = !sessions_find(&scene.sessions, "c", exec_id_of(model));
}

static void call(unsigned int client, const struct model *model)
{
	Nacre__SignalRequest signal = NACRE__SIGNAL_REQUEST__INIT;
	Nacre__ResizeRequest resize = NACRE__RESIZE_REQUEST__INIT;
	Nacre__NextEventsRequest events = NACRE__NEXT_EVENTS_REQUEST__INIT;
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	uint8_t choice = fuzz_byte(&scene.input), number = fuzz_byte(&scene.input);

	signal.container_id = resize.container_id = "c";
	signal.exec_id = resize.exec_id = (char *)exec_id_of(model);
	signal.signal = number & 0x7f;
	signal.all = number >> 7;
	resize.rows = number;
	events.after = number;
	switch (choice % 6) {
	case 0:
	case 1:
		ask(client, "Signal", &signal.base, -1, answered, NULL, NULL);
		break;
	case 2:
		ask(client, "Resize", &resize.base, -1, answered, NULL, NULL);
		break;
	case 3:
		by_name(client, "WaitExit", model);
		break;
	case 4:
		ask(client, "ListSessions", &empty.base, -1, answered, NULL, NULL);
		break;
	case 5:
		ask(client, "NextEvents", &events.base, -1, answered, NULL, NULL);
		break;
	}
}

static void client_new(unsigned int client)
{
	int pair[2];

	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	attach_line_serve(&scene.service, pair[1]);
	scene.clients[client] = ttrpc_client_new(&scene.loop, pair[0]);
	promise(scene.clients[client]);
}

static void client_goes(unsigned int client)
{
	for (size_t i = 0; i < ENDS_MAX; i++)
		if (scene.ends[i].client == client)
			scene.ends[i].whole = false;
	ttrpc_client_free(scene.clients[client]);
	client_new(client);
}

/* ---- Clients: what they have attached ------------------------------------------------------------------------ */

static void end_close(struct end *end)
{
	if (end->fd >= 0 && end->model && end->stream == SESSION_STDIN && !end->keep_open)
		end->model->may_end = true;
	fd_close(&end->fd);
	end->whole = false;
}

/* Ours and the one to attach. A pipe has a page. */
static void make_pair(struct end *end, int *theirs)
{
	bool reads = end->stream == SESSION_STDIN;
	int pair[2];

	if (end->socket) {
		promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
		setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
	} else {
		promise(pipe2(pair, O_CLOEXEC) == 0);
		fcntl(pair[0], F_SETPIPE_SZ, 4096);
	}
	end->fd = pair[end->socket || !reads ? 0 : 1];
	*theirs = pair[end->socket || !reads ? 1 : 0];
	fcntl(end->fd, F_SETFL, O_NONBLOCK);
}

static void attach_by_line(struct end *end, int theirs, const Nacre__AttachRequest *request)
{
	static const char *const streams[] = {"stdin", "stdout", "stderr"};
	char from[24] = "ring";

	if (request->from == NACRE__ATTACH_REQUEST__FROM__NOW)
		snprintf(from, sizeof(from), "now");
	else if (request->from == NACRE__ATTACH_REQUEST__FROM__OFFSET)
		snprintf(from, sizeof(from), "%llu", (unsigned long long)request->offset);
	dprintf(end->fd, "ATTACH c %s %s %s%s%s\n", request->exec_id, streams[request->stream], from,
		request->lossy ? " lossy" : "", request->keep_open ? " keep-open" : "");
	attach_line_serve(&scene.service, theirs);
}

static void attach(unsigned int client, struct end *end, struct model *model)
{
	Nacre__AttachRequest request = NACRE__ATTACH_REQUEST__INIT;
	uint8_t choice = fuzz_byte(&scene.input);
	int theirs;

	if (end->pending)
		return;
	end_close(end);
	request.container_id = "c";
	request.exec_id = (char *)exec_id_of(model);
	request.stream = choice % RING_STREAMS;
	request.from = (Nacre__AttachRequest__From)(choice / RING_STREAMS % 3);
	if (request.from == NACRE__ATTACH_REQUEST__FROM__OFFSET)
		request.offset = fuzz_u16(&scene.input);
	choice /= RING_STREAMS * 3;
	request.lossy = choice & 1;
	request.keep_open = choice & 2;
	*end = (struct end){.fd = -1,
			    .model = model,
			    .stream = request.stream,
			    .client = client,
			    .lossy = request.lossy,
			    .keep_open = request.keep_open,
			    .socket = choice & 4,
			    .line = (choice & 12) == 12,
			    .whole = true};
	model->writers += request.stream == SESSION_STDIN;
	make_pair(end, &theirs);
	if (end->line) {
		end->client = CLIENTS_MAX;
		attach_by_line(end, theirs, &request);
		return;
	}
	end->pending = ask(client, "Attach", &request.base, theirs, attached, NULL, end) == 0;
	close(theirs);
}

static void detach(unsigned int client, struct end *end)
{
	Nacre__DetachRequest request = NACRE__DETACH_REQUEST__INIT;

	end->whole = false;
	request.attachment = end->id;
	ask(client, "Detach", &request.base, -1, answered, NULL, NULL);
}

static void write_input(struct end *end)
{
	uint8_t bytes[65536];
	size_t length = fuzz_u16(&scene.input);
	ssize_t count;

	if (end->fd < 0 || end->stream != SESSION_STDIN)
		return;
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(end->model->written + i);
	count = write(end->fd, bytes, length);
	end->model->written += count > 0 ? (uint64_t)count : 0;
}

/* The line before what is attached. False where it hasn't come, or says that nothing is. */
static bool read_line(struct end *end)
{
	char text[1024] = "";
	unsigned long long offset, dropped;
	ssize_t length = recv(end->fd, text, sizeof(text) - 1, MSG_PEEK | MSG_DONTWAIT);
	const char *newline = length > 0 ? strchr(text, '\n') : NULL;

	if (!newline)
		return false;
	promise(recv(end->fd, text, (size_t)(newline + 1 - text), MSG_DONTWAIT) == newline + 1 - text);
	end->line = false;
	if (sscanf(text, "OK %llu %llu\n", &offset, &dropped) != 2) {
		promise(strncmp(text, "ERROR ", 6) == 0);
		return false;
	}
	end->started = true;
	heard_start(&end->heard, offset);
	return true;
}

static void check_output(struct end *end, const uint8_t *bytes, size_t length)
{
	const struct said *said = &end->model->said[end->stream];

	if (scene.unknown || end->unknown)
		return;
	promise(end->started);
	end->total += length;
	promise(end->total <= said->total);
	promise(end->lossy || heard_more(&end->heard, said, bytes, length));
}

/* Unless the guest has said something wrong, that is all. */
static void check_end(const struct end *end)
{
	const struct said *said = &end->model->said[end->stream];

	if (end->whole && end->started && !end->lossy && !scene.unknown && (said->clean || !said->over))
		promise(heard_all(&end->heard, said));
}

static void read_output(struct end *end, size_t length)
{
	uint8_t bytes[65536];
	ssize_t count;

	if (end->fd < 0 || end->pending || (end->line && !read_line(end)) || end->stream == SESSION_STDIN)
		return;
	count = read(end->fd, bytes, length);
	if (count > 0)
		check_output(end, bytes, (size_t)count);
	if (count != 0 || length == 0)
		return;
	check_end(end);
	end_close(end);
}

/* ---- The proxy's life ---------------------------------------------------------------------------------------- */

static void proxy_start(void)
{
	sessions_init(&scene.sessions, &scene.loop, &scene.streams, &scene.store);
	service_init(&scene.service, &scene.loop, &scene.streams, &scene.sessions);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		client_new(i);
}

static void proxy_stop(void)
{
	disturb(NULL);
	for (unsigned int i = 0; i < CLIENTS_MAX; i++)
		ttrpc_client_free(scene.clients[i]);
	service_close(&scene.service);
	sessions_destroy(&scene.sessions);
}

/* What hadn't come is lost to it. */
static void go_on(struct model *model)
{
	const struct session *session = sessions_find(&scene.sessions, "c", exec_id_of(model));

	model->over = !session;
	for (unsigned int i = SESSION_STDOUT; session && i < RING_STREAMS; i++) {
		uint64_t end = ring_end(&session->streams[i].ring);

		promise(scene.unknown || end <= said_end(&model->said[i]));
		said_go_on(&model->said[i], end, end);
		model->said[i].over = true;
	}
}

/* What a process that takes over finds is what was open, and it numbers attachments anew. */
static void restart(void)
{
	proxy_stop();
	for (size_t i = 0; i < ENDS_MAX; i++)
		scene.ends[i].id = 0;
	proxy_start();
	for (size_t i = 0; i < MODELS_MAX; i++)
		if (scene.models[i].used)
			go_on(&scene.models[i]);
}

static void time_passes(void)
{
	if (scene.loop.timers && scene.loop.timers->deadline > scene.now)
		scene.now = scene.loop.timers->deadline;
}

static void became_quiet(struct sessions *sessions)
{
	(void)sessions;
	scene.quiet = true;
}

static void read_all(void)
{
	for (size_t i = 0; i < ENDS_MAX; i++)
		read_output(&scene.ends[i], 65536);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (scene.connections[i].fd >= 0)
			hear(&scene.connections[i], 65536);
	turn();
}

static uint64_t total(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < ENDS_MAX; i++)
		sum += scene.ends[i].total;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		sum += scene.connections[i].position;
	return sum;
}

/* Of the only writer the guest has all, unless it takes no input any more. */
static void check_written(const struct connection *connection)
{
	const struct session *session;

	if (connection->fd < 0 || !connection->bound || connection->stream != SESSION_STDIN || is_cut(connection->fd))
		return;
	session = sessions_find(&scene.sessions, "c", exec_id_of(connection->model));
	if (!session || session_stream_ended(&session->streams[SESSION_STDIN]) || connection->model->writers != 1 ||
	    connection->model->unknown_input)
		return;
	for (size_t i = 0; i < ENDS_MAX; i++)
		if (scene.ends[i].model == connection->model && scene.ends[i].stream == SESSION_STDIN && scene.ends[i].whole &&
		    scene.ends[i].started)
			promise(connection->position == connection->model->first + connection->model->written);
}

static bool is_attached(const struct model *model, unsigned int stream)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		const struct connection *connection = &scene.connections[i];

		if (connection->fd >= 0 && connection->bound && connection->model == model && connection->stream == stream &&
		    !is_cut(connection->fd))
			return true;
	}
	return false;
}

/* What was cut has been made again. */
static void check_attached(const struct model *model)
{
	const struct session *session = sessions_find(&scene.sessions, "c", exec_id_of(model));

	if (!session || session->way != &session_way_guest)
		return;
	promise(session->record->opened);
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		promise(session_stream_ended(&session->streams[i]) || is_attached(model, i));
}

/* What goes on without anybody's doing anything wrong any more, until nothing comes. */
static void settle(void)
{
	uint64_t before, now = total();
	int idle = 0;

	scene.refuses = false;
	scene.helpful = true;
	for (int i = 0; i < 400 && idle < 8; i++) {
		before = now;
		scene.now += 10 * LOOP_SECOND;
		read_all();
		for (size_t j = 0; j < CONNECTIONS_MAX; j++)
			if (scene.connections[j].bound && !scene.connections[j].raw &&
			    scene.connections[j].stream == SESSION_STDIN)
				acknowledge(&scene.connections[j], 0);
		now = total();
		idle = now == before ? idle + 1 : 0;
	}
}

/* Nothing that was said may have stuck in the proxy. */
static void check_settled(void)
{
	for (size_t i = 0; i < ENDS_MAX; i++) {
		const struct end *end = &scene.ends[i];

		if (end->whole && end->started && !end->lossy && end->stream != SESSION_STDIN)
			promise(heard_all(&end->heard, &end->model->said[end->stream]));
	}
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		check_written(&scene.connections[i]);
	for (size_t i = 0; i < MODELS_MAX; i++)
		if (scene.models[i].used)
			check_attached(&scene.models[i]);
}

/* As proxy/proxy.c does. Once all that the guest has had to say is read, and every reader has closed or had it, it is over. */
static void vm_ends(void)
{
	bool at_once;

	disturb(NULL);
	sessions_finish(&scene.sessions, became_quiet);
	service_close(&scene.service);
	at_once = sessions_quiet(&scene.sessions);
	scene.refuses = true;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		connection_close(&scene.connections[i]);
	for (int i = 0; i < 64; i++)
		read_all();
	for (size_t i = 0; i < ENDS_MAX; i++)
		end_close(&scene.ends[i]);
	turn();
	promise(sessions_quiet(&scene.sessions) && (at_once || scene.quiet));
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

static void say_record(struct connection *connection)
{
	static uint8_t record[4 + UINT16_MAX];
	uint32_t length = fuzz_u16(&scene.input), header = htole32(length);

	memcpy(record, &header, sizeof(header));
	for (uint32_t i = 0; i < length; i++)
		record[4 + i] = byte_at(i + connection->port);
	say(connection, record, 4 + length);
}

static void say_bytes(struct connection *connection)
{
	size_t length = fuzz_byte(&scene.input);
	const uint8_t *bytes = fuzz_bytes(&scene.input, &length);

	say(connection, bytes, length);
}

/* One that isn't attached yet stays, so that it is seen whether the proxy still has it. */
static void cut(struct connection *connection, bool half)
{
	if (half || !connection->bound)
		shutdown(connection->fd, SHUT_WR);
	else
		connection_close(connection);
}

static void of_connection(enum step step, struct connection *connection)
{
	if (connection->fd < 0)
		return;
	if (step == SAY_RECORD)
		say_record(connection);
	else if (step == SAY_BYTES)
		say_bytes(connection);
	else if (step == ACKNOWLEDGE)
		acknowledge(connection, (int8_t)fuzz_byte(&scene.input));
	else if (step == HEAR)
		hear(connection, fuzz_u16(&scene.input));
	else
		cut(connection, fuzz_byte(&scene.input) & 1);
}

static void of_client(enum step step, uint8_t choice)
{
	unsigned int client = choice % CLIENTS_MAX, slot = choice / CLIENTS_MAX % SESSIONS;
	struct end *end = &scene.ends[choice / (CLIENTS_MAX * SESSIONS) % ENDS_MAX];
	struct model *model = scene.current[slot];

	if (step == OPEN)
		open_session(client, slot);
	else if (step == READ)
		read_output(end, fuzz_u16(&scene.input));
	else if (step == END_CLOSES && !end->pending)
		end_close(end);
	else if (step == WRITE)
		write_input(end);
	else if (step == CLIENT_GOES)
		client_goes(client);
	else if (step == DETACH)
		detach(client, end);
	else if (model && step == ATTACH)
		attach(client, end, model);
	else if (model && step == CLOSE)
		close_session(client, model);
	else if (model && step == CALL)
		call(client, model);
}

static void answer_next(uint8_t number)
{
	struct ttrpc_call *call = asked(number);

	if (call)
		answer(waiting_remove(call->handler_data), fuzz_byte(&scene.input));
}

/* Whatever was said, they are rings. */
static void check_rings(void)
{
	for (const struct list *link = scene.sessions.all.next; link != &scene.sessions.all; link = link->next) {
		const struct session *session = container_of(link, struct session, link);

		for (unsigned int i = 0; i < RING_STREAMS; i++) {
			const struct ring_state *state = session->streams[i].ring.state;

			promise(state->begin <= state->end && state->end - state->begin <= RING);
			promise(state->had <= state->end);
		}
	}
}

static void step(void)
{
	enum step step = (enum step)(fuzz_byte(&scene.input) % STEPS);
	uint8_t choice = fuzz_byte(&scene.input);
	int *agent = &scene.agents[choice % AGENTS_MAX];

	switch (step) {
	case ANSWER:
		answer_next(choice);
		break;
	case SAY_RECORD:
	case SAY_BYTES:
	case ACKNOWLEDGE:
	case CUT:
	case HEAR:
		of_connection(step, &scene.connections[choice % CONNECTIONS_MAX]);
		break;
	case AGENT_DIES:
		if (*agent >= 0)
			shutdown(*agent, SHUT_RDWR);
		fd_close(agent);
		break;
	case AGENT_BYTES:
		agent_bytes(*agent);
		break;
	case TIME:
		time_passes();
		break;
	case REFUSE:
		scene.refuses = !scene.refuses;
		break;
	case RESTART:
		restart();
		break;
	default:
		of_client(step, choice);
		break;
	}
	turn();
	check_rings();
}

static void begin(void)
{
	scene.now = LOOP_SECOND;
	for (size_t i = 0; i < ENDS_MAX; i++)
		scene.ends[i].fd = -1;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		scene.connections[i].fd = -1;
	for (size_t i = 0; i < AGENTS_MAX; i++)
		scene.agents[i] = -1;
	signal(SIGPIPE, SIG_IGN); /* as the proxy has it */
	promise(loop_init(&scene.loop) == 0);
	list_init(&scene.asked);
	list_init(&scene.streams.all);
	scene.streams.limits = STREAMS_LIMITS;
	ttrpc_server_init(&scene.agent, &scene.loop, agent_services, NULL);
	promise(ring_store_open(&scene.store, SESSIONS, RING, NULL) == 0);
	proxy_start();
}

/* Of what is left only the store knows, until it is closed. */
static void end(void)
{
	proxy_stop();
	ring_store_close(&scene.store);
	ttrpc_server_destroy(&scene.agent);
	promise(list_empty(&scene.asked));
	promise(!scene.loop.timers);
	for (size_t i = 0; i < ENDS_MAX; i++)
		end_close(&scene.ends[i]);
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		connection_close(&scene.connections[i]);
	for (size_t i = 0; i < AGENTS_MAX; i++)
		fd_close(&scene.agents[i]);
	for (size_t i = 0; i < MODELS_MAX; i++)
		for (unsigned int j = 0; j < RING_STREAMS; j++)
			said_free(&scene.models[i].said[j]);
	loop_destroy(&scene.loop);
	scene.now = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned before = fuzz_count_fds();
	uint8_t options;

	memset(&scene, 0, sizeof(scene));
	scene.input = (struct fuzz_input){data, size};
	options = fuzz_byte(&scene.input);
	scene.helpful = options & 1;
	begin();
	while (scene.input.size > 0)
		step();
	if (!scene.unknown) {
		settle();
		check_settled();
	}
	if (options & 2)
		vm_ends();
	end();
	fuzz_check_fds(before);
	return 0;
}
