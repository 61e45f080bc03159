// uses: proxy/*.c lib/*.c
/* Sessions of proxy.sock, by a plain hybrid carrier whose VMM is the test itself, and so is the guest's agent: it takes
 * connections at ports 1024 and 1027, answers calls as each test wants it, and says right and wrong things as the streams of one
 * process. Everything is in one thread, which steps the loop while it waits.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent_service.pb-c.h"
#include "guest_service.pb-c.h"
#include "health_service.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/ttrpc_client.h"
#include "proxy/attach_line.h"
#include "proxy/attachment.h"
#include "proxy/carrier.h"
#include "proxy/session.h"
#include "proxy/unix_socket.h"
#include "ttrpc.pb-c.h"
#include "proxy_service.pb-c.h"

#define STEPS 20000
#define RING (64u << 10)
#define CONNECTIONS 32

static char directory[64];

/* ---- The scene ----------------------------------------------------------------------------------------------- */

static struct scene {
	struct loop loop;
	struct loop_timer tick;
	struct vsock_engine engine;
	struct streams streams;
	struct carrier *carrier;
	struct carrier_options options;
	struct ring_store store;
	struct sessions sessions;
	struct service service;
	struct ttrpc_client *client;

	/* The VMM, and the guest behind it. */
	int listener;
	struct loop_source source;
	struct {
		int fd;
		uint32_t port;
	} connections[CONNECTIONS]; /* to port 1027, by the number that names them */
	uint32_t last_port;
	unsigned int agents; /* connections to port 1024 so far */
	bool no_streams;     /* nobody listens at 1027 */
	struct ttrpc_server agent;

	/* The process, as the agent knows it. */
	enum ttrpc_code check_code, attach_code;
	struct {
		int fd;
		unsigned int attaches;
		uint64_t asked; /* the offset of the last AttachStream */
		uint64_t offset;
		bool offset_set, ended;
	} streams_of[RING_STREAMS];
	struct list waits, reads[RING_STREAMS], resizes;
	enum ttrpc_code wait_code;
	uint32_t read_length;
	char input[256]; /* by WriteStdin */
	bool input_closed;
	uint32_t signals[16];
	unsigned int signal_count, signal_all, resize_count;
	uint32_t rows;
} scene;

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

static void step_within(uint64_t time)
{
	loop_timer_set(&scene.loop, &scene.tick, time, nothing);
	assert_int_equal(loop_step(&scene.loop), 0);
}

static void steps(unsigned int count)
{
	while (count-- > 0)
		step_within(0);
}

/* Steps until it is so. */
#define await(condition)                                                   \
	do {                                                               \
		for (int i_ = 0; !(condition); i_++) {                     \
			if (i_ >= STEPS)                                   \
				fail_msg("waited in vain for " #condition); \
			step_within(LOOP_MILLISECOND);                     \
		}                                                          \
	} while (0)

/* ---- The agent ----------------------------------------------------------------------------------------------- */

static void check(struct ttrpc_call *call)
{
	if (scene.check_code != TTRPC_OK)
		ttrpc_call_fail(call, scene.check_code, "not so well");
	else
		ttrpc_call_reply(call, NULL);
}

static int take_connection(uint32_t port)
{
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		if (scene.connections[i].port == port && scene.connections[i].fd >= 0)
			return take_fd(&scene.connections[i].fd);
	return -1;
}

static void attach_stream(struct ttrpc_call *call)
{
	const Nacre__AttachStreamRequest *request = (const void *)call->request;
	Nacre__AttachStreamResponse response = NACRE__ATTACH_STREAM_RESPONSE__INIT;

	if (scene.attach_code != TTRPC_OK) {
		ttrpc_call_fail(call, scene.attach_code, "no");
		return;
	}
	assert_string_equal(request->container_id, "c1");
	fd_close(&scene.streams_of[request->stream].fd);
	scene.streams_of[request->stream].fd = take_connection(request->port);
	assert_true(scene.streams_of[request->stream].fd >= 0);
	scene.streams_of[request->stream].attaches++;
	scene.streams_of[request->stream].asked = request->offset;
	response.offset = scene.streams_of[request->stream].offset_set ? scene.streams_of[request->stream].offset
								      : request->offset;
	response.ended = scene.streams_of[request->stream].ended;
	ttrpc_call_reply(call, &response.base);
}

static void wait_process(struct ttrpc_call *call)
{
	if (scene.wait_code != TTRPC_OK)
		ttrpc_call_fail(call, scene.wait_code, "no such process");
	else
		waiting_add(&scene.waits, call);
}

static void read_stream(struct ttrpc_call *call, unsigned int number)
{
	scene.read_length = ((const Grpc__ReadStreamRequest *)call->request)->len;
	if (scene.wait_code != TTRPC_OK)
		ttrpc_call_fail(call, scene.wait_code, "no such process");
	else
		waiting_add(&scene.reads[number], call);
}

static void read_stdout(struct ttrpc_call *call)
{
	read_stream(call, SESSION_STDOUT);
}

static void read_stderr(struct ttrpc_call *call)
{
	read_stream(call, SESSION_STDERR);
}

static void write_stdin(struct ttrpc_call *call)
{
	const Grpc__WriteStreamRequest *request = (const void *)call->request;
	Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;

	strncat(scene.input, (const char *)request->data.data, request->data.len);
	response.len = (uint32_t)request->data.len;
	ttrpc_call_reply(call, &response.base);
}

static void close_stdin(struct ttrpc_call *call)
{
	scene.input_closed = true;
	ttrpc_call_reply(call, NULL);
}

static void signal_process(struct ttrpc_call *call)
{
	const Grpc__SignalProcessRequest *request = (const void *)call->request;

	scene.signals[scene.signal_count++ % 16] = request->signal;
	scene.signal_all += *request->exec_id == '\0';
	ttrpc_call_reply(call, NULL);
}

static void resize(struct ttrpc_call *call)
{
	scene.rows = ((const Grpc__TtyWinResizeRequest *)call->request)->row;
	scene.resize_count++;
	waiting_add(&scene.resizes, call);
}

static const struct ttrpc_method agent_methods[] = {
	{"WaitProcess", wait_process}, {"ReadStdout", read_stdout},	  {"ReadStderr", read_stderr},
	{"WriteStdin", write_stdin},   {"CloseStdin", close_stdin},	  {"SignalProcess", signal_process},
	{"TtyWinResize", resize},      {NULL, NULL},
};
static const struct ttrpc_method guest_methods[] = {{"AttachStream", attach_stream}, {NULL, NULL}};
static const struct ttrpc_method health_methods[] = {{"Check", check}, {NULL, NULL}};
static const struct ttrpc_service agent_service = {.descriptor = &grpc__agent_service__descriptor, .methods = agent_methods};
static const struct ttrpc_service guest_service = {.descriptor = &nacre__guest__descriptor, .methods = guest_methods};
static const struct ttrpc_service health_service = {.descriptor = &grpc__health__descriptor, .methods = health_methods};
static const struct ttrpc_service *const agent_services[] = {&agent_service, &guest_service, &health_service, NULL};

static void agent_start(void)
{
	list_init(&scene.waits);
	list_init(&scene.resizes);
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		list_init(&scene.reads[i]);
	ttrpc_server_init(&scene.agent, &scene.loop, agent_services, NULL);
}

static void serve_port(int fd, uint32_t port)
{
	char answer[32];

	scene.last_port++;
	assert_int_equal(dprintf(fd, "OK %u\n", scene.last_port),
			 snprintf(answer, sizeof(answer), "OK %u\n", scene.last_port));
	if (port == 1024) {
		scene.agents++;
		assert_int_equal(ttrpc_server_serve(&scene.agent, fd), 0);
		return;
	}
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		if (scene.connections[i].fd >= 0)
			continue;
		fcntl(fd, F_SETFL, O_NONBLOCK);
		scene.connections[i].fd = fd;
		scene.connections[i].port = scene.last_port;
		return;
	}
	fail_msg("more than %d connections", CONNECTIONS);
}

