// uses: runtime/frame.c lib/buffer.c
/* Frames of attach.sock: what can be one, and what can't. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "runtime/frame.h"

static void append_header(struct buffer *buffer, uint32_t length, uint32_t type)
{
	uint32_t numbers[] = {htonl(length), htonl(type)};

	assert_int_equal(buffer_append(buffer, numbers, sizeof(numbers)), 0);
}

static int parse_header(uint32_t length, uint32_t type, int from_client)
{
	struct buffer buffer;
	struct frame frame;
	int status;

	buffer_init(&buffer, FRAME_BUFFER_LIMIT);
	append_header(&buffer, length, type);
	status = frame_parse(&buffer, from_client, &frame);
	buffer_free(&buffer);
	return status;
}

static void numbers_come_back(void **state)
{
	uint8_t bytes[FRAME_NUMBERS_SIZE];
	struct buffer buffer;
	struct frame frame;

	(void)state;
	buffer_init(&buffer, FRAME_BUFFER_LIMIT);
	assert_int_equal(frame_of_numbers(bytes, FRAME_RESIZE, 2, 24, 0xfffffffe), 16);
	buffer_append(&buffer, bytes, 16);
	buffer_append(&buffer, bytes, frame_of_numbers(bytes, FRAME_END, 0, 0, 0));
	assert_int_equal(frame_parse(&buffer, 1, &frame), 1);
	assert_int_equal(frame.type, FRAME_RESIZE);
	assert_int_equal(frame_number(&frame, 0), 24);
	assert_int_equal(frame_number(&frame, 1), 0xfffffffe);
	buffer_consume(&buffer, frame_size(&frame));
	assert_int_equal(frame_parse(&buffer, 1, &frame), 1);
	assert_int_equal(frame.type, FRAME_END);
	buffer_consume(&buffer, frame_size(&frame));
	assert_int_equal(frame_parse(&buffer, 1, &frame), 0);
	buffer_free(&buffer);
}

/* Byte by byte: nothing is taken before all of it is there. */
static void pieces(void **state)
{
	uint8_t header[FRAME_HEADER_SIZE];
	struct buffer buffer;
	struct frame frame;

	(void)state;
	buffer_init(&buffer, FRAME_BUFFER_LIMIT);
	frame_header(header, FRAME_STDOUT, 3);
	for (size_t i = 0; i < sizeof(header); i++) {
		assert_int_equal(frame_parse(&buffer, 0, &frame), 0);
		buffer_append(&buffer, header + i, 1);
	}
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(frame_parse(&buffer, 0, &frame), 0);
		buffer_append(&buffer, &"abc"[i], 1);
	}
	assert_int_equal(frame_parse(&buffer, 0, &frame), 1);
	assert_int_equal(frame.length, 3);
	assert_memory_equal(frame.body, "abc", 3);
	buffer_free(&buffer);
}

static void largest(void **state)
{
	struct buffer buffer;
	struct frame frame;
	uint8_t *body = calloc(1, FRAME_MOST);

	(void)state;
	buffer_init(&buffer, FRAME_BUFFER_LIMIT);
	append_header(&buffer, FRAME_MOST, FRAME_STDIN);
	assert_int_equal(buffer_append(&buffer, body, FRAME_MOST), 0);
	assert_int_equal(frame_parse(&buffer, 1, &frame), 1);
	assert_int_equal(frame_size(&frame), FRAME_BUFFER_LIMIT);
	buffer_free(&buffer);
	free(body);
}

/* Told by the header alone, so that nobody waits for a body that never fits. */
static void refused(void **state)
{
	static const struct {
		uint32_t length, type;
		int from_client;
	} bad[] = {
		{FRAME_MOST + 1, FRAME_STDIN, 1}, {0xffffffff, FRAME_STDIN, 1}, {0, FRAME_STDIN, 1},
		{1, FRAME_STDIN_END, 1},	  {3, FRAME_HELLO, 1},		{5, FRAME_HELLO, 1},
		{4, FRAME_RESIZE, 1},		  {12, FRAME_RESIZE, 1},	{0, FRAME_SIGNAL, 1},
		{4, 0, 1},			  {4, 9, 1},			{4, 0xffffffff, 1},
		{4, FRAME_EXIT, 1},		  {4, FRAME_HELLO, 0},		{8, FRAME_EXIT, 0},
		{3, FRAME_STARTED, 0},		  {FRAME_MOST + 1, FRAME_NOTE, 0}, {3, FRAME_FAILED, 0},
	};

	(void)state;
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(parse_header(bad[i].length, bad[i].type, bad[i].from_client), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_come_back),
		cmocka_unit_test(pieces),
		cmocka_unit_test(largest),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
