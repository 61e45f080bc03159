// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c lib/ttrpc.c lib/ttrpc_client.c
// uses: proxy/agent_link.c proxy/agent_calls.c proxy/agent_probe.c proxy/envelope.c proxy/read_offsets.c
/* Links between clients of agent.sock and an agent that dies, lies or is slow: the test is both, a frame at a time. What a link gets
 * of a stream is one end of a pair of sockets; the other one is the agent's here.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/agent_link.h"
#include "ttrpc.pb-c.h"

#define STEPS 20000
#define GUESTS_MAX 64

struct scene {
	struct loop loop;
	struct loop_timer tick;
	struct streams streams;
	struct agent_links links;
	bool emptied;
};

/* The streams: what the links have asked for, in the order in which they did. */
static int guests[GUESTS_MAX];
static size_t guest_count, guest_next;
static bool refuse;

int streams_serve(struct streams *streams, int fd, enum stream_origin origin, uint32_t port)
{
	(void)streams;
	assert_int_equal(origin, STREAM_AGENT);
	assert_int_equal(port, 1024);
	assert_true(guest_count < GUESTS_MAX);
	if (refuse) {
		close(fd);
		return -ENFILE;
	}
	guests[guest_count++] = fd;
	return 0;
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

static void step(struct scene *scene, uint64_t time)
{
	loop_timer_set(&scene->loop, &scene->tick, time, nothing);
	assert_int_equal(loop_step(&scene->loop), 0);
}

static void steps(struct scene *scene, unsigned int count)
{
	while (count-- > 0)
		step(scene, 0);
}

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	assert_int_equal(loop_init(&scene->loop), 0);
	agent_links_init(&scene->links, &scene->loop, &scene->streams);
	guest_count = guest_next = 0;
	refuse = false;
	return scene;
}

static void scene_free(struct scene *scene)
{
	agent_links_destroy(&scene->links);
	loop_timer_clear(&scene->loop, &scene->tick);
	assert_null(scene->loop.timers);
	loop_destroy(&scene->loop);
	while (guest_next < guest_count)
		close(guests[guest_next++]);
	free(scene);
}

static int client_new(struct scene *scene)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) , 0);
	agent_links_serve(&scene->links, pair[1]);
	return pair[0];
}

/* The agent's end of the next connection that a link has asked for. */
static int agent_accept(struct scene *scene)
{
	for (int i = 0; i < STEPS && guest_next == guest_count; i++)
		step(scene, LOOP_MILLISECOND);
	assert_true(guest_next < guest_count);
	return guests[guest_next++];
}

/* The agent has died. */
static void agent_dies(int fd)
{
	shutdown(fd, SHUT_RDWR);
	close(fd);
}

/* ---- Bytes and frames ---------------------------------------------------------------------------------------- */

static void say(struct scene *scene, int fd, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	for (int i = 0; i < STEPS && length > 0; i++) {
		ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(count > 0 || errno == EAGAIN);
		if (count > 0) {
			bytes += count;
			length -= (size_t)count;
		}
		steps(scene, 2);
	}
	assert_int_equal(length, 0);
}

/* How many bytes have come; less than `length` where the connection has ended. */
static size_t hear(struct scene *scene, int fd, void *data, size_t length)
{
	size_t got = 0;

	for (int i = 0; i < STEPS && got < length; i++) {
		ssize_t count = recv(fd, (uint8_t *)data + got, length - got, MSG_DONTWAIT);

		if (count == 0 || (count < 0 && errno == ECONNRESET))
			return got;
		if (count < 0)
			assert_int_equal(errno, EAGAIN);
		if (count > 0)
			got += (size_t)count;
		else
			step(scene, LOOP_MILLISECOND);
	}
	assert_int_equal(got, length);
	return got;
}

static void expect_end(struct scene *scene, int fd)
{
	char byte;

	assert_int_equal(hear(scene, fd, &byte, 1), 0);
}