/* A client of the VMM's socket. The line comes with the connection, or at once behind it. */
static void vmm_ready(struct loop_source *source, uint32_t events)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC);
	char line[32] = "";
	unsigned int port;

	(void)events;
	if (fd < 0)
		return;
	for (int i = 0; !strchr(line, '\n'); i++) {
		ssize_t length = recv(fd, line, sizeof(line) - 1, MSG_PEEK | MSG_DONTWAIT);

		assert_true(i < STEPS && length != 0);
		if (length < 0)
			usleep(100);
		else
			line[length] = '\0';
	}
	assert_int_equal(sscanf(line, "CONNECT %u\n", &port), 1);
	assert_int_equal(read(fd, line, strchr(line, '\n') + 1 - line), strchr(line, '\n') + 1 - line);
	if (port == 1027 && scene.no_streams)
		close(fd);
	else
		serve_port(fd, port);
}

static void started(struct vsock_engine *engine)
{
	streams_started(&container_of(engine, struct scene, engine)->streams);
}

static void agent_opened(struct streams *streams)
{
	(void)streams;
	service_set_ready(&scene.service);
}

static const struct vsock_engine_ops engine_ops = {.started = started};

static void client_new(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	attach_line_serve(&scene.service, pair[1]);
	scene.client = ttrpc_client_new(&scene.loop, pair[0]);
	assert_non_null(scene.client);
}

static void start_with(size_t sessions)
{
	static char path[128];

	scene = (struct scene){.listener = -1};
	snprintf(path, sizeof(path), "%s/vmm.sock", directory);
	scene.options = (struct carrier_options){.type = CARRIER_HYBRID, .path = path, .guest_cid = CARRIER_ANY_CID};
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		scene.connections[i].fd = -1;
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		scene.streams_of[i].fd = -1;
	assert_int_equal(loop_init(&scene.loop), 0);
	scene.listener = unix_listen(path, NULL);
	assert_true(scene.listener >= 0);
	assert_int_equal(loop_add(&scene.loop, &scene.source, scene.listener, EPOLLIN, vmm_ready), 0);
	vsock_engine_init(&scene.engine, &scene.loop, VSOCK_HOST_CID, CARRIER_ANY_CID, &engine_ops);
	scene.engine.buffer = VSOCK_BUFFER;
	streams_init(&scene.streams, &scene.loop, &scene.engine, agent_opened);
	scene.carrier = calloc(1, hybrid_carrier.size);
	*scene.carrier = (struct carrier){.ops = &hybrid_carrier, .loop = &scene.loop, .engine = &scene.engine};
	assert_int_equal(scene.carrier->ops->open(scene.carrier, &scene.options, NULL, NULL), 0);
	assert_int_equal(ring_store_open(&scene.store, sessions, RING, NULL), 0);
	agent_start();
	sessions_init(&scene.sessions, &scene.loop, &scene.streams, &scene.store);
	service_init(&scene.service, &scene.loop, &scene.streams, &scene.sessions);
	client_new();
}

static void start(void)
{
	start_with(4);
}

/* Nothing may be left. */
static void end(void)
{
	ttrpc_client_free(scene.client);
	service_close(&scene.service);
	sessions_destroy(&scene.sessions);
	ring_store_close(&scene.store);
	ttrpc_server_destroy(&scene.agent);
	streams_destroy(&scene.streams);
	steps(5);
	scene.carrier->ops->close(scene.carrier);
	free(scene.carrier);
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		fd_close(&scene.connections[i].fd);
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		fd_close(&scene.streams_of[i].fd);
	loop_remove(&scene.loop, &scene.source);
	fd_close(&scene.listener);
	loop_timer_clear(&scene.loop, &scene.tick);
	loop_destroy(&scene.loop);
	unlink(scene.options.path);
}

/* ---- The client ---------------------------------------------------------------------------------------------- */

struct answer {
	unsigned int count;
	enum ttrpc_code code;
	char message[256];
	int32_t status;
	int64_t time;
	bool output_cut;
	uint64_t attachment, offset, dropped;
	uint32_t ports[RING_STREAMS];
	Nacre__OpenSessionResponse__Way way;
};

static void answered(void *data, const struct ttrpc_result *result)
{
	struct answer *answer = data;
	const ProtobufCMessage *response = result->response;

	answer->count++;
	answer->code = result->code;
	snprintf(answer->message, sizeof(answer->message), "%s", result->message);
	if (!response)
		return;
	if (response->descriptor == &nacre__wait_exit_response__descriptor) {
		answer->status = ((const Nacre__WaitExitResponse *)response)->status;
		answer->time = ((const Nacre__WaitExitResponse *)response)->time;
		answer->output_cut = ((const Nacre__WaitExitResponse *)response)->output_cut;
	} else if (response->descriptor == &nacre__attach_response__descriptor) {
		answer->attachment = ((const Nacre__AttachResponse *)response)->attachment;
		answer->offset = ((const Nacre__AttachResponse *)response)->offset;
		answer->dropped = ((const Nacre__AttachResponse *)response)->dropped;
	} else if (response->descriptor == &nacre__detach_response__descriptor) {
		answer->offset = ((const Nacre__DetachResponse *)response)->offset;
		answer->dropped = ((const Nacre__DetachResponse *)response)->dropped;
	} else if (response->descriptor == &nacre__open_session_response__descriptor) {
		answer->way = ((const Nacre__OpenSessionResponse *)response)->way;
		answer->ports[0] = ((const Nacre__OpenSessionResponse *)response)->stdin_port;
		answer->ports[1] = ((const Nacre__OpenSessionResponse *)response)->stdout_port;
		answer->ports[2] = ((const Nacre__OpenSessionResponse *)response)->stderr_port;
	}
}

static void call(const char *method, const ProtobufCMessage *request, struct answer *answer)
{
	*answer = (struct answer){0};
	assert_int_equal(ttrpc_client_call(scene.client, &nacre__proxy__descriptor, method, request, 0, answered, answer), 0);
}

static void open_with(bool terminal, bool ports, struct answer *answer)
{
	Nacre__OpenSessionRequest request = NACRE__OPEN_SESSION_REQUEST__INIT;

	request.container_id = "c1";
	request.exec_id = "e1";
	request.terminal = terminal;
	request.ports = ports;
	call("OpenSession", &request.base, answer);
	await(answer->count > 0);
}

static struct answer session_open(void)
{
	struct answer answer;

	open_with(false, false, &answer);
	assert_int_equal(answer.code, TTRPC_OK);
	assert_int_equal(answer.way, NACRE__OPEN_SESSION_RESPONSE__WAY__GUEST);
	return answer;
}

static void by_name(const char *method, struct answer *answer)
{
	Nacre__SessionRequest request = NACRE__SESSION_REQUEST__INIT;

	request.container_id = "c1";
	request.exec_id = "e1";
	call(method, &request.base, answer);
}

static Nacre__AttachRequest attach_request(unsigned int stream)
{
	Nacre__AttachRequest request = NACRE__ATTACH_REQUEST__INIT;

	request.container_id = "c1";
	request.exec_id = "e1";
	request.stream = stream;
	return request;
}

/* Attaches `fd`, which stays the caller's. */
static struct answer attach_fd(const Nacre__AttachRequest *request, int fd)
{
	struct answer answer = {0};

	assert_int_equal(ttrpc_client_call_passing(scene.client, &nacre__proxy__descriptor, "Attach", &request->base, fd, 0,
						   answered, &answer),
			 0);
	await(answer.count > 0);
	return answer;
}

/* Attaches one end of a pipe; ours, which doesn't block. */
static int attach_pipe(const Nacre__AttachRequest *request, struct answer *answer)
{
	bool input = request->stream == SESSION_STDIN;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	*answer = attach_fd(request, fds[!input]);
	close(fds[!input]);
	assert_int_equal(answer->code, TTRPC_OK);
	fcntl(fds[input], F_SETFL, O_NONBLOCK);
	return fds[input];
}

static int attach(unsigned int stream)
{
	Nacre__AttachRequest request = attach_request(stream);
	struct answer answer;

	return attach_pipe(&request, &answer);
}

static struct answer detach(uint64_t attachment)
{
	Nacre__DetachRequest request = NACRE__DETACH_REQUEST__INIT;
	struct answer answer;

	request.attachment = attachment;
	call("Detach", &request.base, &answer);
	await(answer.count > 0);
	return answer;
}

static void send_signal(uint32_t signal, bool all, struct answer *answer)
{
	Nacre__SignalRequest request = NACRE__SIGNAL_REQUEST__INIT;

	request.container_id = "c1";
	request.exec_id = "e1";
	request.signal = signal;
	request.all = all;
	call("Signal", &request.base, answer);
}

