// uses: agent/stream.c agent/attached_stream.c agent/call_queue.c agent/stream_ports.c lib/loop.c lib/buffer.c lib/fd.c lib/error.c
// uses: lib/arena.c lib/ttrpc.c lib/ttrpc_server.c lib/message_text.c lib/utf8.c
/* Streams over connections: whole, in order, with an end, however slowly they are read; and the waiting room for them. */
#include <fcntl.h>
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

#include "agent/stream.h"
#include "agent/stream_ports.h"
#include "lib/fd.h"

#define MEBIBYTE (1u << 20)

static struct loop loop;
static unsigned ends;

static void count_end(struct output *output)
{
	(void)output;
	ends++;
}

static int set_up(void **state)
{
	(void)state;
	ends = 0;
	signal(SIGPIPE, SIG_IGN);
	return loop_init(&loop) < 0 || stream_setup() < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_destroy(&loop);
	return 0;
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

/* Does what is to be done now, without waiting for more: the other end is played by the same thread. */
static void step(void)
{
	struct loop_timer timer = {0};

	loop_timer_set(&loop, &timer, 0, nothing);
	assert_int_equal(loop_step(&loop), 0);
}

static void make_socket(int sockets[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	assert_int_equal(fd_set_blocking(sockets[1], false), 0);
}

static void make_pipe(int pipes[2])
{
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(fd_set_blocking(pipes[0], false), 0);
	assert_int_equal(fd_set_blocking(pipes[1], false), 0);
}

static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

/* Writes the next bytes of the pattern; the new position. */
static size_t feed(int fd, size_t position, size_t end)
{
	uint8_t bytes[4096];
	size_t length = end - position < sizeof(bytes) ? end - position : sizeof(bytes);
	ssize_t count;

	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(position + i);
	count = write(fd, bytes, length);
	return position + (count > 0 ? (size_t)count : 0);
}

/* Reads up to `most` bytes and compares them; the new position, and whether the end has come. */
static size_t take(int fd, size_t position, size_t most, bool *end)
{
	uint8_t bytes[4096];
	ssize_t count = read(fd, bytes, most < sizeof(bytes) ? most : sizeof(bytes));

	*end = count == 0;
	for (ssize_t i = 0; i < count; i++)
		assert_int_equal(bytes[i], byte_at(position + (size_t)i));
	return position + (count > 0 ? (size_t)count : 0);
}

static void output_reaches_a_slow_reader_whole(void **state)
{
	size_t written = 0, received = 0;
	int pipes[2], sockets[2];
	struct output output;
	bool end = false;

	(void)state;
	make_pipe(pipes);
	make_socket(sockets);
	output_open(&output, &loop, pipes[0], sockets[0], count_end);
	while (!end) {
		for (int i = 0; i < 8 && written < MEBIBYTE; i++)
			written = feed(pipes[1], written, MEBIBYTE);
		if (written == MEBIBYTE && pipes[1] >= 0)
			fd_close(&pipes[1]);
		if (!end)
			received = take(sockets[1], received, 1000, &end);
		if (output.fd >= 0 || output.socket >= 0)
			step();
	}
	assert_int_equal(received, MEBIBYTE);
	assert_int_equal(ends, 1);
	close(sockets[1]);
}

static void a_held_pipe_ends_when_it_is_finished(void **state)
{
	int pipes[2], sockets[2];
	struct output output;
	size_t received = 0;
	bool end = false;

	(void)state;
	make_pipe(pipes);
	make_socket(sockets);
	output_open(&output, &loop, pipes[0], sockets[0], count_end);
	assert_int_equal(feed(pipes[1], 0, 4000), 4000);
	assert_false(output_drained(&output));
	/* pipes[1] stays open, as a grandchild would keep it. */
	output_finish(&output);
	assert_true(output_drained(&output));
	while (!end)
		received = take(sockets[1], received, 4096, &end);
	assert_int_equal(received, 4000);
	assert_int_equal(ends, 1);
	close(pipes[1]);
	close(sockets[1]);
}

static void a_reader_that_left_blocks_nobody(void **state)
{
	size_t written = 0;
	int pipes[2], sockets[2];
	struct output output;

	(void)state;
	make_pipe(pipes);
	make_socket(sockets);
	output_open(&output, &loop, pipes[0], sockets[0], count_end);
	close(sockets[1]);
	while (written < MEBIBYTE) {
		written = feed(pipes[1], written, MEBIBYTE);
		step();
	}
	close(pipes[1]);
	while (ends == 0)
		step();
	assert_true(output_drained(&output));
}

static void input_waits_for_a_slow_process(void **state)
{
	size_t written = 0, received = 0;
	int pipes[2], sockets[2];
	struct input input;
	bool end = false;

	(void)state;
	make_pipe(pipes);
	make_socket(sockets);
	input_open(&input, &loop, pipes[1], sockets[0], false);
	while (!end) {
		for (int i = 0; i < 8 && written < MEBIBYTE; i++)
			written = feed(sockets[1], written, MEBIBYTE);
		if (written == MEBIBYTE)
			shutdown(sockets[1], SHUT_WR);
		received = take(pipes[0], received, 1000, &end);
		if (input.fd >= 0)
			step();
	}
	assert_int_equal(received, MEBIBYTE);
	close(pipes[0]);
	close(sockets[1]);
}

static unsigned arrivals;

static void count_arrival(struct stream_ports *ports)
{
	(void)ports;
	arrivals++;
}

static void a_port_is_claimed_once_and_loses_no_byte(void **state)
{
	static struct stream_ports ports;
	int sockets[2], claimed;
	char text[8] = "";

	(void)state;
	arrivals = 0;
	stream_ports_init(&ports, &loop, count_arrival);
	make_socket(sockets);
	stream_ports_add(&ports, sockets[0], 0);
	assert_int_equal(write(sockets[1], "4711\nrest", 9), 9);
	step();
	assert_int_equal(arrivals, 1);
	assert_int_equal(stream_ports_claim(&ports, 4712), -1);
	assert_true(stream_ports_has(&ports, 4711));
	claimed = stream_ports_claim(&ports, 4711);
	assert_true(claimed >= 0);
	assert_int_equal(stream_ports_claim(&ports, 4711), -1);
	assert_int_equal(read(claimed, text, sizeof(text)), 4);
	assert_string_equal(text, "rest");
	close(claimed);
	close(sockets[1]);
}

static void a_bad_line_is_cut_off(void **state)
{
	static const char *const bad[] = {"\n", "0\n", "x\n", "-1\n", "4294967296\n", "12 \n", "123456789012345\n"};
	static struct stream_ports ports;
	char byte;

	(void)state;
	arrivals = 0;
	stream_ports_init(&ports, &loop, count_arrival);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int sockets[2];

		make_socket(sockets);
		stream_ports_add(&ports, sockets[0], 0);
		assert_true(write(sockets[1], bad[i], strlen(bad[i])) > 0);
		step();
		fd_set_blocking(sockets[1], true);
		assert_true(read(sockets[1], &byte, 1) <= 0);
		close(sockets[1]);
	}
	assert_int_equal(arrivals, 0);
}

static void too_many_connections_push_the_oldest_out(void **state)
{
	static struct stream_ports ports;
	int others[STREAM_PORTS_MAX + 1];

	(void)state;
	stream_ports_init(&ports, &loop, count_arrival);
	for (uint32_t i = 0; i <= STREAM_PORTS_MAX; i++) {
		int sockets[2];

		make_socket(sockets);
		others[i] = sockets[1];
		stream_ports_add(&ports, sockets[0], i + 1);
	}
	assert_false(stream_ports_has(&ports, 1));
	for (uint32_t i = 1; i <= STREAM_PORTS_MAX; i++) {
		int claimed = stream_ports_claim(&ports, i + 1);

		assert_true(claimed >= 0);
		close(claimed);
	}
	for (uint32_t i = 0; i <= STREAM_PORTS_MAX; i++)
		close(others[i]);
}

/* A proxy that is started again counts its ports again, and what the one before it has left unclaimed is dead. */
static void of_two_with_the_same_port_the_newer_one_counts(void **state)
{
	static struct stream_ports ports;
	int old[2], new[2], claimed;

	(void)state;
	stream_ports_init(&ports, &loop, count_arrival);
	make_socket(old);
	make_socket(new);
	stream_ports_add(&ports, old[0], 4711);
	stream_ports_add(&ports, new[0], 4711);
	claimed = stream_ports_claim(&ports, 4711);
	assert_int_equal(claimed, new[0]);
	close(claimed);
	assert_int_equal(stream_ports_claim(&ports, 4711), old[0]);
	close(old[0]);
	close(old[1]);
	close(new[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(output_reaches_a_slow_reader_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_held_pipe_ends_when_it_is_finished, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_that_left_blocks_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(input_waits_for_a_slow_process, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_port_is_claimed_once_and_loses_no_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_line_is_cut_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(of_two_with_the_same_port_the_newer_one_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(too_many_connections_push_the_oldest_out, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