static void expect_silence(struct scene *scene, int fd)
{
	char byte;

	steps(scene, 10);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

struct frame {
	struct ttrpc_header header;
	size_t length; /* with the header */
	uint8_t bytes[200000];
};

static struct frame *frame_new(uint32_t stream, uint8_t type, size_t length)
{
	struct frame *frame = calloc(1, sizeof(*frame));

	assert_non_null(frame);
	assert_true(length <= sizeof(frame->bytes) - TTRPC_HEADER_SIZE);
	frame->header = (struct ttrpc_header){.length = (uint32_t)length, .stream = stream, .type = type};
	frame->length = TTRPC_HEADER_SIZE + length;
	ttrpc_header_encode(frame->bytes, &frame->header);
	return frame;
}

/* The fields 1 and 2 of a payload, and `more` bytes of another one. */
static struct frame *request_new(uint32_t stream, const char *service, const char *method, const char *container,
				 const char *exec, size_t more)
{
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	uint8_t *payload = calloc(1, 1024 + more);
	struct frame *frame;
	size_t length = 0;

	assert_non_null(payload);
	for (int i = 0; i < 2; i++) {
		const char *text = i == 0 ? container : exec;

		if (!text)
			continue;
		payload[length++] = (uint8_t)((i + 1) << 3 | 2);
		payload[length++] = (uint8_t)strlen(text);
		memcpy(payload + length, text, strlen(text));
		length += strlen(text);
	}
	if (more > 0) {
		payload[length++] = 9 << 3 | 2;
		payload[length++] = (uint8_t)(more | 0x80);
		payload[length++] = (uint8_t)(more >> 7 | 0x80);
		payload[length++] = (uint8_t)(more >> 14);
		memset(payload + length, 'x', more);
		length += more;
	}
	request.service = (char *)service;
	request.method = (char *)method;
	request.payload.data = payload;
	request.payload.len = length;
	request.timeout_nano = 7;
	frame = frame_new(stream, TTRPC_REQUEST, ttrpc__request__get_packed_size(&request));
	ttrpc__request__pack(&request, frame->bytes + TTRPC_HEADER_SIZE);
	free(payload);
	return frame;
}

static struct frame *response_new(uint32_t stream, uint32_t code, const char *message, size_t data)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	Ttrpc__Status status = TTRPC__STATUS__INIT;
	uint8_t *payload = calloc(1, data + 16);
	struct frame *frame;

	assert_non_null(payload);
	status.code = (int32_t)code;
	status.message = (char *)message;
	response.status = &status;
	response.payload.data = payload;
	if (data > 0) {
		payload[0] = 1 << 3 | 2;
		payload[1] = (uint8_t)(data | 0x80);
		payload[2] = (uint8_t)(data >> 7 | 0x80);
		payload[3] = (uint8_t)(data >> 14);
		memset(payload + 4, 'd', data);
		response.payload.len = 4 + data;
	}
	frame = frame_new(stream, TTRPC_RESPONSE, ttrpc__response__get_packed_size(&response));
	ttrpc__response__pack(&response, frame->bytes + TTRPC_HEADER_SIZE);
	free(payload);
	return frame;
}

static void send_frame(struct scene *scene, int fd, struct frame *frame)
{
	say(scene, fd, frame->bytes, frame->length);
	free(frame);
}

/* The next frame comes, and is this one. */
static void expect_frame(struct scene *scene, int fd, struct frame *frame)
{
	uint8_t *got = calloc(1, sizeof(frame->bytes));

	assert_non_null(got);
	assert_int_equal(hear(scene, fd, got, frame->length), frame->length);
	assert_memory_equal(got, frame->bytes, frame->length);
	free(got);
	free(frame);
}

/* The next frame; its body in `bytes`. */
static struct ttrpc_header get_frame(struct scene *scene, int fd, uint8_t *bytes, size_t size)
{
	uint8_t header[TTRPC_HEADER_SIZE];
	struct ttrpc_header got;

	assert_int_equal(hear(scene, fd, header, sizeof(header)), sizeof(header));
	got = ttrpc_header_decode(header);
	assert_true(got.length <= size);
	assert_int_equal(hear(scene, fd, bytes, got.length), got.length);
	return got;
}