static Nacre__ListSessionsResponse *list_sessions(void)
{
	ProtobufCMessage *response = NULL;

	assert_int_equal(ttrpc_client_invoke(scene.client, &nacre__proxy__descriptor, "ListSessions", NULL, 0, &response, NULL,
					     NULL),
			 0);
	return (Nacre__ListSessionsResponse *)response;
}

static void list_free(Nacre__ListSessionsResponse *list)
{
	nacre__list_sessions_response__free_unpacked(list, NULL);
}

/* The types of all events so far, a letter each. */
static const char *events(void)
{
	static const char letters[] = "RLSECD";
	static char text[300];
	Nacre__NextEventsRequest request = NACRE__NEXT_EVENTS_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	const Nacre__NextEventsResponse *got;
	size_t i;

	assert_int_equal(ttrpc_client_invoke(scene.client, &nacre__proxy__descriptor, "NextEvents", &request.base, 0, &response,
					     NULL, NULL),
			 0);
	got = (const void *)response;
	for (i = 0; i < got->n_events && i < sizeof(text) - 1; i++)
		text[i] = letters[got->events[i]->type];
	text[i] = '\0';
	protobuf_c_message_free_unpacked(response, NULL);
	return text;
}

/* ---- Bytes --------------------------------------------------------------------------------------------------- */

static ssize_t read_some(int fd, void *data, size_t size)
{
	for (int i = 0; i < STEPS; i++) {
		ssize_t length = read(fd, data, size);

		if (length >= 0 || errno == ECONNRESET)
			return length < 0 ? 0 : length;
		assert_int_equal(errno, EAGAIN);
		step_within(LOOP_MILLISECOND);
	}
	fail_msg("nothing came");
	return -1;
}

static void read_all(int fd, void *data, size_t size)
{
	for (size_t length = 0; length < size;) {
		ssize_t count = read_some(fd, (char *)data + length, size - length);

		assert_true(count > 0);
		length += (size_t)count;
	}
}

static void expect(int fd, const char *text)
{
	char data[256] = "";

	read_all(fd, data, strlen(text));
	assert_string_equal(data, text);
}

static void expect_end(int fd)
{
	char byte;

	assert_int_equal(read_some(fd, &byte, 1), 0);
	close(fd);
}

static void expect_silence(int fd)
{
	char byte;

	steps(10);
	assert_int_equal(read(fd, &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
}

static void write_all(int fd, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t count = write(fd, (const char *)data + done, size - done);

		if (count < 0)
			assert_int_equal(errno, EAGAIN);
		done += count > 0 ? (size_t)count : 0;
		step_within(count > 0 ? 0 : LOOP_MILLISECOND);
	}
}

/* The guest's end of a stream. */
static int guest_fd(unsigned int stream)
{
	return scene.streams_of[stream].fd;
}

static void guest_record(unsigned int stream, const void *data, uint32_t length)
{
	uint32_t number = htole32(length);

	write_all(guest_fd(stream), &number, sizeof(number));
	write_all(guest_fd(stream), data, length);
}

static void guest_says(unsigned int stream, const char *text)
{
	guest_record(stream, text, (uint32_t)strlen(text));
}

static void guest_ends(unsigned int stream)
{
	guest_record(stream, "", 0);
}

/* Waits until the proxy has acknowledged that much. */
static void guest_acknowledged(unsigned int stream, uint64_t wanted)
{
	uint64_t offset = 0;

	while (offset < wanted) {
		read_all(guest_fd(stream), &offset, sizeof(offset));
		offset = le64toh(offset);
	}
	assert_int_equal(offset, wanted);
}

static uint64_t guest_acknowledges(uint64_t offset)
{
	uint64_t number = htole64(offset);

	write_all(guest_fd(SESSION_STDIN), &number, sizeof(number));
	return offset;
}

static void guest_gets(const char *text)
{
	uint32_t length;

	read_all(guest_fd(SESSION_STDIN), &length, sizeof(length));
	assert_int_equal(le32toh(length), strlen(text));
	if (*text)
		expect(guest_fd(SESSION_STDIN), text);
}

static void process_exits(int32_t status)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;
	struct ttrpc_call *waits;

	await(!list_empty(&scene.waits));
	response.status = status;
	while ((waits = waiting_take(&scene.waits)))
		ttrpc_call_reply(waits, &response.base);
}

/* ---- By nacre.Guest ------------------------------------------------------------------------------------------ */

static void output_reaches_who_is_attached(void **state)
{
	Nacre__ListSessionsResponse *list;
	struct answer exit, late;
	int out, err;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	err = attach(SESSION_STDERR);
	guest_says(SESSION_STDOUT, "hello ");
	guest_says(SESSION_STDOUT, "world");
	guest_says(SESSION_STDERR, "oops");
	expect(out, "hello world");
	expect(err, "oops");
	guest_acknowledged(SESSION_STDOUT, 11);
	guest_acknowledged(SESSION_STDERR, 4);
	by_name("WaitExit", &exit);
	process_exits(137);
	steps(10);
	/* The status isn't told before the last byte. */
	assert_int_equal(exit.count, 0);
	write_all(guest_fd(SESSION_STDOUT), "\1\0\0\0!\0\0\0\0", 9);
	guest_acknowledged(SESSION_STDOUT, 12);
	guest_ends(SESSION_STDERR);
	await(exit.count > 0);
	assert_int_equal(exit.code, TTRPC_OK);
	assert_int_equal(exit.status, 137);
	assert_true(exit.time > INT64_C(1500000000) * 1000000000);
	assert_false(exit.output_cut);
	expect(out, "!");
	expect_end(out);
	expect_end(err);
	by_name("WaitExit", &late);
	await(late.count > 0);
	assert_int_equal(late.status, 137);
	assert_int_equal(late.time, exit.time);
	list = list_sessions();
	assert_int_equal(list->n_sessions, 1);
	assert_string_equal(list->sessions[0]->exec_id, "e1");
	assert_int_equal(list->sessions[0]->exit->status, 137);
	assert_int_equal(list->sessions[0]->n_streams, 3);
	assert_int_equal(list->sessions[0]->streams[1]->bytes, 12);
	assert_int_equal(list->sessions[0]->streams[1]->kept, 12);
	assert_int_equal(list->sessions[0]->streams[1]->dropped, 0);
	assert_true(list->sessions[0]->streams[1]->ended);
	list_free(list);
	assert_string_equal(events(), "RSE");
	end();
}

/* `size` bytes of a pattern that shows where it is. */
static void guest_pattern(unsigned int stream, uint64_t from, size_t size)
{
	uint8_t data[8192];

	while (size > 0) {
		size_t here = size < sizeof(data) ? size : sizeof(data);

		for (size_t i = 0; i < here; i++)
			data[i] = (uint8_t)((from + i) % 251);
		guest_record(stream, data, (uint32_t)here);
		from += here;
		size -= here;
	}
}

static void expect_pattern(int fd, uint64_t from, size_t size)
{
	uint8_t *data = malloc(size);

	read_all(fd, data, size);
	for (size_t i = 0; i < size; i++)
		if (data[i] != (uint8_t)((from + i) % 251))
			fail_msg("byte %zu is %u, not %u", (size_t)(from + i), data[i], (unsigned int)((from + i) % 251));
	free(data);
}

static void the_ring_replays_and_counts_what_it_drops(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	struct answer answer;
	int first, second;

	(void)state;
	start();
	session_open();
	guest_pattern(SESSION_STDOUT, 0, 200000);
	guest_acknowledged(SESSION_STDOUT, 200000);
	first = attach_pipe(&request, &answer);
	assert_int_equal(answer.offset, 200000 - RING);
	assert_int_equal(answer.dropped, 0);
	expect_pattern(first, 200000 - RING, RING);
	request.from = NACRE__ATTACH_REQUEST__FROM__OFFSET;
	request.offset = 100000;
	second = attach_pipe(&request, &answer);
	assert_int_equal(answer.offset, 200000 - RING);
	assert_int_equal(answer.dropped, 100000 - RING);
	expect_pattern(second, 200000 - RING, RING);
	close(second);
	request.offset = 199000;
	second = attach_pipe(&request, &answer);
	assert_int_equal(answer.offset, 199000);
	assert_int_equal(answer.dropped, 0);
	expect_pattern(second, 199000, 1000);
	close(second);
	request.from = NACRE__ATTACH_REQUEST__FROM__NOW;
	second = attach_pipe(&request, &answer);
	assert_int_equal(answer.offset, 200000);
	guest_says(SESSION_STDOUT, "now");
	expect(second, "now");
	expect(first, "now");
	assert_string_equal(events(), "RSD");
	close(first);
	close(second);
	end();
}

