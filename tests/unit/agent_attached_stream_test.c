// uses: agent/stream.c agent/attached_stream.c agent/call_queue.c lib/loop.c lib/buffer.c lib/fd.c lib/error.c
// uses: lib/arena.c lib/ttrpc.c lib/ttrpc_server.c lib/message_text.c lib/utf8.c
/* Attached streams, whose connections are cut wherever they can be: every byte once, in order, and what is kept is bounded. */
#include <endian.h>
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

#include "agent/attached_stream.h"
#include "lib/fd.h"

#define TOTAL (1u << 20)
#define HEADER 4u

static struct loop loop;
static unsigned ends;
static unsigned seed;

static void count_end(struct output *output)
{
	ends += output->end_told;
}

static int set_up(void **state)
{
	(void)state;
	ends = 0;
	seed = 1;
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

/* Does all that can be done now. */
static void settle(void)
{
	for (int i = 0; i < 4; i++) {
		struct loop_timer timer = {0};

		loop_timer_set(&loop, &timer, 0, nothing);
		assert_int_equal(loop_step(&loop), 0);
	}
}

static unsigned any(unsigned below)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % below;
}

static uint8_t byte_at(size_t position)
{
	return (uint8_t)(position * 31 + position / 251);
}

static void fill(uint8_t *bytes, size_t position, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = byte_at(position + i);
}

static void check(const uint8_t *bytes, size_t position, size_t length)
{
	for (size_t i = 0; i < length; i++)
		assert_int_equal(bytes[i], byte_at(position + i));
}

static void make_pipe(int pipes[2])
{
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
}