/* The next frame answers a call UNAVAILABLE, and says which. */
static void expect_unavailable(struct scene *scene, int fd, uint32_t stream, const char *method)
{
	uint8_t body[1024];
	struct ttrpc_header header = get_frame(scene, fd, body, sizeof(body));
	Ttrpc__Response *response = ttrpc__response__unpack(NULL, header.length, body);

	assert_int_equal(header.stream, stream);
	assert_int_equal(header.type, TTRPC_RESPONSE);
	assert_non_null(response);
	assert_int_equal(response->status->code, TTRPC_UNAVAILABLE);
	assert_non_null(strstr(response->status->message, method));
	assert_non_null(strstr(response->status->message, "was cut"));
	ttrpc__response__free_unpacked(response, NULL);
}

static struct frame *wait_process(uint32_t stream)
{
	return request_new(stream, "grpc.AgentService", "WaitProcess", "box", "exec", 0);
}

static struct frame *create_container(uint32_t stream)
{
	return request_new(stream, "grpc.AgentService", "CreateContainer", "box", NULL, 0);
}

static struct frame *ok(uint32_t stream)
{
	return response_new(stream, TTRPC_OK, "", 0);
}

/* The plainest of calls goes through. */
static void expect_served(struct scene *scene, int client, int guest, uint32_t stream)
{
	send_frame(scene, client, request_new(stream, "grpc.Health", "Check", NULL, NULL, 0));
	expect_frame(scene, guest, request_new(stream, "grpc.Health", "Check", NULL, NULL, 0));
	send_frame(scene, guest, ok(stream));
	expect_frame(scene, client, ok(stream));
}

/* ---- What passes --------------------------------------------------------------------------------------------- */

static void frames_pass_as_they_are(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);
	struct frame *frame = request_new(5, "some.Service", "Method", "a", "b", 0);
	static const uint8_t data[] = {0, 0, 0, 2, 0, 0, 0, 5, TTRPC_DATA, 3, 'x', 'y'};
	static const uint8_t odd[] = {0, 0, 0, 1, 0, 0, 0, 2, 77, 9, 'z'};

	(void)state;
	expect_served(scene, client, guest, 1);
	/* Byte by byte, both ways. */
	for (size_t i = 0; i < frame->length; i++)
		say(scene, client, frame->bytes + i, 1);
	expect_frame(scene, guest, frame);
	/* Streaming: data in either direction while the call is open; and what isn't known. */
	say(scene, client, data, sizeof(data));
	say(scene, client, odd, sizeof(odd));
	for (size_t i = 0; i < 2; i++) {
		uint8_t got[sizeof(data)];
		size_t size = i == 0 ? sizeof(data) : sizeof(odd);

		assert_int_equal(hear(scene, guest, got, size), size);
		assert_memory_equal(got, i == 0 ? data : odd, size);
	}
	say(scene, guest, data, sizeof(data));
	frame = response_new(5, TTRPC_OK, "", 9);
	for (size_t i = 0; i < frame->length; i++)
		say(scene, guest, frame->bytes + i, 1);
	free(frame);
	{
		uint8_t got[sizeof(data)];

		assert_int_equal(hear(scene, client, got, sizeof(got)), sizeof(got));
		assert_memory_equal(got, data, sizeof(got));
	}
	expect_frame(scene, client, response_new(5, TTRPC_OK, "", 9));
	close(client);
	expect_end(scene, guest);
	close(guest);
	assert_int_equal(scene->links.count, 0);
	scene_free(scene);
}

static void long_bodies_pass(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);

	(void)state;
	for (size_t size = AGENT_LINK_WHOLE - 64; size <= AGENT_LINK_WHOLE + 64; size += 16) {
		send_frame(scene, client, request_new(7, "grpc.AgentService", "WriteStdin", "box", NULL, size));
		expect_frame(scene, guest, request_new(7, "grpc.AgentService", "WriteStdin", "box", NULL, size));
		send_frame(scene, guest, response_new(7, TTRPC_OK, "", size));
		expect_frame(scene, client, response_new(7, TTRPC_OK, "", size));
	}
	expect_served(scene, client, guest, 9);
	close(client);
	close(guest);
	scene_free(scene);
}