/* What was read once isn't lost when it leaves the ring. */
static void only_what_nobody_had_is_dropped(void **state)
{
	Nacre__ListSessionsResponse *list;
	struct answer answer;
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	int fd;

	(void)state;
	start();
	session_open();
	fd = attach_pipe(&request, &answer);
	guest_pattern(SESSION_STDOUT, 0, 40000);
	expect_pattern(fd, 0, 40000);
	assert_int_equal(detach(answer.attachment).offset, 40000);
	expect_end(fd);
	guest_pattern(SESSION_STDOUT, 40000, RING);
	guest_acknowledged(SESSION_STDOUT, 40000 + RING);
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[1]->dropped, 0);
	list_free(list);
	guest_pattern(SESSION_STDOUT, 40000 + RING, 100);
	guest_acknowledged(SESSION_STDOUT, 40000 + RING + 100);
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[1]->dropped, 100);
	assert_int_equal(list->sessions[0]->streams[1]->kept, RING);
	list_free(list);
	end();
}

static void a_stalled_reader_holds_up_its_own_stream(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	Nacre__ListSessionsResponse *list;
	struct answer answer;
	uint64_t offset;
	int stalled, quick, lossy, err;

	(void)state;
	start();
	session_open();
	stalled = attach_pipe(&request, &answer);
	quick = attach_pipe(&request, &answer);
	request.lossy = true;
	lossy = attach_pipe(&request, &answer);
	err = attach(SESSION_STDERR);
	/* As much as the pipe and the ring take, and no more. */
	guest_pattern(SESSION_STDOUT, 0, 65536 + RING + 20000);
	expect_pattern(quick, 0, 65536 + RING);
	expect_silence(quick);
	guest_acknowledged(SESSION_STDOUT, 65536 + RING);
	guest_says(SESSION_STDERR, "free");
	expect(err, "free");
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[1]->stalls, 1);
	assert_int_equal(list->sessions[0]->streams[1]->credit, 0);
	assert_int_equal(list->sessions[0]->streams[1]->attached, 3);
	list_free(list);
	/* It goes: the others go on, and the one that may miss bytes does. */
	close(stalled);
	expect_pattern(quick, 65536 + RING, 20000);
	guest_acknowledged(SESSION_STDOUT, 65536 + RING + 20000);
	expect_pattern(lossy, 0, 65536);
	read_all(lossy, &(char[1]){0}, 1);
	offset = detach(answer.attachment).dropped;
	assert_int_equal(offset, 20000);
	close(lossy);
	close(quick);
	close(err);
	end();
}

static void attaching_again_loses_nothing(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	struct answer answer;
	uint64_t offset = 0;
	int fd;

	(void)state;
	start();
	session_open();
	for (int i = 0; i < 50; i++) {
		request.from = NACRE__ATTACH_REQUEST__FROM__OFFSET;
		request.offset = offset;
		fd = attach_pipe(&request, &answer);
		assert_int_equal(answer.offset, offset);
		guest_pattern(SESSION_STDOUT, offset, 3000);
		expect_pattern(fd, offset, 2000);
		/* What lies in the pipe has been handed over. */
		answer = detach(answer.attachment);
		expect_pattern(fd, offset + 2000, answer.offset - offset - 2000);
		expect_end(fd);
		guest_pattern(SESSION_STDOUT, offset + 3000, 500);
		guest_acknowledged(SESSION_STDOUT, offset + 3500);
		request.offset = answer.offset;
		fd = attach_pipe(&request, &answer);
		expect_pattern(fd, request.offset, offset + 3500 - request.offset);
		offset += 3500;
		close(fd);
	}
	end();
}

static void nobody_else_detaches(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	struct ttrpc_client *first;
	struct answer attached;
	int fd;

	(void)state;
	start();
	session_open();
	fd = attach_pipe(&request, &attached);
	first = scene.client;
	client_new();
	assert_int_equal(detach(attached.attachment).code, TTRPC_NOT_FOUND);
	guest_says(SESSION_STDOUT, "still");
	expect(fd, "still");
	ttrpc_client_free(scene.client);
	scene.client = first;
	assert_int_equal(detach(attached.attachment).code, TTRPC_OK);
	expect_end(fd);
	end();
}

static void input_is_kept_until_the_guest_has_it(void **state)
{
	Nacre__ListSessionsResponse *list;
	Nacre__AttachRequest request = attach_request(SESSION_STDIN);
	struct answer answer;
	int in, second;

	(void)state;
	start();
	session_open();
	in = attach(SESSION_STDIN);
	request.keep_open = true;
	second = attach_pipe(&request, &answer);
	write_all(in, "one", 3);
	guest_gets("one");
	write_all(second, "two", 3);
	guest_gets("two");
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[0]->kept, 6);
	assert_int_equal(list->sessions[0]->streams[0]->bytes, 0);
	list_free(list);
	guest_acknowledges(4);
	steps(10);
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[0]->kept, 2);
	assert_int_equal(list->sessions[0]->streams[0]->bytes, 4);
	list_free(list);
	/* The end of one that keeps it open is nothing; the other's is the end. */
	close(second);
	steps(10);
	expect_silence(guest_fd(SESSION_STDIN));
	write_all(in, "!", 1);
	close(in);
	guest_gets("!");
	guest_gets("");
	expect_silence(guest_fd(SESSION_STDIN));
	assert_int_equal(attach_fd(&request, guest_fd(SESSION_STDIN)).code, TTRPC_FAILED_PRECONDITION);
	end();
}

static void input_is_bounded(void **state)
{
	static const char zeros[8192];
	int in;
	size_t written = 0;

	(void)state;
	start();
	session_open();
	in = attach(SESSION_STDIN);
	for (int idle = 0; idle < 20;) {
		ssize_t count = write(in, zeros, sizeof(zeros));

		idle = count > 0 ? 0 : idle + 1;
		written += count > 0 ? (size_t)count : 0;
		step_within(LOOP_MILLISECOND);
	}
	assert_int_equal(written, RING + 65536);
	guest_acknowledges(1000);
	steps(10);
	assert_int_equal(scene.sessions.all.next != &scene.sessions.all, 1);
	close(in);
	end();
}

/* More than the ring has room for lies there at once. */
static void input_by_a_socket_comes_whole(void **state)
{
	enum { SIZE = 150000 };
	Nacre__AttachRequest request = attach_request(SESSION_STDIN);
	Nacre__ListSessionsResponse *list;
	uint8_t *data = malloc(SIZE);
	size_t got = 0;
	int pair[2];

	(void)state;
	start();
	session_open();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i % 251);
	assert_int_equal(send(pair[0], data, SIZE, MSG_DONTWAIT), SIZE);
	assert_int_equal(attach_fd(&request, pair[1]).code, TTRPC_OK);
	close(pair[1]);
	close(pair[0]);
	memset(data, 0, SIZE);
	for (uint32_t length = 1; length > 0; got += length) {
		read_all(guest_fd(SESSION_STDIN), &length, sizeof(length));
		length = le32toh(length);
		assert_true(got + length <= SIZE);
		read_all(guest_fd(SESSION_STDIN), data + got, length);
		guest_acknowledges(got + length);
	}
	assert_int_equal(got, SIZE);
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[0]->dropped, 0);
	list_free(list);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(data[i], (uint8_t)(i % 251));
	free(data);
	end();
}

static void a_cut_connection_is_made_again(void **state)
{
	int out, in;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	in = attach(SESSION_STDIN);
	/* In the midst of a record. */
	write_all(guest_fd(SESSION_STDOUT), "\x0a\0\0\0hello", 9);
	expect(out, "hello");
	fd_close(&scene.streams_of[SESSION_STDOUT].fd);
	await(scene.streams_of[SESSION_STDOUT].attaches == 2);
	assert_int_equal(scene.streams_of[SESSION_STDOUT].asked, 5);
	guest_says(SESSION_STDOUT, " again");
	expect(out, " again");
	/* Of input the guest says where it goes on. */
	write_all(in, "abcdef", 6);
	guest_gets("abcdef");
	scene.streams_of[SESSION_STDIN].offset = 4;
	scene.streams_of[SESSION_STDIN].offset_set = true;
	fd_close(&scene.streams_of[SESSION_STDIN].fd);
	await(scene.streams_of[SESSION_STDIN].attaches == 2);
	guest_gets("ef");
	close(in);
	guest_gets("");
	close(out);
	end();
}

