// uses: agent/stream.c agent/attached_stream.c agent/call_queue.c lib/loop.c lib/buffer.c lib/fd.c lib/error.c lib/arena.c lib/ttrpc.c
// uses: lib/ttrpc_server.c lib/message_text.c lib/utf8.c
/* Answers that a connection takes with it: what the next reader of a stream gets, byte by byte. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent_service.pb-c.h"
#include "agent/attached_stream.h"
#include "lib/fd.h"
#include "ttrpc.pb-c.h"

#define TOTAL (1u << 18)
#define READS 20
#define READ_LENGTH 1500u

static struct loop loop;
static struct ttrpc_server server;
static struct output output;
static int writer;
static size_t written;

static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

/* Feeds the pipe, and does what is to be done now. */
static void step(void)
{
	struct loop_timer timer = {0};
	uint8_t bytes[4096];
	ssize_t count = 1;

	while (writer >= 0 && written < TOTAL && count > 0) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = byte_at(written + i);
		count = write(writer, bytes, sizeof(bytes));
		written += count > 0 ? (size_t)count : 0;
	}
	if (written == TOTAL)
		fd_close(&writer);
	loop_timer_set(&loop, &timer, 0, nothing);
	assert_int_equal(loop_step(&loop), 0);
}

static void read_stdout(struct ttrpc_call *call)
{
	output_read(&output, call, ((const Grpc__ReadStreamRequest *)call->request)->len, OUTPUT_NEXT);
}

static const struct ttrpc_method methods[] = {{"ReadStdout", read_stdout}, {0}};
static const struct ttrpc_service service = {.descriptor = &grpc__agent_service__descriptor, .methods = methods};
static const struct ttrpc_service *const services[] = {&service, NULL};

