// uses: lib/ttrpc_server.c lib/message_text.c lib/utf8.c lib/ttrpc_client.c lib/ttrpc.c lib/loop.c lib/buffer.c lib/arena.c lib/fd.c lib/error.c
/* ttrpc, both ends, over a socket pair: calls, late answers, deadlines, lost connections, and frames that are wrong.
 *
 * The service is grpc.Health. Check answers at once; Version keeps its call, which the test then answers.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "health_service.pb-c.h"
#include "lib/cleanup.h"
#include "lib/ttrpc_client.h"
#include "lib/ttrpc_server.h"
#include "ttrpc.pb-c.h"

#define ANSWERS 4096
#define PATIENCE (20 * LOOP_SECOND)

struct answer {
	int count; /* how many times it came */
	enum ttrpc_code code;
	char message[128];
	int32_t serving;
};

static struct loop loop;
static struct ttrpc_server server;
static struct ttrpc_call *kept;
static int cancelled_count, kept_count;
static struct answer answers[ANSWERS];

static void check(struct ttrpc_call *call)
{
	Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

	assert_string_equal(call->method, "Check");
	response.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	ttrpc_call_reply(call, &response.base);
}

static void cancelled(struct ttrpc_call *call)
{
	assert_ptr_equal(call, kept);
	kept = NULL;
	cancelled_count++;
}

static void version(struct ttrpc_call *call)
{
	call->cancelled = cancelled;
	kept = call;
	kept_count++;
}

static const struct ttrpc_method methods[] = {{"Check", check}, {"Version", version}, {0}};
static const struct ttrpc_method one_method[] = {{"Check", check}, {0}};
static struct ttrpc_service health = {.descriptor = &grpc__health__descriptor, .methods = methods};
static const struct ttrpc_service *const services[] = {&health, NULL};

static int set_up(void **state)
{
	(void)state;
	health.methods = methods;
	kept = NULL;
	cancelled_count = kept_count = 0;
	memset(answers, 0, sizeof(answers));
	ttrpc_server_init(&server, &loop, services, NULL);
	return loop_init(&loop);
}

static int tear_down(void **state)
{
	(void)state;
	ttrpc_server_destroy(&server);
	loop_destroy(&loop);
	return 0;
}

/* A connection to the server: our end. */
static int dial(void)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	assert_int_equal(ttrpc_server_serve(&server, sockets[0]), 0);
	return sockets[1];
}

static void out_of_patience(struct loop_timer *timer)
{
	(void)timer;
	fail_msg("nothing came");
}

/* Steps the loop until a condition holds. */
#define until(condition)                                                              \
	do {                                                                          \
		struct loop_timer patience_ = {0};                                    \
                                                                                      \
		loop_timer_set(&loop, &patience_, PATIENCE, out_of_patience);         \
		while (!(condition))                                                  \
			assert_int_equal(loop_step(&loop), 0);                        \
		loop_timer_clear(&loop, &patience_);                                  \
	} while (0)

/* The client --------------------------------------------------------------------------------------------------- */

static void answered(void *data, const struct ttrpc_result *result)
{
	struct answer *answer = data;

	answer->count++;
	answer->code = result->code;
	snprintf(answer->message, sizeof(answer->message), "%s", result->message ? result->message : "");
	if (result->response && result->response->descriptor == &grpc__health_check_response__descriptor)
		answer->serving = ((const Grpc__HealthCheckResponse *)result->response)->status;
}

static int call(struct ttrpc_client *client, const char *method, uint64_t timeout, struct answer *answer)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;

	return ttrpc_client_call(client, &grpc__health__descriptor, method, &request.base, timeout, answered, answer);
}

static void a_call_is_answered(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());

	(void)state;
	assert_int_equal(call(client, "Check", 0, &answers[0]), 0);
	assert_int_equal(answers[0].count, 0); /* never from within */
	until(answers[0].count);
	assert_int_equal(answers[0].code, TTRPC_OK);
	assert_int_equal(answers[0].serving, GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	ttrpc_client_free(client);
	assert_int_equal(answers[0].count, 1);
}

static void invoke_waits_for_the_answer(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
	ProtobufCMessage *response = NULL;
	struct error error;
	enum ttrpc_code code;

	(void)state;
	assert_int_equal(ttrpc_client_invoke(client, &grpc__health__descriptor, "Check", &request.base, 0, &response, &code,
					     &error), 0);
	assert_int_equal(((Grpc__HealthCheckResponse *)response)->status,
			 GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING);
	protobuf_c_message_free_unpacked(response, NULL);
	health.methods = one_method;
	assert_true(ttrpc_client_invoke(client, &grpc__health__descriptor, "Version", &request.base, 0, &response, &code,
					&error) < 0);
	assert_int_equal(code, TTRPC_NOT_FOUND);
	assert_non_null(strstr(error.text, "/grpc.Health/Version is not supported"));
	ttrpc_client_free(client);
}