/* Our end of a connection; the other one is *theirs. `small`: it takes little at once. */
static int connect_pair(int *theirs, bool small)
{
	int sockets[2], size = 1;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
	if (small)
		assert_int_equal(setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	*theirs = sockets[1];
	return sockets[0];
}

static int attach_output(struct output *output, uint64_t offset, bool small)
{
	int theirs, ours = connect_pair(&theirs, small);

	assert_int_equal(output_attach(output, theirs, offset), 0);
	return ours;
}

static int attach_input(struct input *input)
{
	int theirs, ours = connect_pair(&theirs, false);

	assert_int_equal(input_attach(input, theirs), 0);
	return ours;
}

static void acknowledge(int connection, uint64_t offset)
{
	uint64_t bytes = htole64(offset);

	assert_int_equal(write(connection, &bytes, sizeof(bytes)), sizeof(bytes));
}

static void send_record(int connection, const void *data, uint32_t length)
{
	uint32_t header = htole32(length);

	assert_int_equal(write(connection, &header, sizeof(header)), sizeof(header));
	assert_int_equal(write(connection, data, length), length);
}

/* The end of a connection, behind what is in it. */
static void assert_closed(int connection)
{
	uint8_t bytes[4096];
	ssize_t count;

	while ((count = read(connection, bytes, sizeof(bytes))) > 0)
		;
	assert_int_equal(count, 0);
	close(connection);
}

/* A reader of records, of one connection. */
struct reader {
	int connection;
	uint64_t position; /* of the next byte */
	uint8_t header[HEADER];
	size_t header_length, left;
	bool end;
};

/* Takes at most `most` bytes of what is there. How many there were. */
static size_t take(struct reader *reader, size_t most)
{
	static uint8_t bytes[1 << 17];
	ssize_t count = read(reader->connection, bytes, most < sizeof(bytes) ? most : sizeof(bytes));

	for (ssize_t i = 0; i < count;) {
		size_t length;

		if (reader->left == 0) {
			uint32_t value;

			assert_false(reader->end);
			reader->header[reader->header_length++] = bytes[i++];
			if (reader->header_length < HEADER)
				continue;
			reader->header_length = 0;
			memcpy(&value, reader->header, HEADER);
			reader->left = le32toh(value);
			reader->end = reader->left == 0;
			assert_in_range(reader->left, 0, STREAM_CHUNK);
			continue;
		}
		length = (size_t)(count - i) < reader->left ? (size_t)(count - i) : reader->left;
		check(bytes + i, reader->position, length);
		reader->position += length;
		reader->left -= length;
		i += (ssize_t)length;
	}
	return count > 0 ? (size_t)count : 0;
}

static size_t feed(int *fd, size_t position)
{
	uint8_t bytes[5000];
	size_t length = TOTAL - position < sizeof(bytes) ? TOTAL - position : sizeof(bytes);
	ssize_t count;

	fill(bytes, position, length);
	count = length > 0 ? write(*fd, bytes, length) : 0;
	position += count > 0 ? (size_t)count : 0;
	if (position == TOTAL)
		fd_close(fd);
	return position;
}

static void output_survives_connections_that_are_cut_anywhere(void **state)
{
	struct reader reader = {.connection = -1};
	size_t written = 0, allowed = 0;
	unsigned attachments = 0;
	uint64_t acknowledged = 0;
	struct output output;
	int pipes[2];

	(void)state;
	make_pipe(pipes);
	output_open(&output, &loop, pipes[0], -1, count_end);
	while (ends == 0) {
		if (reader.connection < 0) {
			reader = (struct reader){.position = reader.position};
			reader.connection = attach_output(&output, reader.position, any(2));
			assert_int_equal(output.position, reader.position);
			acknowledged = reader.position;
			allowed = 1 + any(60000);
			attachments++;
		}
		if (pipes[1] >= 0)
			written = feed(&pipes[1], written);
		settle();
		allowed -= take(&reader, 1 + any(allowed < 9999 ? (unsigned)allowed : 9999));
		if (any(3) == 0 || reader.position - acknowledged > 50000) {
			acknowledge(reader.connection, reader.position);
			acknowledged = reader.position;
			settle();
		}
		assert_in_range(buffer_length(&output.left), 0, STREAM_CHUNK);
		if (allowed == 0)
			fd_close(&reader.connection);
		settle();
	}
	assert_int_equal(reader.position, TOTAL);
	assert_in_range(attachments, 20, 1000);
	assert_true(output_drained(&output));
	fd_close(&reader.connection);
}

/* Of what goes over a connection for ten bytes and their end, as many bytes as there may be come through. */
static void output_is_sent_again_from_any_byte(void **state)
{
	(void)state;
	for (size_t cut = 0; cut <= 10 + 2 * HEADER; cut++) {
		struct reader reader = {0};
		struct output output;
		uint8_t bytes[10];
		int pipes[2];

		ends = 0;
		make_pipe(pipes);
		output_open(&output, &loop, pipes[0], -1, count_end);
		fill(bytes, 0, sizeof(bytes));
		assert_int_equal(write(pipes[1], bytes, sizeof(bytes)), sizeof(bytes));
		close(pipes[1]);
		reader.connection = attach_output(&output, 0, false);
		settle();
		assert_int_equal(cut ? take(&reader, cut) : 0, cut);
		close(reader.connection);
		settle();
		assert_null(output.attached);
		assert_int_equal(ends, 0);
		assert_int_equal(buffer_length(&output.left), cut == 0 && output.fd >= 0 ? 0 : 10);
		reader = (struct reader){.position = reader.position};
		reader.connection = attach_output(&output, reader.position, false);
		settle();
		if (reader.position < 10)
			assert_true(take(&reader, 100) > 0);
		assert_int_equal(reader.position, 10);
		if (output.attached)
			acknowledge(reader.connection, 10);
		settle();
		assert_int_equal(ends, 1);
		assert_closed(reader.connection);
	}
}

static void a_slow_connection_gets_whole_records(void **state)
{
	struct reader reader = {0};
	size_t written = 0;
	struct output output;
	int pipes[2];

	(void)state;
	make_pipe(pipes);
	output_open(&output, &loop, pipes[0], -1, count_end);
	reader.connection = attach_output(&output, 0, true);
	while (ends == 0) {
		for (int i = 0; i < 20 && pipes[1] >= 0; i++)
			written = feed(&pipes[1], written);
		settle();
		take(&reader, 777);
		acknowledge(reader.connection, reader.position);
		settle();
	}
	assert_int_equal(reader.position, TOTAL);
	close(reader.connection);
}

static void no_more_is_kept_than_64_kib_and_nothing_once_it_is_acknowledged(void **state)
{
	struct reader reader = {0};
	uint64_t before = 0;
	size_t written = 0;
	struct output output;
	int pipes[2];

	(void)state;
	make_pipe(pipes);
	output_open(&output, &loop, pipes[0], -1, count_end);
	reader.connection = attach_output(&output, 0, false);
	do {
		before = written;
		written = feed(&pipes[1], written);
		settle();
		take(&reader, SIZE_MAX);
	} while (written > before);
	/* The pipe is full, and the connection is empty. */
	assert_int_equal(reader.position, STREAM_CHUNK);
	assert_int_equal(buffer_length(&output.left), STREAM_CHUNK);
	acknowledge(reader.connection, 1);
	settle();
	take(&reader, SIZE_MAX);
	assert_int_equal(reader.position, STREAM_CHUNK + 1);
	while (reader.position < written) {
		acknowledge(reader.connection, reader.position);
		settle();
		take(&reader, SIZE_MAX);
	}
	assert_non_null(output.left.data);
	acknowledge(reader.connection, reader.position);
	settle();
	assert_null(output.left.data);
	output_close(&output);
	assert_closed(reader.connection);
	close(pipes[1]);
}

static void offsets_that_can_not_be_cut_the_connection(void **state)
{
	static const uint64_t bad[] = {0, 11, UINT64_MAX, UINT64_C(1) << 63};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct output output;
		uint8_t bytes[10];
		int pipes[2], connection;

		make_pipe(pipes);
		output_open(&output, &loop, pipes[0], -1, count_end);
		fill(bytes, 0, sizeof(bytes));
		assert_int_equal(write(pipes[1], bytes, sizeof(bytes)), sizeof(bytes));
		connection = attach_output(&output, 0, false);
		settle();
		acknowledge(connection, 5);
		acknowledge(connection, 5);
		acknowledge(connection, bad[i]);
		acknowledge(connection, 10);
		settle();
		assert_null(output.attached);
		assert_int_equal(output.position, 5);
		assert_int_equal(buffer_length(&output.left), 5);
		output_close(&output);
		close(connection);
		close(pipes[1]);
	}
}