/* As much as a client may want: the agent takes no more calls of one connection either. */
static void calls_beyond_the_limit_wait(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);
	uint32_t stream = 1;

	(void)state;
	for (size_t i = 0; i < AGENT_CALLS_MAX; i++, stream += 2) {
		send_frame(scene, client, wait_process(stream));
		expect_frame(scene, guest, wait_process(stream));
	}
	send_frame(scene, client, wait_process(stream));
	expect_silence(scene, guest);
	send_frame(scene, guest, ok(1));
	expect_frame(scene, client, ok(1));
	expect_frame(scene, guest, wait_process(stream));
	close(client);
	expect_end(scene, guest);
	close(guest);
	scene_free(scene);
}

static void a_client_that_stalls_delays_itself(void **state)
{
	struct scene *scene = scene_new();
	int slow = client_new(scene), slow_guest = agent_accept(scene), client = client_new(scene), guest = agent_accept(scene);
	struct frame *frame = frame_new(1, TTRPC_DATA, 60000);
	size_t in = 0, idle = 0;

	(void)state;
	send_frame(scene, slow, wait_process(1));
	expect_frame(scene, slow_guest, wait_process(1));
	/* Frame after frame, for as long as any of it is taken. */
	while (idle < 50 && in < 4u << 20) {
		size_t at = in % frame->length;
		ssize_t count = send(slow_guest, frame->bytes + at, frame->length - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		in += count > 0 ? (size_t)count : 0;
		idle = count > 0 ? 0 : idle + 1;
		steps(scene, 4);
	}
	free(frame);
	/* Two pairs of sockets, and what is read at a time. */
	assert_true(in < 1u << 20);
	assert_int_equal(scene->links.count, 2);
	expect_served(scene, client, guest, 1);
	/* It vanishes, with all that waits for it. */
	close(slow);
	expect_end(scene, slow_guest);
	assert_int_equal(scene->links.count, 1);
	close(slow_guest);
	close(client);
	close(guest);
	scene_free(scene);
}

static void what_a_client_said_before_it_went_is_heard(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct frame *frame = create_container(1 + 2 * i);

		assert_int_equal(send(client, frame->bytes, frame->length, 0), frame->length);
		free(frame);
	}
	close(client);
	for (uint32_t i = 0; i < 3; i++)
		expect_frame(scene, guest, create_container(1 + 2 * i));
	expect_end(scene, guest);
	assert_int_equal(scene->links.count, 0);
	close(guest);
	scene_free(scene);
}

static void half_close_reaches_the_agent_and_answers_the_client(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);

	(void)state;
	send_frame(scene, client, wait_process(1));
	shutdown(client, SHUT_WR);
	expect_frame(scene, guest, wait_process(1));
	expect_end(scene, guest);
	send_frame(scene, guest, ok(1));
	expect_frame(scene, client, ok(1));
	close(guest);
	expect_end(scene, client);
	assert_int_equal(scene->links.count, 0);
	close(client);
	scene_free(scene);
}

/* ---- What is cut --------------------------------------------------------------------------------------------- */

static void calls_are_issued_again_or_answered(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);
	struct frame *half = response_new(1, TTRPC_OK, "", 100);

	(void)state;
	expect_served(scene, client, guest, 99);
	send_frame(scene, client, wait_process(1));
	send_frame(scene, client, create_container(3));
	send_frame(scene, client, request_new(5, "grpc.AgentService", "GetOOMEvent", NULL, NULL, 0));
	expect_frame(scene, guest, wait_process(1));
	expect_frame(scene, guest, create_container(3));
	/* One has half an answer already. */
	say(scene, guest, half->bytes, half->length - 1);
	free(half);
	agent_dies(guest);
	expect_unavailable(scene, client, 3, "CreateContainer");
	guest = agent_accept(scene);
	expect_frame(scene, guest, wait_process(1));
	expect_frame(scene, guest, request_new(5, "grpc.AgentService", "GetOOMEvent", NULL, NULL, 0));
	expect_silence(scene, client);
	send_frame(scene, guest, response_new(5, TTRPC_OK, "", 3));
	expect_frame(scene, client, response_new(5, TTRPC_OK, "", 3));
	send_frame(scene, guest, response_new(1, TTRPC_OK, "", 100));
	expect_frame(scene, client, response_new(1, TTRPC_OK, "", 100));
	expect_served(scene, client, guest, 7);
	close(client);
	close(guest);
	scene_free(scene);
}