static void an_agent_that_starts_again_is_found(void **state)
{
	struct answer exit, second;
	int out;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	by_name("WaitExit", &exit);
	await(!list_empty(&scene.waits));
	guest_says(SESSION_STDOUT, "before");
	expect(out, "before");
	ttrpc_server_destroy(&scene.agent);
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		fd_close(&scene.streams_of[i].fd);
	agent_start();
	await(scene.streams_of[SESSION_STDOUT].attaches == 2 && scene.streams_of[SESSION_STDIN].attaches == 2);
	assert_int_equal(scene.streams_of[SESSION_STDOUT].asked, 6);
	assert_int_equal(scene.agents, 2);
	guest_says(SESSION_STDOUT, " and after");
	expect(out, " and after");
	guest_ends(SESSION_STDOUT);
	guest_ends(SESSION_STDERR);
	process_exits(0);
	await(exit.count > 0);
	assert_int_equal(exit.code, TTRPC_OK);
	expect_end(out);
	assert_string_equal(events(), "RSLRE");
	open_with(false, false, &second);
	assert_int_equal(second.way, NACRE__OPEN_SESSION_RESPONSE__WAY__GUEST);
	end();
}

/* UNAVAILABLE is an answer as well, if it is the agent that says so. */
static void an_agent_that_is_unwell_is_there(void **state)
{
	(void)state;
	start();
	scene.check_code = TTRPC_UNAVAILABLE;
	session_open();
	end();
}

/* What the guest has lost is said to be lost. */
static void a_gap_is_counted(void **state)
{
	Nacre__ListSessionsResponse *list;

	(void)state;
	start();
	scene.streams_of[SESSION_STDOUT].offset = 1000;
	scene.streams_of[SESSION_STDOUT].offset_set = true;
	session_open();
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[1]->dropped, 0);
	assert_int_equal(list->sessions[0]->streams[1]->bytes, 1000);
	list_free(list);
	scene.streams_of[SESSION_STDOUT].offset = 1500;
	fd_close(&scene.streams_of[SESSION_STDOUT].fd);
	await(scene.streams_of[SESSION_STDOUT].attaches == 2);
	steps(5);
	list = list_sessions();
	assert_int_equal(list->sessions[0]->streams[1]->dropped, 500);
	list_free(list);
	end();
}

/* What the guest says behind it is held back for a reader that is still in front of it, as anything else is. */
static void a_gap_costs_a_reader_no_more_than_itself(void **state)
{
	int out;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	guest_pattern(SESSION_STDOUT, 0, 65536 + 1000);
	guest_acknowledged(SESSION_STDOUT, 65536 + 1000);
	scene.streams_of[SESSION_STDOUT].offset = 1000000;
	scene.streams_of[SESSION_STDOUT].offset_set = true;
	fd_close(&scene.streams_of[SESSION_STDOUT].fd);
	await(scene.streams_of[SESSION_STDOUT].attaches == 2);
	guest_pattern(SESSION_STDOUT, 1000000, 2 * RING);
	steps(5);
	expect_pattern(out, 0, 65536);
	expect_pattern(out, 1000000, 2 * RING);
	close(out);
	end();
}

/* ---- A guest that lies --------------------------------------------------------------------------------------- */

static void lies_end_their_stream_and_nothing_else(void **state)
{
	static const uint8_t long_record[] = {1, 0, 1, 0};
	int out, err, in;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	err = attach(SESSION_STDERR);
	in = attach(SESSION_STDIN);
	write_all(guest_fd(SESSION_STDOUT), long_record, sizeof(long_record));
	expect_end(out);
	/* More than was sent. */
	write_all(in, "abc", 3);
	guest_gets("abc");
	guest_acknowledges(4);
	signal(SIGPIPE, SIG_IGN);
	await(write(in, "x", 1) < 0 && errno == EPIPE);
	close(in);
	guest_says(SESSION_STDERR, "fine");
	expect(err, "fine");
	/* And one that goes back, when it is attached again. */
	scene.streams_of[SESSION_STDERR].offset = 3;
	scene.streams_of[SESSION_STDERR].offset_set = true;
	fd_close(&scene.streams_of[SESSION_STDERR].fd);
	expect_end(err);
	assert_int_equal(scene.streams_of[SESSION_STDERR].attaches, 2);
	end();
}

static void an_offset_out_of_the_world(void **state)
{
	struct answer answer;

	(void)state;
	start();
	scene.streams_of[SESSION_STDOUT].offset = UINT64_MAX - 5;
	scene.streams_of[SESSION_STDOUT].offset_set = true;
	answer = session_open();
	assert_int_equal(answer.code, TTRPC_OK);
	expect_end(attach(SESSION_STDOUT));
	end();
}

/* ---- The end ------------------------------------------------------------------------------------------------- */

static void a_grandchild_holds_nobody_up(void **state)
{
	struct answer exit;
	int out;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	by_name("WaitExit", &exit);
	process_exits(3);
	await(exit.count > 0);
	assert_int_equal(exit.status, 3);
	assert_true(exit.output_cut);
	guest_says(SESSION_STDOUT, "late");
	expect(out, "late");
	/* What it holds open still is made again where it is cut. */
	fd_close(&scene.streams_of[SESSION_STDOUT].fd);
	await(scene.streams_of[SESSION_STDOUT].attaches == 2);
	guest_says(SESSION_STDOUT, "later");
	expect(out, "later");
	close(out);
	end();
}

static void what_was_asked_is_answered_after_the_end(void **state)
{
	Nacre__ResizeRequest request = NACRE__RESIZE_REQUEST__INIT;
	struct answer answers[2], exit;

	(void)state;
	start();
	session_open();
	request.container_id = "c1";
	request.exec_id = "e1";
	for (size_t i = 0; i < 2; i++)
		call("Resize", &request.base, &answers[i]);
	await(scene.resize_count == 1);
	guest_ends(SESSION_STDOUT);
	guest_ends(SESSION_STDERR);
	by_name("WaitExit", &exit);
	process_exits(0);
	await(exit.count > 0);
	steps(5);
	for (size_t i = 0; i < 2; i++) {
		await(scene.resize_count == i + 1);
		assert_false(list_empty(&scene.resizes));
		ttrpc_call_reply(waiting_take(&scene.resizes), NULL);
		await(answers[i].count > 0);
		assert_int_equal(answers[i].code, TTRPC_OK);
	}
	end();
}

static void a_closed_session_is_gone(void **state)
{
	Nacre__ResizeRequest request = NACRE__RESIZE_REQUEST__INIT;
	struct answer closed, exit, gone, resize;
	int out, in;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	in = attach(SESSION_STDIN);
	guest_pattern(SESSION_STDOUT, 0, 5000);
	expect_pattern(out, 0, 5000);
	by_name("WaitExit", &exit);
	request.container_id = "c1";
	request.exec_id = "e1";
	call("Resize", &request.base, &resize);
	await(scene.resize_count == 1);
	by_name("CloseSession", &closed);
	await(closed.count > 0);
	await(resize.count > 0);
	assert_int_equal(resize.code, TTRPC_UNAVAILABLE);
	assert_int_equal(closed.code, TTRPC_OK);
	await(exit.count > 0);
	assert_int_equal(exit.code, TTRPC_UNAVAILABLE);
	expect_end(out);
	by_name("WaitExit", &gone);
	await(gone.count > 0);
	assert_int_equal(gone.code, TTRPC_NOT_FOUND);
	await(scene.sessions.streams->from_host == 0);
	/* Another one begins where the guest is; here at 0, and with an empty ring. */
	session_open();
	assert_int_equal(scene.streams_of[SESSION_STDOUT].asked, 0);
	assert_string_equal(events(), "RSCS");
	close(in);
	end();
}

static void sessions_are_bounded(void **state)
{
	Nacre__OpenSessionRequest request = NACRE__OPEN_SESSION_REQUEST__INIT;
	char name[300];
	struct answer answer;

	(void)state;
	start_with(1);
	session_open();
	request.container_id = "c2";
	call("OpenSession", &request.base, &answer);
	await(answer.count > 0);
	assert_int_equal(answer.code, TTRPC_RESOURCE_EXHAUSTED);
	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	request.container_id = name;
	call("OpenSession", &request.base, &answer);
	await(answer.count > 0);
	assert_int_equal(answer.code, TTRPC_INVALID_ARGUMENT);
	end();
}