/* What a connection hasn't taken can't have been taken by its reader. */
static void what_was_not_sent_can_not_be_acknowledged(void **state)
{
	uint8_t bytes[STREAM_CHUNK] = {0};
	struct output output;
	int pipes[2], connection;

	(void)state;
	make_pipe(pipes);
	output_open(&output, &loop, pipes[0], -1, count_end);
	assert_int_equal(write(pipes[1], bytes, sizeof(bytes)), sizeof(bytes));
	connection = attach_output(&output, 0, true);
	settle();
	assert_int_equal(buffer_length(&output.left), STREAM_CHUNK);
	acknowledge(connection, STREAM_CHUNK);
	settle();
	assert_null(output.attached);
	assert_int_equal(buffer_length(&output.left), STREAM_CHUNK);
	output_close(&output);
	close(connection);
	close(pipes[1]);
}

static void a_held_pipe_ends_when_it_is_finished(void **state)
{
	struct reader reader = {0};
	size_t written = 0, before;
	struct output output;
	int pipes[2];

	(void)state;
	make_pipe(pipes);
	output_open(&output, &loop, pipes[0], -1, count_end);
	reader.connection = attach_output(&output, 0, false);
	/* More than is kept: the end is behind what the pipe has then. */
	do {
		before = written;
		written = feed(&pipes[1], written);
		settle();
	} while (written > before);
	output_finish(&output);
	while (!reader.end) {
		assert_true(take(&reader, SIZE_MAX) > 0);
		assert_int_equal(ends, 0);
		acknowledge(reader.connection, reader.position);
		settle();
	}
	assert_int_equal(reader.position, written);
	assert_int_equal(ends, 1);
	assert_closed(reader.connection);
	close(pipes[1]);
}

static void input_survives_connections_that_are_cut_anywhere(void **state)
{
	static uint8_t record[STREAM_CHUNK];
	uint64_t received = 0;
	unsigned attachments = 0;
	struct input input;
	int pipes[2];

	(void)state;
	make_pipe(pipes);
	input_open(&input, &loop, pipes[1], -1, false);
	while (input.position < TOTAL) {
		int connection = attach_input(&input);
		uint64_t sent = input.position, acknowledged = sent, offset;
		size_t length = 1 + any(STREAM_CHUNK), cut;
		uint32_t header;
		ssize_t count;

		attachments++;
		if (length > TOTAL - sent)
			length = TOTAL - sent;
		fill(record, sent, length);
		header = htole32((uint32_t)length);
		/* It may be cut in the length, or in the record. */
		cut = any(HEADER + (unsigned)length + 1);
		assert_true(write(connection, &header, cut < HEADER ? cut : HEADER) >= 0);
		if (cut > HEADER)
			assert_int_equal(write(connection, record, cut - HEADER), cut - HEADER);
		for (int i = 0; i < 3; i++) {
			settle();
			count = read(pipes[0], record, any(30000));
			if (count > 0) {
				check(record, received, (size_t)count);
				received += (size_t)count;
			}
		}
		while (read(connection, &offset, sizeof(offset)) == sizeof(offset)) {
			assert_true(le64toh(offset) > acknowledged);
			acknowledged = le64toh(offset);
		}
		assert_int_equal(acknowledged, input.position);
		assert_in_range(acknowledged, sent, sent + (cut > HEADER ? cut - HEADER : 0));
		close(connection);
		if (any(2))
			settle();
	}
	assert_in_range(attachments, 20, 2000);
	send_record(attach_input(&input), NULL, 0);
	settle();
	assert_int_equal(input.fd, -1);
	for (ssize_t count; (count = read(pipes[0], record, sizeof(record))) > 0; received += (size_t)count)
		check(record, received, (size_t)count);
	assert_int_equal(received, TOTAL);
	assert_null(input.left.data);
	close(pipes[0]);
}