static void calls_while_nobody_is_there_wait(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);

	(void)state;
	/* A connection that has brought nothing isn't asked for again at once. */
	agent_dies(guest);
	steps(scene, 5);
	send_frame(scene, client, create_container(1));
	guest = agent_accept(scene);
	expect_frame(scene, guest, create_container(1));
	expect_silence(scene, client);
	close(client);
	close(guest);
	scene_free(scene);
}

/* What is half sent can't be taken back: the rest of it is swallowed. */
static void a_request_that_is_cut_is_answered(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);
	struct frame *frame = request_new(1, "grpc.AgentService", "CopyFile", "a", NULL, 150000);
	uint8_t *got = malloc(100000);

	(void)state;
	say(scene, client, frame->bytes, 100000);
	assert_int_equal(hear(scene, guest, got, 100000), 100000);
	agent_dies(guest);
	expect_unavailable(scene, client, 1, "the call");
	say(scene, client, frame->bytes + 100000, frame->length - 100000 - 1);
	guest = agent_accept(scene);
	say(scene, client, frame->bytes + frame->length - 1, 1);
	expect_served(scene, client, guest, 3);
	free(frame);
	free(got);
	close(client);
	close(guest);
	scene_free(scene);
}

static void a_response_that_is_cut_ends_its_client(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);
	struct frame *frame = response_new(1, TTRPC_OK, "", 150000);
	uint8_t *got = malloc(100000);

	(void)state;
	send_frame(scene, client, wait_process(1));
	expect_frame(scene, guest, wait_process(1));
	say(scene, guest, frame->bytes, 100000);
	agent_dies(guest);
	assert_int_equal(hear(scene, client, got, 100000), 100000);
	expect_end(scene, client);
	assert_int_equal(scene->links.count, 0);
	free(frame);
	free(got);
	close(client);
	scene_free(scene);
}

/* It may be the call that ends the agent. */
static void a_call_is_not_issued_for_ever(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest;

	(void)state;
	send_frame(scene, client, wait_process(1));
	for (int i = 0; i <= AGENT_LINK_TRIES; i++) {
		guest = agent_accept(scene);
		expect_frame(scene, guest, wait_process(1));
		agent_dies(guest);
	}
	expect_unavailable(scene, client, 1, "WaitProcess");
	guest = agent_accept(scene);
	expect_served(scene, client, guest, 3);
	close(client);
	close(guest);
	scene_free(scene);
}

static void a_lying_guest_is_cut(void **state)
{
	static const struct ttrpc_header bad[] = {
		{.length = 1, .stream = 1, .type = TTRPC_REQUEST},
		{.length = 1, .stream = 3, .type = TTRPC_RESPONSE},
		{.length = 1, .stream = 3, .type = TTRPC_DATA},
		{.length = 1, .stream = 1, .type = 0},
		{.length = TTRPC_BODY_MAX + 1, .stream = 1, .type = TTRPC_RESPONSE},
		{.length = UINT32_MAX, .stream = 1, .type = TTRPC_DATA},
	};

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++) {
		struct scene *scene = scene_new();
		int client = client_new(scene), guest = agent_accept(scene);
		uint8_t header[TTRPC_HEADER_SIZE];

		send_frame(scene, client, wait_process(1));
		expect_frame(scene, guest, wait_process(1));
		ttrpc_header_encode(header, &bad[i]);
		say(scene, guest, header, sizeof(header));
		expect_end(scene, guest);
		close(guest);
		guest = agent_accept(scene);
		expect_frame(scene, guest, wait_process(1));
		send_frame(scene, guest, ok(1));
		expect_frame(scene, client, ok(1));
		close(client);
		close(guest);
		scene_free(scene);
	}
}