static void a_late_answer_does_not_hold_up_others(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());

	(void)state;
	call(client, "Version", 0, &answers[0]);
	call(client, "Check", 0, &answers[1]);
	until(answers[1].count);
	assert_int_equal(answers[0].count, 0);
	ttrpc_call_fail(kept, TTRPC_NOT_FOUND, "no %s", "version");
	until(answers[0].count);
	assert_int_equal(answers[0].code, TTRPC_NOT_FOUND);
	assert_string_equal(answers[0].message, "no version");
	ttrpc_client_free(client);
}

static void thousands_of_calls_are_answered_once_each(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());

	(void)state;
	for (int i = 0; i < ANSWERS; i++)
		assert_int_equal(call(client, "Check", 0, &answers[i]), 0);
	for (int i = 0; i < ANSWERS; i++)
		until(answers[i].count);
	for (int i = 0; i < ANSWERS; i++) {
		assert_int_equal(answers[i].count, 1);
		assert_int_equal(answers[i].code, TTRPC_OK);
	}
	ttrpc_client_free(client);
}

static void the_clients_deadline_ends_the_call_on_both_ends(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());

	(void)state;
	call(client, "Version", 30 * LOOP_MILLISECOND, &answers[0]);
	until(answers[0].count && cancelled_count);
	assert_int_equal(answers[0].code, TTRPC_DEADLINE_EXCEEDED);
	assert_null(kept);
	call(client, "Check", 0, &answers[1]);
	until(answers[1].count);
	assert_int_equal(answers[1].code, TTRPC_OK);
	assert_int_equal(answers[0].count, 1);
	ttrpc_client_free(client);
}

static void a_server_that_goes_leaves_unavailable(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());

	(void)state;
	call(client, "Version", 0, &answers[0]);
	until(kept);
	ttrpc_server_destroy(&server);
	until(answers[0].count);
	assert_int_equal(answers[0].code, TTRPC_UNAVAILABLE);
	assert_true(ttrpc_client_broken(client));
	if (call(client, "Check", 0, &answers[1]) == 0) {
		until(answers[1].count);
		assert_int_equal(answers[1].code, TTRPC_UNAVAILABLE);
	}
	ttrpc_client_free(client);
}

static void a_client_that_goes_cancels_its_calls(void **state)
{
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());

	(void)state;
	call(client, "Version", 0, &answers[0]);
	until(kept);
	ttrpc_client_free(client);
	assert_int_equal(answers[0].count, 1);
	assert_int_equal(answers[0].code, TTRPC_UNAVAILABLE);
	until(cancelled_count);
	assert_null(server.connections);
}

/* Frames ------------------------------------------------------------------------------------------------------- */

static void send_frame(int fd, uint32_t stream, uint8_t type, const void *body, uint32_t length)
{
	uint8_t header[TTRPC_HEADER_SIZE];
	const struct ttrpc_header fields = {.length = length, .stream = stream, .type = type};

	ttrpc_header_encode(header, &fields);
	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	assert_int_equal(write(fd, body, length), length);
}

static size_t pack_request(uint8_t body[256], const char *service, const char *method, const char *payload,
			   int64_t timeout)
{
	Ttrpc__Request request = TTRPC__REQUEST__INIT;

	request.service = (char *)service;
	request.method = (char *)method;
	request.payload.data = (uint8_t *)payload;
	request.payload.len = strlen(payload);
	request.timeout_nano = timeout;
	assert_true(ttrpc__request__get_packed_size(&request) <= 256);
	return ttrpc__request__pack(&request, body);
}

static void send_request(int fd, uint32_t stream, const char *service, const char *method, const char *payload)
{
	uint8_t body[256];

	send_frame(fd, stream, TTRPC_REQUEST, body, (uint32_t)pack_request(body, service, method, payload, 0));
}

static ssize_t peek(int fd, void *bytes, size_t size)
{
	return recv(fd, bytes, size, MSG_PEEK | MSG_DONTWAIT);
}

/* Waits for a response on this stream, with this code and text. */
static void expect(int fd, uint32_t stream, enum ttrpc_code code, const char *text)
{
	uint8_t frame[1024];
	struct ttrpc_header header;
	Ttrpc__Response *response;

	until(peek(fd, frame, sizeof(frame)) >= TTRPC_HEADER_SIZE);
	header = ttrpc_header_decode(frame);
	assert_int_equal(header.stream, stream);
	assert_int_equal(header.type, TTRPC_RESPONSE);
	assert_int_equal(header.flags, 0);
	assert_in_range(header.length, 0, sizeof(frame) - TTRPC_HEADER_SIZE);
	until(peek(fd, frame, sizeof(frame)) >= (ssize_t)(TTRPC_HEADER_SIZE + header.length));
	assert_true(read(fd, frame, TTRPC_HEADER_SIZE + header.length) > 0);
	response = ttrpc__response__unpack(NULL, header.length, frame + TTRPC_HEADER_SIZE);
	assert_non_null(response);
	assert_int_equal(response->status ? response->status->code : 0, code);
	if (text)
		assert_non_null(strstr(response->status->message, text));
	ttrpc__response__free_unpacked(response, NULL);
}