static void acknowledgements_that_nobody_reads_hold_nothing_up(void **state)
{
	struct input input;
	uint64_t offset, last = 0;
	int pipes[2], connection;
	uint8_t byte;

	(void)state;
	make_pipe(pipes);
	input_open(&input, &loop, pipes[1], -1, false);
	connection = attach_input(&input);
	for (size_t i = 0; i < 20000; i++) {
		byte = byte_at(i);
		send_record(connection, &byte, 1);
		settle();
		assert_int_equal(read(pipes[0], &byte, 1), 1);
		assert_int_equal(byte, byte_at(i));
	}
	while (last < 20000) {
		assert_int_equal(read(connection, &offset, sizeof(offset)), sizeof(offset));
		last = le64toh(offset);
		settle();
	}
	assert_int_equal(last, 20000);
	input_close(&input);
	assert_closed(connection);
	close(pipes[0]);
}

static void a_record_that_is_too_long_cuts_the_connection(void **state)
{
	const uint32_t lengths[] = {STREAM_CHUNK + 1, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t header = htole32(lengths[i]);
		struct input input;
		int pipes[2], connection;

		make_pipe(pipes);
		input_open(&input, &loop, pipes[1], -1, false);
		connection = attach_input(&input);
		assert_int_equal(write(connection, &header, sizeof(header)), sizeof(header));
		settle();
		assert_null(input.attached);
		assert_true(input.fd >= 0);
		assert_closed(connection);
		input_close(&input);
		close(pipes[0]);
	}
}

static void a_process_that_reads_no_more_ends_the_connection(void **state)
{
	struct input input;
	int pipes[2], connection;

	(void)state;
	make_pipe(pipes);
	input_open(&input, &loop, pipes[1], -1, false);
	connection = attach_input(&input);
	close(pipes[0]);
	send_record(connection, "x", 1);
	settle();
	assert_closed(connection);
	connection = attach_input(&input);
	assert_null(input.attached);
	assert_closed(connection);
}

static void the_end_by_a_call_is_behind_what_has_come(void **state)
{
	static uint8_t record[STREAM_CHUNK];
	struct input input;
	uint64_t received = 0;
	int pipes[2], connection;
	ssize_t count;

	(void)state;
	make_pipe(pipes);
	assert_true(fcntl(pipes[1], F_SETPIPE_SZ, 4096) > 0);
	input_open(&input, &loop, pipes[1], -1, false);
	connection = attach_input(&input);
	fill(record, 0, sizeof(record));
	send_record(connection, record, sizeof(record));
	settle();
	attached_input_end(&input);
	assert_true(input.fd >= 0);
	while ((count = read(pipes[0], record, sizeof(record))) > 0) {
		check(record, received, (size_t)count);
		received += (size_t)count;
		settle();
	}
	assert_int_equal(count, 0);
	assert_int_equal(received, STREAM_CHUNK);
	assert_closed(connection);
	close(pipes[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(output_survives_connections_that_are_cut_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(output_is_sent_again_from_any_byte, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_slow_connection_gets_whole_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_more_is_kept_than_64_kib_and_nothing_once_it_is_acknowledged, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(offsets_that_can_not_be_cut_the_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_not_sent_can_not_be_acknowledged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_held_pipe_ends_when_it_is_finished, set_up, tear_down),
		cmocka_unit_test_setup_teardown(input_survives_connections_that_are_cut_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(acknowledgements_that_nobody_reads_hold_nothing_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_that_is_too_long_cuts_the_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_process_that_reads_no_more_ends_the_connection, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_end_by_a_call_is_behind_what_has_come, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