static void no_room_for_a_connection_ends_the_client(void **state)
{
	struct scene *scene = scene_new();
	int client;

	(void)state;
	refuse = true;
	client = client_new(scene);
	expect_end(scene, client);
	assert_int_equal(scene->links.count, 0);
	close(client);
	scene_free(scene);
}

/* ---- The end ------------------------------------------------------------------------------------------------- */

static struct scene *finished;

static void links_emptied(struct agent_links *links)
{
	assert_int_equal(links->count, 0);
	finished->emptied = true;
}

static void last_words_are_delivered(void **state)
{
	struct scene *scene = finished = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);
	struct frame *frame = response_new(1, TTRPC_OK, "", 150000);
	uint8_t *got = malloc(frame->length);

	(void)state;
	send_frame(scene, client, wait_process(1));
	expect_frame(scene, guest, wait_process(1));
	/* All of it is on its way, nothing is read yet. */
	say(scene, guest, frame->bytes, frame->length);
	agent_links_finish(&scene->links, links_emptied);
	agent_dies(guest);
	assert_int_equal(hear(scene, client, got, frame->length), frame->length);
	assert_memory_equal(got, frame->bytes, frame->length);
	/* An open call isn't answered: a VM that has ended is known by that. */
	expect_end(scene, client);
	assert_true(scene->emptied);
	assert_int_equal(guest_next, guest_count);
	free(frame);
	free(got);
	close(client);
	scene_free(scene);
}

/* ---- Offsets ------------------------------------------------------------------------------------------------- */

static struct frame *read_of(uint32_t stream, const char *method, const char *exec)
{
	return request_new(stream, "grpc.AgentService", method, "box", exec, 0);
}

/* The next frame is this request with an offset, or without one where that is negative. */
static void expect_read(struct scene *scene, int guest, struct frame *frame, long offset)
{
	uint8_t body[1024];
	struct ttrpc_header header = get_frame(scene, guest, body, sizeof(body));
	Ttrpc__Request *request = ttrpc__request__unpack(NULL, header.length, body);
	char text[32];

	assert_int_equal(header.stream, frame->header.stream);
	assert_non_null(request);
	assert_memory_equal(body, frame->bytes + TTRPC_HEADER_SIZE, frame->header.length);
	assert_int_equal(request->timeout_nano, 7);
	assert_int_equal(request->n_metadata, offset >= 0);
	if (offset >= 0) {
		snprintf(text, sizeof(text), "%ld", offset);
		assert_string_equal(request->metadata[0]->key, "nacre-offset");
		assert_string_equal(request->metadata[0]->value, text);
	} else {
		assert_int_equal(header.length, frame->header.length);
	}
	ttrpc__request__free_unpacked(request, NULL);
	free(frame);
}

/* The first read asks which agent it is, and waits for the answer. */
static void answer_probe(struct scene *scene, uint32_t code, const char *message)
{
	int guest = agent_accept(scene);
	uint8_t body[256];
	struct ttrpc_header header = get_frame(scene, guest, body, sizeof(body));
	Ttrpc__Request *request = ttrpc__request__unpack(NULL, header.length, body);

	assert_non_null(request);
	assert_string_equal(request->service, "nacre.Guest");
	ttrpc__request__free_unpacked(request, NULL);
	send_frame(scene, guest, response_new(header.stream, code, message, 0));
	expect_end(scene, guest);
	close(guest);
}

static void read_bytes(struct scene *scene, int client, int guest, uint32_t stream, long offset, size_t size)
{
	send_frame(scene, client, read_of(stream, "ReadStdout", "exec"));
	expect_read(scene, guest, read_of(stream, "ReadStdout", "exec"), offset);
	send_frame(scene, guest, response_new(stream, TTRPC_OK, "", size));
	expect_frame(scene, client, response_new(stream, TTRPC_OK, "", size));
}