static void expect_alive(int fd)
{
	send_request(fd, 99, "grpc.Health", "Check", "");
	expect(fd, 99, TTRPC_OK, NULL);
}

static void expect_closed(int fd)
{
	char byte;

	until(peek(fd, &byte, 1) >= 0 || errno != EAGAIN);
	assert_true(peek(fd, &byte, 1) <= 0);
	assert_null(server.connections);
}

static void wrong_requests_are_answered(void **state)
{
	int fd = dial();

	(void)state;
	send_request(fd, 1, "grpc.Nothing", "Check", "");
	expect(fd, 1, TTRPC_INVALID_ARGUMENT, "grpc.Nothing service does not exist");
	send_request(fd, 3, "grpc.Health", "Nothing", "");
	expect(fd, 3, TTRPC_UNIMPLEMENTED, "Nothing method");
	send_request(fd, 4, "grpc.Health", "Check", "");
	expect(fd, 4, TTRPC_INVALID_ARGUMENT, "stream id must be odd");
	send_frame(fd, 5, TTRPC_REQUEST, "\xff\xff\xff\xff\xff\xff", 6);
	expect(fd, 5, TTRPC_INVALID_ARGUMENT, NULL);
	send_request(fd, 7, "grpc.Health", "Check", "\x0a\x7f");
	expect(fd, 7, TTRPC_UNKNOWN, NULL);
	send_frame(fd, 9, TTRPC_DATA, "x", 1);
	expect(fd, 9, TTRPC_INVALID_ARGUMENT, "Stream is no longer active");
	send_frame(fd, 11, 77, "x", 1);
	expect_alive(fd);
	close(fd);
}

static void a_frame_byte_by_byte_is_a_frame(void **state)
{
	uint8_t bytes[TTRPC_HEADER_SIZE + 256];
	size_t length = pack_request(bytes + TTRPC_HEADER_SIZE, "grpc.Health", "Check", "", 0);
	const struct ttrpc_header header = {.length = (uint32_t)length, .stream = 5, .type = TTRPC_REQUEST};
	int fd = dial();

	(void)state;
	ttrpc_header_encode(bytes, &header);
	for (size_t i = 0; i < TTRPC_HEADER_SIZE + length; i++) {
		assert_int_equal(write(fd, bytes + i, 1), 1);
		assert_int_equal(loop_step(&loop), 0);
	}
	expect(fd, 5, TTRPC_OK, NULL);
	close(fd);
}

static void a_cut_frame_ends_its_connection_only(void **state)
{
	int cut = dial(), other = dial();
	uint8_t header[TTRPC_HEADER_SIZE] = {0, 0, 0, 100, 0, 0, 0, 1, TTRPC_REQUEST, 0};

	(void)state;
	assert_int_equal(write(cut, header, sizeof(header)), sizeof(header));
	assert_int_equal(write(cut, "abc", 3), 3);
	assert_int_equal(loop_step(&loop), 0);
	close(cut);
	expect_alive(other);
	shutdown(other, SHUT_WR);
	expect_closed(other);
	close(other);
}

