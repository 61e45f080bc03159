/* Reading protobuf's fields one by one. */
#include "proxy/envelope.h"

#include <stdio.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

struct field {
	uint64_t number;
	enum wire wire;
	uint64_t value;	    /* of WIRE_BYTES: how many there are said to be */
	struct slice bytes; /* of them, those which are there */
};

bool slice_is(struct slice slice, const char *text)
{
	return strlen(text) == slice.length && memcmp(text, slice.bytes, slice.length) == 0;
}

static void skip(struct slice *rest, size_t length)
{
	rest->bytes += length;
	rest->length -= length;
}

static bool take_varint(struct slice *rest, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && rest->length > 0; shift += 7) {
		uint8_t byte = rest->bytes[0];

		skip(rest, 1);
		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* The next field; false at the end, and then `rest` is empty, or where there is no whole one. */
static bool take_field(struct slice *rest, struct field *field)
{
	uint64_t tag;

	*field = (struct field){0};
	if (!take_varint(rest, &tag))
		return false;
	field->number = tag >> 3;
	field->wire = tag & 7;
	switch (field->wire) {
	case WIRE_VARINT:
		return take_varint(rest, &field->value);
	case WIRE_BYTES:
		if (!take_varint(rest, &field->value))
			return false;
		field->bytes = *rest;
		if (field->value < rest->length)
			field->bytes.length = (size_t)field->value;
		skip(rest, field->bytes.length);
		return true;
	case WIRE_32:
	case WIRE_64:
		field->bytes.length = field->wire == WIRE_32 ? 4 : 8;
		if (rest->length < field->bytes.length)
			return false;
		skip(rest, field->bytes.length);
		return true;
	}
	return false;
}

static bool is_whole(const struct field *field)
{
	return field->wire == WIRE_BYTES && field->value == field->bytes.length;
}

/* Sets the fields 1 to `count` of a message that is there as a whole, by their numbers. As in every decoder the last one of a
 * number counts. */
static bool take_fields(struct slice message, struct slice *const fields[], size_t count)
{
	struct field field;

	for (size_t i = 0; i < count; i++)
		*fields[i] = (struct slice){0};
	while (message.length > 0) {
		if (!take_field(&message, &field) || (field.wire == WIRE_BYTES && !is_whole(&field)))
			return false;
		if (field.wire == WIRE_BYTES && field.number >= 1 && field.number <= count)
			*fields[field.number - 1] = field.bytes;
	}
	return true;
}

bool envelope_request(struct slice body, struct envelope_request *request)
{
	struct slice *const fields[] = {&request->service, &request->method, &request->payload};

	return take_fields(body, fields, 3);
}

bool envelope_process(struct slice payload, struct slice *container, struct slice *exec)
{
	struct slice *const fields[] = {container, exec};

	return take_fields(payload, fields, 2);
}

static bool take_code(struct slice status, uint32_t *code)
{
	struct field field;

	while (status.length > 0) {
		if (!take_field(&status, &field))
			return false;
		if (field.number == 1 && field.wire == WIRE_VARINT)
			*code = (uint32_t)field.value;
	}
	return true;
}

bool envelope_answer(struct slice head, struct envelope_answer *answer)
{
	struct field field, data;

	*answer = (struct envelope_answer){0};
	while (head.length > 0) {
		if (!take_field(&head, &field))
			return false;
		if (field.number == 1 && field.wire == WIRE_BYTES && !take_code(field.bytes, &answer->code))
			return false;
		if (field.number != 2 || field.wire != WIRE_BYTES)
			continue;
		if (field.value == 0)
			return true;
		if (!take_field(&field.bytes, &data) || data.number != 1 || data.wire != WIRE_BYTES)
			return false;
		answer->length = data.value;
		return true;
	}
	return true;
}

size_t envelope_pair(uint8_t to[ENVELOPE_PAIR_MAX], const char *key, uint64_t value)
{
	char text[24];
	int value_length = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	/* The pair's two fields, behind a field's tag and length. */
	int length = snprintf((char *)to + 2, ENVELOPE_PAIR_MAX - 2, "%c%c%s%c%c%s", 1 << 3 | WIRE_BYTES, (int)strlen(key), key,
			      2 << 3 | WIRE_BYTES, value_length, text);

	to[0] = 5 << 3 | WIRE_BYTES; /* Request.metadata */
	to[1] = (uint8_t)length;
	return 2 + (size_t)length;
}
