/* What was said and heard: see session_model.h. */
#include "tests/fuzz/session_model.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* No honest offset is larger (proxy/session.c). */
#define OFFSET_MAX (UINT64_C(1) << 62)

void said_free(struct said *said)
{
	for (size_t i = 0; i < said->count; i++)
		free(said->parts[i].bytes);
	*said = (struct said){0};
}

uint64_t said_end(const struct said *said)
{
	return said->count > 0 ? said->parts[said->count - 1].offset + said->parts[said->count - 1].length : 0;
}

static void forget_from(struct said *said, uint64_t offset)
{
	while (said->count > 0 && said->parts[said->count - 1].offset > offset)
		free(said->parts[--said->count].bytes);
	if (said->count == 0)
		said->parts[said->count++] = (struct said_part){.offset = offset};
	else if (said_end(said) > offset)
		said->parts[said->count - 1].length = (size_t)(offset - said->parts[said->count - 1].offset);
}

void said_go_on(struct said *said, uint64_t had, uint64_t offset)
{
	forget_from(said, had);
	said->clean = false;
	said->over = offset < had || offset > OFFSET_MAX || said->count == SAID_PARTS;
	if (!said->over && said_end(said) != offset)
		said->parts[said->count++] = (struct said_part){.offset = offset};
}

void said_add(struct said *said, const uint8_t *bytes, size_t length)
{
	struct said_part *last;

	if (said->over || length == 0)
		return;
	promise(said->count > 0);
	last = &said->parts[said->count - 1];
	last->bytes = realloc(last->bytes, last->length + length);
	promise(last->bytes);
	memcpy(last->bytes + last->length, bytes, length);
	last->length += length;
	said->total += length;
}

void heard_start(struct heard *heard, uint64_t offset)
{
	*heard = (struct heard){.at = {offset}, .count = 1};
}

static bool is_at(const struct said *said, uint64_t offset, uint8_t byte)
{
	for (size_t i = 0; i < said->count; i++) {
		const struct said_part *part = &said->parts[i];

		if (offset >= part->offset && offset - part->offset < part->length)
			return part->bytes[offset - part->offset] == byte;
	}
	return false;
}

static void add(struct heard *heard, uint64_t offset)
{
	for (size_t i = 0; i < heard->count; i++)
		if (heard->at[i] == offset)
			return;
	promise(heard->count <= SAID_PARTS);
	heard->at[heard->count++] = offset;
}

static bool heard_byte(struct heard *heard, const struct said *said, uint8_t byte)
{
	const struct heard before = *heard;
	uint64_t least = UINT64_MAX;

	heard->count = 0;
	for (size_t i = 0; i < before.count; i++) {
		if (before.at[i] < least)
			least = before.at[i];
		if (is_at(said, before.at[i], byte))
			add(heard, before.at[i] + 1);
	}
	for (size_t i = 1; i < said->count; i++)
		if (said->parts[i].offset > least && is_at(said, said->parts[i].offset, byte))
			add(heard, said->parts[i].offset + 1);
	return heard->count > 0;
}

bool heard_more(struct heard *heard, const struct said *said, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!heard_byte(heard, said, bytes[i]))
			return false;
	return true;
}

bool heard_all(const struct heard *heard, const struct said *said)
{
	for (size_t i = 0; i < heard->count; i++)
		if (heard->at[i] == said_end(said))
			return true;
	/* Nothing has come behind the last gap. */
	return said->count > 1 && said->parts[said->count - 1].length == 0;
}