/* ---- Signals and sizes --------------------------------------------------------------------------------------- */

static void a_signal_follows_the_input(void **state)
{
	struct answer first, second, third, kill;
	int in;

	(void)state;
	start();
	session_open();
	in = attach(SESSION_STDIN);
	assert_int_equal(write(in, "typed", 5), 5);
	send_signal(2, false, &first);
	send_signal(15, false, &second);
	guest_gets("typed");
	steps(20);
	assert_int_equal(scene.signal_count, 0);
	send_signal(9, true, &kill);
	await(kill.count > 0);
	assert_int_equal(scene.signals[0], 9);
	assert_int_equal(scene.signal_all, 1);
	guest_acknowledges(5);
	await(first.count > 0 && second.count > 0);
	assert_int_equal(scene.signals[1], 2);
	assert_int_equal(scene.signals[2], 15);
	assert_int_equal(scene.signal_all, 1);
	/* What nobody takes holds it up for a second. */
	assert_int_equal(write(in, "more", 4), 4);
	send_signal(1, false, &third);
	guest_gets("more");
	await(third.count > 0);
	assert_int_equal(scene.signals[3], 1);
	send_signal(65, false, &third);
	await(third.count > 0);
	assert_int_equal(third.code, TTRPC_INVALID_ARGUMENT);
	send_signal(15, true, &third);
	await(third.count > 0);
	assert_int_equal(third.code, TTRPC_INVALID_ARGUMENT);
	close(in);
	end();
}

/* And of what the proxy itself hasn't had room for. */
static void a_signal_follows_what_lies_in_the_pipe(void **state)
{
	static const char zeros[RING];
	char *taken = malloc(RING + sizeof(uint32_t));
	struct answer answer;
	int in;

	(void)state;
	start();
	session_open();
	in = attach(SESSION_STDIN);
	write_all(in, zeros, RING);
	read_all(guest_fd(SESSION_STDIN), taken, sizeof(uint32_t));
	assert_int_equal(write(in, "last", 4), 4);
	send_signal(15, false, &answer);
	steps(10);
	guest_acknowledges(RING);
	steps(50);
	assert_int_equal(scene.signal_count, 0);
	await(answer.count > 0);
	assert_int_equal(scene.signal_count, 1);
	free(taken);
	close(in);
	end();
}

static void only_the_newest_size_counts(void **state)
{
	Nacre__ResizeRequest request = NACRE__RESIZE_REQUEST__INIT;
	struct answer answers[4];

	(void)state;
	start();
	session_open();
	request.container_id = "c1";
	request.exec_id = "e1";
	for (unsigned int i = 0; i < 4; i++) {
		request.rows = 10 + i;
		call("Resize", &request.base, &answers[i]);
	}
	await(answers[1].count > 0 && answers[2].count > 0);
	assert_int_equal(answers[1].code, TTRPC_OK);
	assert_int_equal(answers[2].code, TTRPC_OK);
	assert_int_equal(scene.resize_count, 1);
	assert_int_equal(scene.rows, 10);
	assert_int_equal(answers[0].count, 0);
	ttrpc_call_reply(waiting_take(&scene.resizes), NULL);
	await(answers[0].count > 0 && scene.resize_count == 2);
	assert_int_equal(scene.rows, 13);
	assert_int_equal(answers[3].count, 0);
	ttrpc_call_reply(waiting_take(&scene.resizes), NULL);
	await(answers[3].count > 0);
	assert_int_equal(answers[3].code, TTRPC_OK);
	end();
}

/* ---- Other ways ---------------------------------------------------------------------------------------------- */

static void answer_read(unsigned int stream, const char *text)
{
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;

	await(!list_empty(&scene.reads[stream]));
	response.data.data = (uint8_t *)text;
	response.data.len = strlen(text);
	ttrpc_call_reply(waiting_take(&scene.reads[stream]), &response.base);
}

static void an_agent_without_the_service_goes_by_calls(void **state)
{
	struct answer answer, exit;
	int out, in;

	(void)state;
	start();
	scene.attach_code = TTRPC_INVALID_ARGUMENT;
	open_with(false, false, &answer);
	assert_int_equal(answer.code, TTRPC_OK);
	assert_int_equal(answer.way, NACRE__OPEN_SESSION_RESPONSE__WAY__CALLS);
	out = attach(SESSION_STDOUT);
	in = attach(SESSION_STDIN);
	answer_read(SESSION_STDOUT, "by call");
	expect(out, "by call");
	write_all(in, "typed", 5);
	close(in);
	await(scene.input_closed);
	assert_string_equal(scene.input, "typed");
	by_name("WaitExit", &exit);
	answer_read(SESSION_STDOUT, "");
	expect_end(out);
	/* Before all has been read the exit isn't asked for. */
	steps(20);
	assert_true(list_empty(&scene.waits));
	answer_read(SESSION_STDERR, "");
	process_exits(4);
	await(exit.count > 0);
	assert_int_equal(exit.status, 4);
	assert_false(exit.output_cut);
	end();
}

/* A call that was under way is answered as it was asked, and loses nothing to a reader for whom the ring must keep all. */
static void by_calls_a_reader_may_come_meanwhile(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	struct answer answer;
	char text[8193] = "", got[8192];
	int out[2];

	(void)state;
	start();
	scene.attach_code = TTRPC_INVALID_ARGUMENT;
	open_with(false, false, &answer);
	memset(text, 'x', sizeof(text) - 1);
	for (unsigned int i = 0; i < RING / 8192; i++)
		answer_read(SESSION_STDOUT, text);
	await(!list_empty(&scene.reads[SESSION_STDOUT]));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(fcntl(out[1], F_SETPIPE_SZ, 4096), 4096);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(attach_fd(&request, out[1]).code, TTRPC_OK);
	close(out[1]);
	/* There is room for what the pipe has taken alone. */
	answer_read(SESSION_STDOUT, text);
	steps(20);
	for (unsigned int i = 0; i < RING / 8192 + 1; i++) {
		read_all(out[0], got, sizeof(got));
		assert_memory_equal(got, text, sizeof(got));
	}
	answer_read(SESSION_STDOUT, "");
	expect_end(out[0]);
	end();
}

static void nobody_listens_for_streams(void **state)
{
	struct answer answer;

	(void)state;
	start();
	scene.no_streams = true;
	open_with(false, false, &answer);
	assert_int_equal(answer.code, TTRPC_OK);
	assert_int_equal(answer.way, NACRE__OPEN_SESSION_RESPONSE__WAY__CALLS);
	end();
}

static void no_such_process(void **state)
{
	struct answer answer;

	(void)state;
	start();
	scene.attach_code = TTRPC_NOT_FOUND;
	open_with(false, false, &answer);
	assert_int_equal(answer.code, TTRPC_NOT_FOUND);
	scene.attach_code = TTRPC_UNIMPLEMENTED;
	scene.wait_code = TTRPC_NOT_FOUND;
	open_with(false, false, &answer);
	assert_int_equal(answer.code, TTRPC_NOT_FOUND);
	assert_true(list_empty(&scene.sessions.all));
	end();
}

static void an_answer_that_is_too_long(void **state)
{
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;
	struct answer answer;
	uint8_t *data;
	int out;

	(void)state;
	start();
	scene.attach_code = TTRPC_UNIMPLEMENTED;
	open_with(true, false, &answer);
	out = attach(SESSION_STDOUT);
	await(!list_empty(&scene.reads[SESSION_STDOUT]));
	response.data.len = scene.read_length + 1;
	response.data.data = data = calloc(1, response.data.len);
	ttrpc_call_reply(waiting_take(&scene.reads[SESSION_STDOUT]), &response.base);
	free(data);
	expect_end(out);
	end();
}

