/* UTF-8 out of anything; RFC 3629. */
#include "lib/utf8.h"

#include <stdint.h>
#include <string.h>

/* The length of the character that begins here; 0 where none does. */
static size_t character(const uint8_t *bytes, size_t length)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least; /* what is less has a shorter form */
	} forms[] = {{0x80, 0x00, 0x01}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	for (size_t size = 1; size <= 4 && size <= length; size++) {
		uint32_t value = bytes[0] & (uint8_t)~forms[size - 1].mask;

		if ((bytes[0] & forms[size - 1].mask) != forms[size - 1].lead)
			continue;
		for (size_t i = 1; i < size; i++) {
			if ((bytes[i] & 0xc0) != 0x80)
				return 0;
			value = value << 6 | (bytes[i] & 0x3f);
		}
		return value < forms[size - 1].least || value > 0x10ffff || (value & 0x1ff800) == 0xd800 ? 0 : size;
	}
	return 0;
}

bool utf8_valid(const char *text)
{
	while (*text) {
		size_t size = (uint8_t)*text < 0x80 ? 1 : character((const uint8_t *)text, strlen(text));

		if (size == 0)
			return false;
		text += size;
	}
	return true;
}

void utf8_copy(char *to, const void *bytes, size_t length)
{
	const uint8_t *from = bytes, *end = from + length;

	while (from < end) {
		size_t size = character(from, (size_t)(end - from));

		memcpy(to, size ? (const char *)from : "\xef\xbf\xbd", size ? size : 3);
		to += size ? size : 3;
		from += size ? size : 1;
	}
	*to = '\0';
}