static void reads_name_their_offset(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene), second, second_guest;

	(void)state;
	send_frame(scene, client, read_of(1, "ReadStdout", "exec"));
	expect_silence(scene, guest);
	answer_probe(scene, TTRPC_NOT_FOUND, "no such container");
	expect_read(scene, guest, read_of(1, "ReadStdout", "exec"), 0);
	send_frame(scene, guest, response_new(1, TTRPC_OK, "", 1000));
	expect_frame(scene, client, response_new(1, TTRPC_OK, "", 1000));
	read_bytes(scene, client, guest, 3, 1000, 100000);
	/* Another stream, another process. */
	send_frame(scene, client, read_of(5, "ReadStderr", "exec"));
	expect_read(scene, guest, read_of(5, "ReadStderr", "exec"), 0);
	send_frame(scene, client, read_of(7, "ReadStdout", NULL));
	expect_read(scene, guest, read_of(7, "ReadStdout", NULL), 0);
	/* An answer that is cut is asked for again, where it began; one that was delivered isn't. */
	send_frame(scene, client, read_of(9, "ReadStdout", "exec"));
	expect_read(scene, guest, read_of(9, "ReadStdout", "exec"), 101000);
	{
		struct frame *half = response_new(9, TTRPC_OK, "", 500);

		say(scene, guest, half->bytes, half->length - 1);
		free(half);
	}
	agent_dies(guest);
	guest = agent_accept(scene);
	expect_read(scene, guest, read_of(5, "ReadStderr", "exec"), 0);
	expect_read(scene, guest, read_of(7, "ReadStdout", NULL), 0);
	expect_read(scene, guest, read_of(9, "ReadStdout", "exec"), 101000);
	send_frame(scene, guest, response_new(9, TTRPC_OK, "", 500));
	expect_frame(scene, client, response_new(9, TTRPC_OK, "", 500));
	/* An error brings no bytes, the end neither. */
	send_frame(scene, client, read_of(11, "ReadStdout", "exec"));
	expect_read(scene, guest, read_of(11, "ReadStdout", "exec"), 101500);
	send_frame(scene, guest, response_new(11, TTRPC_NOT_FOUND, "gone", 0));
	expect_frame(scene, client, response_new(11, TTRPC_NOT_FOUND, "gone", 0));
	/* Another client goes on from there, also where the first one has left in the middle of a read. */
	send_frame(scene, client, read_of(13, "ReadStdout", "exec"));
	expect_read(scene, guest, read_of(13, "ReadStdout", "exec"), 101500);
	close(client);
	expect_end(scene, guest);
	close(guest);
	second = client_new(scene);
	second_guest = agent_accept(scene);
	read_bytes(scene, second, second_guest, 1, 101500, 1);
	read_bytes(scene, second, second_guest, 3, 101501, 1);
	/* A new process of the same name begins anew. */
	send_frame(scene, second, request_new(5, "grpc.AgentService", "ExecProcess", "box", "exec", 0));
	expect_frame(scene, second_guest, request_new(5, "grpc.AgentService", "ExecProcess", "box", "exec", 0));
	read_bytes(scene, second, second_guest, 7, 0, 8);
	send_frame(scene, second, request_new(9, "grpc.AgentService", "RemoveContainer", "box", NULL, 0));
	expect_frame(scene, second_guest, request_new(9, "grpc.AgentService", "RemoveContainer", "box", NULL, 0));
	read_bytes(scene, second, second_guest, 11, 0, 8);
	close(second);
	close(second_guest);
	scene_free(scene);
}