/* Writes `length` bytes to a socket that the loop reads. */
static void send_much(int fd, size_t length)
{
	static const uint8_t zeros[65536];

	while (length > 0) {
		size_t most = length < sizeof(zeros) ? length : sizeof(zeros);
		ssize_t count = send(fd, zeros, most, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (count > 0)
			length -= (size_t)count;
		else
			assert_int_equal(loop_step(&loop), 0);
	}
}

static void an_oversized_response_is_refused_instead(void **state)
{
	Grpc__VersionCheckResponse response = GRPC__VERSION_CHECK_RESPONSE__INIT;
	struct ttrpc_client *client = ttrpc_client_new(&loop, dial());
	char *text = malloc(TTRPC_BODY_MAX + 1);

	(void)state;
	memset(text, 'x', TTRPC_BODY_MAX);
	text[TTRPC_BODY_MAX] = '\0';
	response.agent_version = text;
	call(client, "Version", 0, &answers[0]);
	until(kept);
	ttrpc_call_reply(kept, &response.base);
	call(client, "Check", 0, &answers[1]);
	until(answers[1].count);
	assert_int_equal(answers[0].code, TTRPC_INVALID_ARGUMENT);
	assert_string_equal(answers[0].message, "the response is larger than 4 MiB");
	assert_int_equal(answers[1].code, TTRPC_OK);
	free(text);
	ttrpc_client_free(client);
}

static void an_oversized_frame_is_drained_and_refused(void **state)
{
	static const uint32_t lengths[] = {TTRPC_BODY_MAX + 1, 3 * TTRPC_BODY_MAX};
	uint8_t header[TTRPC_HEADER_SIZE];
	int fd = dial();

	(void)state;
	for (size_t i = 0; i < array_size(lengths); i++) {
		const struct ttrpc_header fields = {.length = lengths[i], .stream = 1, .type = TTRPC_REQUEST};

		ttrpc_header_encode(header, &fields);
		assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
		send_much(fd, lengths[i]);
		expect(fd, 1, TTRPC_INVALID_ARGUMENT, NULL);
		expect_alive(fd);
	}
	close(fd);
}

static void the_largest_frame_is_taken(void **state)
{
	uint8_t header[TTRPC_HEADER_SIZE];
	const struct ttrpc_header fields = {.length = TTRPC_BODY_MAX, .stream = 1, .type = TTRPC_REQUEST};
	int fd = dial();

	(void)state;
	ttrpc_header_encode(header, &fields);
	assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
	send_much(fd, TTRPC_BODY_MAX);
	/* Zeros are no request: it was taken, and it was looked at. */
	expect(fd, 1, TTRPC_INVALID_ARGUMENT, "decoded");
	expect_alive(fd);
	close(fd);
}

static void a_request_s_deadline_is_kept_by_the_server(void **state)
{
	uint8_t body[256];
	int fd = dial();

	(void)state;
	send_frame(fd, 3, TTRPC_REQUEST, body,
		   (uint32_t)pack_request(body, "grpc.Health", "Version", "", 20 * (int64_t)LOOP_MILLISECOND));
	expect(fd, 3, TTRPC_DEADLINE_EXCEEDED, "timeout");
	assert_int_equal(cancelled_count, 1);
	expect_alive(fd);
	close(fd);
}

static void random_bytes_end_nothing_but_their_connection(void **state)
{
	uint8_t bytes[400];

	(void)state;
	srandom(7);
	for (int round = 0; round < 300; round++) {
		int fd = dial();

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)random();
		/* Half of them with lengths that end within what is sent. */
		if (round % 2)
			for (size_t i = 0; i + 20 < sizeof(bytes); i += 20)
				memcpy(bytes + i, "\0\0\0\x0a\0\0\0\1\1", 9);
		assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
		shutdown(fd, SHUT_WR);
		assert_int_equal(loop_step(&loop), 0);
		close(fd);
	}
	until(!server.connections);
}

static void stop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(&loop);
}

/* Sends whole requests until the socket takes no more; the bytes sent. */
static size_t send_requests(int fd, const uint8_t *request, size_t length)
{
	size_t sent = 0, part = 0;
	ssize_t count;

	while ((count = send(fd, request + part, length - part, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) {
		sent += (size_t)count;
		part = (part + (size_t)count) % length;
	}
	return sent;
}

/* A client that doesn't read its answers isn't read from either: what is queued for it has a bound. */
static void a_client_that_never_reads_is_not_read_from(void **state)
{
	uint8_t bytes[TTRPC_HEADER_SIZE + 256];
	size_t length = TTRPC_HEADER_SIZE + pack_request(bytes + TTRPC_HEADER_SIZE, "grpc.Health", "Check", "", 0);
	const struct ttrpc_header header = {.length = (uint32_t)(length - TTRPC_HEADER_SIZE), .stream = 1,
					    .type = TTRPC_REQUEST};
	struct loop_timer timer = {0};
	size_t sent = 0, more;
	int fd = dial();

	(void)state;
	ttrpc_header_encode(bytes, &header);
	while ((more = send_requests(fd, bytes, length)) > 0) {
		sent += more;
		assert_in_range(sent, 1, 32u << 20);
		loop_timer_set(&loop, &timer, 50 * LOOP_MILLISECOND, stop);
		assert_int_equal(loop_run(&loop), 0);
	}
	close(fd);
	until(!server.connections);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(invoke_waits_for_the_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_late_answer_does_not_hold_up_others, set_up, tear_down),
		cmocka_unit_test_setup_teardown(thousands_of_calls_are_answered_once_each, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_clients_deadline_ends_the_call_on_both_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_server_that_goes_leaves_unavailable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_client_that_goes_cancels_its_calls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_requests_are_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_frame_byte_by_byte_is_a_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cut_frame_ends_its_connection_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_oversized_response_is_refused_instead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_oversized_frame_is_drained_and_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_largest_frame_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_request_s_deadline_is_kept_by_the_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(random_bytes_end_nothing_but_their_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_client_that_never_reads_is_not_read_from, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