static void streams_by_ports(void **state)
{
	struct answer answer, exit;
	int out, in, fds[RING_STREAMS];

	(void)state;
	start();
	open_with(false, true, &answer);
	assert_int_equal(answer.code, TTRPC_OK);
	assert_int_equal(answer.way, NACRE__OPEN_SESSION_RESPONSE__WAY__PORTS);
	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		fds[i] = take_connection(answer.ports[i]);
		assert_true(fds[i] >= 0);
	}
	out = attach(SESSION_STDOUT);
	in = attach(SESSION_STDIN);
	/* The process is made, and said to be. */
	assert_true(list_empty(&scene.waits));
	open_with(false, false, &answer);
	await(!list_empty(&scene.waits));
	write_all(fds[1], "raw", 3);
	expect(out, "raw");
	write_all(in, "input", 5);
	expect(fds[0], "input");
	by_name("WaitExit", &exit);
	write_all(fds[1], "last", 4);
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		close(fds[i]);
	expect(out, "last");
	expect_end(out);
	process_exits(0);
	await(exit.count > 0);
	assert_false(exit.output_cut);
	close(in);
	end();
}

/* ---- Descriptors and lines ----------------------------------------------------------------------------------- */

static void descriptors_that_are_none_for_it(void **state)
{
	Nacre__AttachRequest out = attach_request(SESSION_STDOUT), in = attach_request(SESSION_STDIN);
	struct answer answer;
	int fds[2], null = open("/dev/null", O_RDWR | O_CLOEXEC), datagrams[2];

	(void)state;
	start();
	session_open();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagrams), 0);
	call("Attach", &out.base, &answer);
	await(answer.count > 0);
	assert_int_equal(answer.code, TTRPC_INVALID_ARGUMENT);
	assert_int_equal(attach_fd(&out, null).code, TTRPC_INVALID_ARGUMENT);
	assert_int_equal(attach_fd(&out, fds[0]).code, TTRPC_INVALID_ARGUMENT);
	assert_int_equal(attach_fd(&in, fds[1]).code, TTRPC_INVALID_ARGUMENT);
	assert_int_equal(attach_fd(&out, datagrams[0]).code, TTRPC_INVALID_ARGUMENT);
	out.stream = 3;
	assert_int_equal(attach_fd(&out, fds[1]).code, TTRPC_INVALID_ARGUMENT);
	out = attach_request(SESSION_STDOUT);
	out.container_id = "other";
	assert_int_equal(attach_fd(&out, fds[1]).code, TTRPC_NOT_FOUND);
	out = attach_request(SESSION_STDOUT);
	for (unsigned int i = 0; i < ATTACHMENTS_MAX; i++)
		assert_int_equal(attach_fd(&out, fds[1]).code, TTRPC_OK);
	assert_int_equal(attach_fd(&out, fds[1]).code, TTRPC_RESOURCE_EXHAUSTED);
	/* All copies of it are closed with the client. */
	close(fds[1]);
	ttrpc_client_free(scene.client);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	expect_end(fds[0]);
	client_new();
	close(null);
	close(datagrams[0]);
	close(datagrams[1]);
	end();
}

static void send_part(int fd, const void *data, size_t length, const int *fds, size_t count)
{
	assert_int_equal(fd_send(fd, data, length, fds, count), 0);
	steps(3);
}

/* The code of the answer that comes. */
static int32_t answer_code(int fd)
{
	uint8_t bytes[1024];
	struct ttrpc_header header;
	Ttrpc__Response *response;
	int32_t code;

	read_all(fd, bytes, TTRPC_HEADER_SIZE);
	header = ttrpc_header_decode(bytes);
	assert_true(header.length <= sizeof(bytes));
	read_all(fd, bytes, header.length);
	response = ttrpc__response__unpack(NULL, header.length, bytes);
	code = response->status->code;
	ttrpc__response__free_unpacked(response, NULL);
	return code;
}

static size_t open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* A descriptor belongs to the frame whose first byte it comes with, and there is one at most. */
static void descriptors_in_the_wrong_place(void **state)
{
	Nacre__AttachRequest attach = attach_request(SESSION_STDOUT);
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	struct ttrpc_header header = {.stream = 1, .type = TTRPC_REQUEST};
	uint8_t payload[256], frame[1024];
	int fds[2], pair[2], both[2];
	size_t length, before;

	(void)state;
	start();
	session_open();
	request.service = "nacre.Proxy";
	request.method = "Attach";
	request.payload.data = payload;
	request.payload.len = nacre__attach_request__pack(&attach, payload);
	header.length = (uint32_t)ttrpc__request__pack(&request, frame + TTRPC_HEADER_SIZE);
	ttrpc_header_encode(frame, &header);
	length = TTRPC_HEADER_SIZE + header.length;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	both[0] = both[1] = fds[1];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	attach_line_serve(&scene.service, pair[1]);
	steps(2);
	before = open_descriptors();
	send_part(pair[0], frame, length, both, 2);
	assert_int_equal(answer_code(pair[0]), TTRPC_INVALID_ARGUMENT);
	send_part(pair[0], frame, 4, NULL, 0);
	send_part(pair[0], frame + 4, length - 4, fds + 1, 1);
	assert_int_equal(answer_code(pair[0]), TTRPC_INVALID_ARGUMENT);
	send_part(pair[0], frame, TTRPC_HEADER_SIZE, fds + 1, 1);
	send_part(pair[0], frame + TTRPC_HEADER_SIZE, length - TTRPC_HEADER_SIZE, fds + 1, 1);
	assert_int_equal(answer_code(pair[0]), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(open_descriptors(), before);
	/* Two frames at once: it is the second one's. */
	assert_int_equal(write(pair[0], frame, length), length);
	send_part(pair[0], frame, length, fds + 1, 1);
	assert_int_equal(answer_code(pair[0]), TTRPC_INVALID_ARGUMENT);
	assert_int_equal(answer_code(pair[0]), TTRPC_OK);
	assert_int_equal(open_descriptors(), before + 1);
	/* A request that takes none. */
	request.method = "ListSessions";
	request.payload.len = 0;
	header.length = (uint32_t)ttrpc__request__pack(&request, frame + TTRPC_HEADER_SIZE);
	ttrpc_header_encode(frame, &header);
	send_part(pair[0], frame, TTRPC_HEADER_SIZE + header.length, fds + 1, 1);
	assert_int_equal(answer_code(pair[0]), TTRPC_OK);
	assert_int_equal(open_descriptors(), before + 1);
	close(pair[0]);
	steps(3);
	close(fds[0]);
	close(fds[1]);
	end();
}

/* A terminal that others use is left as it was. */
static void a_terminal_blocks_again_afterwards(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	struct answer answer;
	int master, slave;

	(void)state;
	start();
	session_open();
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	answer = attach_fd(&request, slave);
	assert_int_equal(answer.code, TTRPC_OK);
	guest_says(SESSION_STDOUT, "screen");
	fcntl(master, F_SETFL, O_NONBLOCK);
	expect(master, "screen");
	assert_true(fcntl(slave, F_GETFL) & O_NONBLOCK);
	detach(answer.attachment);
	assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
	close(slave);
	close(master);
	end();
}

static int line_client(const char *line)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	attach_line_serve(&scene.service, pair[1]);
	for (const char *next = line; *next; next++) { /* however it comes */
		assert_int_equal(write(pair[0], next, 1), 1);
		steps(2);
	}
	return pair[0];
}

static void attaching_by_a_line(void **state)
{
	static const char *const wrong[] = {"ATTACH c1 e1\n", "ATTACH c1 e1 stdfoo\n", "ATTACH c1 e1 stdout soon\n",
					    "ATTACH c1 e1 stdout 12x\n", "ATTACH c1 e1 stdout lossy now\n", "ATTACHE c1 e1 stdout\n",
					    "ATTACH c2 e1 stdout\n", "A\n"};
	int out, in, late;

	(void)state;
	start();
	session_open();
	for (unsigned int i = 0; i < array_size(wrong); i++) {
		int fd = line_client(wrong[i]);

		expect(fd, "ERROR ");
		while (read_some(fd, &(char){0}, 1) > 0)
			;
		close(fd);
	}
	out = line_client("ATTACH c1 e1 stdout ring lossy\n");
	in = line_client("ATTACH c1 e1 stdin\nbytes");
	expect(out, "OK 0 0\n");
	expect(in, "OK 0 0\n");
	guest_gets("b");
	guest_says(SESSION_STDOUT, "hello");
	expect(out, "hello");
	late = line_client("ATTACH c1 e1 stdout 2\n");
	expect(late, "OK 2 0\nllo");
	guest_ends(SESSION_STDOUT);
	expect_end(out);
	expect_end(late);
	/* Behind its last byte only. */
	late = line_client("ATTACH c1 e1 stdout 4\n");
	expect(late, "OK 4 0\no");
	expect_end(late);
	late = line_client("ATTACH c1 e1 stdout 5\n");
	expect(late, "OK 5 0 ended\n");
	expect_end(late);
	late = line_client("ATTACH c1 e1 stdin now\n");
	expect(late, "OK 5 0\n");
	close(late);
	close(in);
	out = line_client("ATTACH c1 e1 stderr now");
	close(out);
	steps(5);
	assert_true(list_empty(&scene.service.newcomers));
	end();
}

