/* Texts that go into protobuf strings, which have to be UTF-8: a peer refuses a message with any other. */
#ifndef NACRE_LIB_UTF8_H
#define NACRE_LIB_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a text is UTF-8. */
bool utf8_valid(const char *text);

/* Room that utf8_copy() needs for `length` bytes. */
#define UTF8_COPY_SIZE(length) (3 * (size_t)(length) + 1)

/* Copies bytes of any kind as a text: each that isn't part of UTF-8, and each zero, becomes U+FFFD. */
void utf8_copy(char *to, const void *bytes, size_t length);

#endif