static void another_agent_sees_the_frames_that_were_sent(void **state)
{
	static const struct {
		uint32_t code;
		const char *message;
	} answers[] = {
		{TTRPC_INVALID_ARGUMENT, "nacre.Guest service does not exist"},
		{TTRPC_UNIMPLEMENTED, "AttachStream method"},
		{TTRPC_NOT_FOUND, "/nacre.Guest/AttachStream is not supported"},
	};

	(void)state;
	for (size_t i = 0; i < array_size(answers); i++) {
		struct scene *scene = scene_new();
		int client = client_new(scene), guest = agent_accept(scene);

		send_frame(scene, client, read_of(1, "ReadStdout", "exec"));
		/* What is behind it waits with it. */
		send_frame(scene, client, wait_process(3));
		answer_probe(scene, answers[i].code, answers[i].message);
		expect_read(scene, guest, read_of(1, "ReadStdout", "exec"), -1);
		expect_frame(scene, guest, wait_process(3));
		send_frame(scene, guest, response_new(1, TTRPC_OK, "", 1000));
		expect_frame(scene, client, response_new(1, TTRPC_OK, "", 1000));
		read_bytes(scene, client, guest, 5, -1, 10);
		/* The agent's own refusals are the client's. */
		send_frame(scene, client, read_of(7, "ReadStdout", "exec"));
		expect_read(scene, guest, read_of(7, "ReadStdout", "exec"), -1);
		send_frame(scene, guest, response_new(7, TTRPC_FAILED_PRECONDITION, "no", 0));
		expect_frame(scene, client, response_new(7, TTRPC_FAILED_PRECONDITION, "no", 0));
		close(client);
		close(guest);
		scene_free(scene);
	}
}

/* Somebody else has read before: the agent doesn't have those bytes any more. */
static void an_offset_that_is_gone_is_not_the_clients_fault(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);

	(void)state;
	send_frame(scene, client, read_of(1, "ReadStdout", "exec"));
	answer_probe(scene, TTRPC_NOT_FOUND, "no such container");
	expect_read(scene, guest, read_of(1, "ReadStdout", "exec"), 0);
	send_frame(scene, guest, response_new(1, TTRPC_FAILED_PRECONDITION, "gone", 0));
	expect_read(scene, guest, read_of(1, "ReadStdout", "exec"), -1);
	expect_silence(scene, client);
	send_frame(scene, guest, response_new(1, TTRPC_FAILED_PRECONDITION, "still no", 0));
	expect_frame(scene, client, response_new(1, TTRPC_FAILED_PRECONDITION, "still no", 0));
	read_bytes(scene, client, guest, 3, -1, 10);
	close(client);
	close(guest);
	scene_free(scene);
}

static void two_reads_at_once_have_no_offset(void **state)
{
	struct scene *scene = scene_new();
	int client = client_new(scene), guest = agent_accept(scene);

	(void)state;
	send_frame(scene, client, read_of(1, "ReadStdout", "exec"));
	answer_probe(scene, TTRPC_NOT_FOUND, "no such container");
	expect_read(scene, guest, read_of(1, "ReadStdout", "exec"), 0);
	send_frame(scene, client, read_of(3, "ReadStdout", "exec"));
	expect_read(scene, guest, read_of(3, "ReadStdout", "exec"), -1);
	for (uint32_t stream = 1; stream <= 3; stream += 2) {
		send_frame(scene, guest, response_new(stream, TTRPC_OK, "", 10));
		expect_frame(scene, client, response_new(stream, TTRPC_OK, "", 10));
	}
	read_bytes(scene, client, guest, 5, -1, 10);
	close(client);
	close(guest);
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_pass_as_they_are),
		cmocka_unit_test(long_bodies_pass),
		cmocka_unit_test(calls_beyond_the_limit_wait),
		cmocka_unit_test(a_client_that_stalls_delays_itself),
		cmocka_unit_test(what_a_client_said_before_it_went_is_heard),
		cmocka_unit_test(half_close_reaches_the_agent_and_answers_the_client),
		cmocka_unit_test(calls_are_issued_again_or_answered),
		cmocka_unit_test(calls_while_nobody_is_there_wait),
		cmocka_unit_test(a_request_that_is_cut_is_answered),
		cmocka_unit_test(a_response_that_is_cut_ends_its_client),
		cmocka_unit_test(a_call_is_not_issued_for_ever),
		cmocka_unit_test(a_lying_guest_is_cut),
		cmocka_unit_test(no_room_for_a_connection_ends_the_client),
		cmocka_unit_test(last_words_are_delivered),
		cmocka_unit_test(reads_name_their_offset),
		cmocka_unit_test(another_agent_sees_the_frames_that_were_sent),
		cmocka_unit_test(an_offset_that_is_gone_is_not_the_clients_fault),
		cmocka_unit_test(two_reads_at_once_have_no_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