/* ---- Another process takes over ------------------------------------------------------------------------------ */

static void another_worker(void)
{
	ttrpc_client_free(scene.client);
	service_close(&scene.service);
	sessions_destroy(&scene.sessions);
	steps(10);
	sessions_init(&scene.sessions, &scene.loop, &scene.streams, &scene.store);
	service_init(&scene.service, &scene.loop, &scene.streams, &scene.sessions);
	client_new();
}

static void what_the_store_has_goes_on(void **state)
{
	Nacre__AttachRequest request = attach_request(SESSION_STDOUT);
	struct answer answer, exit;
	int out;

	(void)state;
	start();
	session_open();
	guest_pattern(SESSION_STDOUT, 0, 100000);
	guest_acknowledged(SESSION_STDOUT, 100000);
	another_worker();
	await(scene.streams_of[SESSION_STDOUT].attaches == 2);
	assert_int_equal(scene.streams_of[SESSION_STDOUT].asked, 100000);
	request.from = NACRE__ATTACH_REQUEST__FROM__OFFSET;
	request.offset = 100000 - RING;
	out = attach_pipe(&request, &answer);
	assert_int_equal(answer.dropped, 0);
	expect_pattern(out, 100000 - RING, RING);
	guest_pattern(SESSION_STDOUT, 100000, 1000);
	expect_pattern(out, 100000, 1000);
	by_name("WaitExit", &exit);
	guest_ends(SESSION_STDOUT);
	guest_ends(SESSION_STDERR);
	process_exits(1);
	await(exit.count > 0);
	assert_int_equal(exit.status, 1);
	expect_end(out);
	end();
}

/* What nobody has had waits where all is to be kept, and so does what the guest sends meanwhile. */
static void what_is_kept_waits_for_who_comes_back(void **state)
{
	Nacre__OpenSessionRequest open = NACRE__OPEN_SESSION_REQUEST__INIT;
	struct answer answer;
	int out;

	(void)state;
	start();
	open.container_id = "c1";
	open.exec_id = "e1";
	open.keep = true;
	call("OpenSession", &open.base, &answer);
	await(answer.count > 0);
	guest_pattern(SESSION_STDOUT, 0, RING + 20000);
	guest_acknowledged(SESSION_STDOUT, RING);
	another_worker();
	await(scene.streams_of[SESSION_STDOUT].attaches == 2);
	assert_int_equal(scene.streams_of[SESSION_STDOUT].asked, RING);
	guest_pattern(SESSION_STDOUT, RING, 20000);
	out = line_client("ATTACH c1 e1 stdout 0\n");
	expect(out, "OK 0 0\n");
	expect_pattern(out, 0, RING + 20000);
	guest_acknowledged(SESSION_STDOUT, RING + 20000);
	close(out);
	end();
}

static void the_end_of_input_is_kept(void **state)
{
	int in;

	(void)state;
	start();
	session_open();
	in = line_client("ATTACH c1 e1 stdin\n");
	expect(in, "OK 0 0\n");
	write_all(in, "end", 3);
	guest_gets("end");
	shutdown(in, SHUT_WR);
	expect_end(in);
	guest_gets("");
	guest_acknowledges(3);
	steps(10);
	/* The guest hasn't answered the end. */
	another_worker();
	await(scene.streams_of[SESSION_STDIN].attaches == 2);
	guest_gets("");
	in = line_client("ATTACH c1 e1 stdin now\n");
	expect(in, "ERROR stdin takes nothing any more\n");
	expect_end(in);
	end();
}

/* Bytes that nobody can have again aren't passed over in silence. */
static void calls_end_with_the_worker(void **state)
{
	struct answer answer, exit;
	int out;

	(void)state;
	start();
	scene.attach_code = TTRPC_UNIMPLEMENTED;
	open_with(true, false, &answer);
	answer_read(SESSION_STDOUT, "kept");
	await(!list_empty(&scene.reads[SESSION_STDOUT]));
	another_worker();
	await(!list_empty(&scene.waits));
	process_exits(2);
	by_name("WaitExit", &exit);
	await(exit.count > 0);
	assert_int_equal(exit.status, 2);
	out = attach(SESSION_STDOUT);
	expect(out, "kept");
	expect_end(out);
	end();
}

/* What has been told isn't told again. */
static void an_exit_is_told_once(void **state)
{
	struct answer exit;

	(void)state;
	start();
	session_open();
	guest_ends(SESSION_STDOUT);
	guest_ends(SESSION_STDERR);
	by_name("WaitExit", &exit);
	process_exits(6);
	await(exit.count > 0);
	assert_string_equal(events(), "RSE");
	another_worker();
	by_name("WaitExit", &exit);
	await(exit.count > 0);
	assert_int_equal(exit.status, 6);
	assert_string_equal(events(), "R");
	end();
}

static void the_vm_ends(void **state)
{
	struct answer exit;
	int out;

	(void)state;
	start();
	session_open();
	out = attach(SESSION_STDOUT);
	by_name("WaitExit", &exit);
	await(!list_empty(&scene.waits));
	guest_pattern(SESSION_STDOUT, 0, 100000);
	sessions_finish(&scene.sessions, NULL);
	await(exit.count > 0);
	assert_int_equal(exit.code, TTRPC_UNAVAILABLE);
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		fd_close(&scene.streams_of[i].fd);
	expect_pattern(out, 0, 100000);
	expect_end(out);
	assert_true(sessions_quiet(&scene.sessions));
	end();
}

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/nacre-session-test-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_reaches_who_is_attached),
		cmocka_unit_test(the_ring_replays_and_counts_what_it_drops),
		cmocka_unit_test(only_what_nobody_had_is_dropped),
		cmocka_unit_test(what_is_kept_waits_for_who_comes_back),
		cmocka_unit_test(the_end_of_input_is_kept),
		cmocka_unit_test(a_stalled_reader_holds_up_its_own_stream),
		cmocka_unit_test(attaching_again_loses_nothing),
		cmocka_unit_test(nobody_else_detaches),
		cmocka_unit_test(input_is_kept_until_the_guest_has_it),
		cmocka_unit_test(input_is_bounded),
		cmocka_unit_test(input_by_a_socket_comes_whole),
		cmocka_unit_test(a_cut_connection_is_made_again),
		cmocka_unit_test(an_agent_that_starts_again_is_found),
		cmocka_unit_test(an_agent_that_is_unwell_is_there),
		cmocka_unit_test(a_gap_is_counted),
		cmocka_unit_test(a_gap_costs_a_reader_no_more_than_itself),
		cmocka_unit_test(lies_end_their_stream_and_nothing_else),
		cmocka_unit_test(an_offset_out_of_the_world),
		cmocka_unit_test(a_grandchild_holds_nobody_up),
		cmocka_unit_test(what_was_asked_is_answered_after_the_end),
		cmocka_unit_test(a_closed_session_is_gone),
		cmocka_unit_test(sessions_are_bounded),
		cmocka_unit_test(a_signal_follows_the_input),
		cmocka_unit_test(a_signal_follows_what_lies_in_the_pipe),
		cmocka_unit_test(only_the_newest_size_counts),
		cmocka_unit_test(an_agent_without_the_service_goes_by_calls),
		cmocka_unit_test(by_calls_a_reader_may_come_meanwhile),
		cmocka_unit_test(nobody_listens_for_streams),
		cmocka_unit_test(no_such_process),
		cmocka_unit_test(an_answer_that_is_too_long),
		cmocka_unit_test(streams_by_ports),
		cmocka_unit_test(descriptors_that_are_none_for_it),
		cmocka_unit_test(descriptors_in_the_wrong_place),
		cmocka_unit_test(a_terminal_blocks_again_afterwards),
		cmocka_unit_test(attaching_by_a_line),
		cmocka_unit_test(what_the_store_has_goes_on),
		cmocka_unit_test(calls_end_with_the_worker),
		cmocka_unit_test(an_exit_is_told_once),
		cmocka_unit_test(the_vm_ends),
	};

	alarm(100);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
