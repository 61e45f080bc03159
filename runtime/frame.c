/* Frames, to and from bytes. */
#include "runtime/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"

/* How long the body of each type may be. */
static const struct {
	enum frame_type type;
	int from_client;
	uint32_t least, most;
} rules[] = {
	{FRAME_HELLO, 1, 4, 4},
	{FRAME_STDIN, 1, 1, FRAME_MOST},
	{FRAME_STDIN_END, 1, 0, 0},
	{FRAME_RESIZE, 1, 8, 8},
	{FRAME_SIGNAL, 1, 4, 4},
	{FRAME_STOP, 1, 4, 4},
	{FRAME_END, 1, 0, 0},
	{FRAME_DETACH, 1, 0, 0},
	{FRAME_STARTED, 0, 4, FRAME_MOST},
	{FRAME_STDOUT, 0, 1, FRAME_MOST},
	{FRAME_STDERR, 0, 1, FRAME_MOST},
	{FRAME_CREDIT_BACK, 0, 4, 4},
	{FRAME_EXIT, 0, 4, 4},
	{FRAME_FAILED, 0, 4, FRAME_MOST},
	{FRAME_NOTE, 0, 0, FRAME_MOST},
	{FRAME_ANSWER, 0, 4, FRAME_MOST},
};

static uint32_t number_at(const uint8_t *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof(number));
	return ntohl(number);
}

static int allowed(uint32_t type, uint32_t length, int from_client)
{
	for (size_t i = 0; i < array_size(rules); i++)
		if (rules[i].type == type)
			return rules[i].from_client == from_client && length >= rules[i].least &&
			       length <= rules[i].most;
	return 0;
}

int frame_parse(const struct buffer *buffer, int from_client, struct frame *frame)
{
	const uint8_t *bytes = buffer_bytes(buffer);
	size_t held = buffer_length(buffer);
	uint32_t length, type;

	if (held < FRAME_HEADER_SIZE)
		return 0;
	length = number_at(bytes);
	type = number_at(bytes + 4);
	if (!allowed(type, length, from_client))
		return -EPROTO;
	if (held - FRAME_HEADER_SIZE < length)
		return 0;
	*frame = (struct frame){.type = type, .length = length, .body = bytes + FRAME_HEADER_SIZE};
	return 1;
}

size_t frame_size(const struct frame *frame)
{
	return FRAME_HEADER_SIZE + frame->length;
}

uint32_t frame_number(const struct frame *frame, unsigned index)
{
	return number_at(frame->body + sizeof(uint32_t) * index);
}

void frame_header(uint8_t header[FRAME_HEADER_SIZE], enum frame_type type, size_t length)
{
	uint32_t numbers[] = {htonl((uint32_t)length), htonl((uint32_t)type)};

	memcpy(header, numbers, sizeof(numbers));
}

size_t frame_of_numbers(uint8_t bytes[FRAME_NUMBERS_SIZE], enum frame_type type, unsigned count, uint32_t first,
			uint32_t second)
{
	uint32_t numbers[] = {htonl(first), htonl(second)};

	frame_header(bytes, type, count * sizeof(uint32_t));
	memcpy(bytes + FRAME_HEADER_SIZE, numbers, count * sizeof(uint32_t));
	return FRAME_HEADER_SIZE + count * sizeof(uint32_t);
}