/* A client whose connection takes little; its socket. */
static int connect_client(void)
{
	int sockets[2], size = 1;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_int_equal(setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(ttrpc_server_serve(&server, sockets[1]), 0);
	return sockets[0];
}

static void send_read(int client, uint32_t stream)
{
	Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	struct ttrpc_header header = {.stream = stream, .type = TTRPC_REQUEST};
	uint8_t payload[64], frame[256];

	read.len = READ_LENGTH;
	request.service = "grpc.AgentService";
	request.method = "ReadStdout";
	request.payload.data = payload;
	request.payload.len = grpc__read_stream_request__pack(&read, payload);
	header.length = (uint32_t)ttrpc__request__pack(&request, frame + TTRPC_HEADER_SIZE);
	ttrpc_header_encode(frame, &header);
	assert_int_equal(write(client, frame, TTRPC_HEADER_SIZE + header.length), TTRPC_HEADER_SIZE + header.length);
}

/* Compares the bytes of a whole answer; how many there were. */
static size_t check_answer(const uint8_t *body, size_t length, size_t position)
{
	Ttrpc__Response *response = ttrpc__response__unpack(NULL, length, body);
	Grpc__ReadStreamResponse *read;
	size_t count;

	assert_non_null(response);
	read = grpc__read_stream_response__unpack(NULL, response->payload.len, response->payload.data);
	assert_non_null(read);
	count = read->data.len;
	for (size_t i = 0; i < count; i++)
		assert_int_equal(read->data.data[i], byte_at(position + i));
	grpc__read_stream_response__free_unpacked(read, NULL);
	ttrpc__response__free_unpacked(response, NULL);
	return count;
}

/* Takes what the connection holds, and no more; the bytes of the whole answers in it. */
static size_t take_answers(int client, size_t position)
{
	static uint8_t bytes[4 * TOTAL];
	size_t length = 0, at = 0, begin = position;
	ssize_t count;

	while ((count = recv(client, bytes + length, sizeof(bytes) - length, MSG_DONTWAIT)) > 0)
		length += (size_t)count;
	while (length - at >= TTRPC_HEADER_SIZE) {
		struct ttrpc_header header = ttrpc_header_decode(bytes + at);

		if (length - at < TTRPC_HEADER_SIZE + header.length)
			break;
		position += check_answer(bytes + at + TTRPC_HEADER_SIZE, header.length, position);
		at += TTRPC_HEADER_SIZE + header.length;
	}
	return position - begin;
}

static int set_up(void **state)
{
	int pipes[2];

	(void)state;
	written = 0;
	signal(SIGPIPE, SIG_IGN);
	if (loop_init(&loop) < 0 || stream_setup() < 0 || pipe(pipes) < 0)
		return -1;
	fd_set_blocking(pipes[0], false);
	fd_set_blocking(pipes[1], false);
	writer = pipes[1];
	ttrpc_server_init(&server, &loop, services, NULL);
	output_open(&output, &loop, pipes[0], -1, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ttrpc_server_destroy(&server);
	output_close(&output);
	fd_close(&writer);
	loop_destroy(&loop);
	return 0;
}

/* Each of many clients asks for much, takes what its connection holds, and goes. */
static void clients_that_go_lose_no_byte(void **state)
{
	size_t received = 0;
	unsigned clients = 0;

	(void)state;
	while (received < TOTAL) {
		int client = connect_client();

		for (uint32_t i = 0; i < READS; i++)
			send_read(client, 2 * i + 1);
		for (int i = 0; i < 4; i++)
			step();
		received += take_answers(client, received);
		close(client);
		step();
		step();
		assert_null(server.connections);
		assert_true(++clients < 1000);
	}
	assert_int_equal(received, TOTAL);
	assert_true(clients > 10);
	assert_true(output_drained(&output) || writer < 0);
}

/* The reader is asked for nothing more while bytes wait that were lost, so they are not the end. */
static void lost_bytes_come_before_the_end(void **state)
{
	int client = connect_client();

	(void)state;
	assert_int_equal(write(writer, "\0\x1f>", 3), 3);
	fd_close(&writer);
	written = TOTAL;
	send_read(client, 1);
	/* Gone before it is answered: the answer finds nobody. */
	close(client);
	step();
	step();
	assert_null(server.connections);
	assert_false(output_drained(&output));
	client = connect_client();
	send_read(client, 1);
	step();
	assert_int_equal(take_answers(client, 0), 3);
	send_read(client, 3);
	step();
	assert_int_equal(take_answers(client, 3), 0);
	assert_true(output_drained(&output));
	close(client);
}

/* Whoever wanted the bytes back has gone as well. */
static void a_stream_that_is_closed_forgets(void **state)
{
	int client = connect_client();

	(void)state;
	for (uint32_t i = 0; i < READS; i++)
		send_read(client, 2 * i + 1);
	step();
	step();
	output_close(&output);
	close(client);
	step();
	step();
	assert_null(server.connections);
}

/* The records of a connection, and nothing behind them but what is cut; the bytes in them. */
static size_t take_records(int connection, size_t position)
{
	static uint8_t bytes[1 << 18];
	ssize_t length = recv(connection, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t at = 0, begin = position;

	while (length > 0 && at + 4 < (size_t)length) {
		size_t count = (size_t)bytes[at] | (size_t)bytes[at + 1] << 8 | (size_t)bytes[at + 2] << 16;

		at += 4;
		for (; count > 0 && at < (size_t)length; count--, at++, position++)
			assert_int_equal(bytes[at], byte_at(position));
	}
	return position - begin;
}

static int attach(uint64_t offset)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
	assert_int_equal(output_attach(&output, sockets[1], offset), 0);
	step();
	step();
	return sockets[0];
}

/* A connection gets the stream while answers are on their way, and these get lost: it goes on. */
static void what_is_lost_under_a_connection_does_not_hold_it_up(void **state)
{
	static uint8_t bytes[40100];
	int client = connect_client(), connection;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = byte_at(i);
	written = TOTAL + 1; /* step() writes nothing */
	assert_int_equal(write(writer, bytes, 40000), 40000);
	for (uint32_t i = 0; i < READS; i++)
		send_read(client, 2 * i + 1);
	for (int i = 0; i < 4; i++)
		step();
	assert_int_equal(output.position, READS * READ_LENGTH);
	connection = attach(0);
	assert_int_equal(take_records(connection, READS * READ_LENGTH), 40000 - READS * READ_LENGTH);
	close(client);
	step();
	step();
	assert_null(server.connections);
	assert_true(output.position < READS * READ_LENGTH);
	assert_int_equal(write(writer, bytes + 40000, 100), 100);
	step();
	step();
	assert_int_equal(take_records(connection, 40000), 100);
	close(connection);
	output_close(&output);
}

/* The same, and the next one asks for them. */
static void what_is_lost_under_a_connection_is_there_for_the_next(void **state)
{
	int client = connect_client(), connection;

	(void)state;
	for (uint32_t i = 0; i < READS; i++)
		send_read(client, 2 * i + 1);
	for (int i = 0; i < 4; i++)
		step();
	take_answers(client, 0);
	close(attach(0));
	close(client);
	step();
	step();
	connection = attach(output.position);
	assert_true(take_records(connection, output.position) > 0);
	close(connection);
	output_close(&output);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(clients_that_go_lose_no_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_bytes_come_before_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stream_that_is_closed_forgets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_lost_under_a_connection_does_not_hold_it_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_lost_under_a_connection_is_there_for_the_next, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
