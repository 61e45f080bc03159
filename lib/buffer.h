/* A queue of bytes with a bound: appended at one end, consumed at the other. */
#ifndef NACRE_LIB_BUFFER_H
#define NACRE_LIB_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t start;	 /* first byte not yet consumed */
	size_t end;	 /* one past the last byte */
	size_t capacity; /* allocated */
	size_t limit;	 /* end - start never exceeds it */
};

/* An empty buffer that allocates nothing yet. */
void buffer_init(struct buffer *buffer, size_t limit);
void buffer_free(struct buffer *buffer);

static inline size_t buffer_length(const struct buffer *buffer)
{
	return buffer->end - buffer->start;
}

static inline const uint8_t *buffer_bytes(const struct buffer *buffer)
{
	return buffer->data + buffer->start;
}

/* Makes room for `length` more bytes, and returns where they go; NULL where the limit or memory doesn't allow it.
 * buffer_commit() then says how many were really put there. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t length);
void buffer_commit(struct buffer *buffer, size_t length);

/* 0, or -ENOBUFS at the limit, or -ENOMEM. */
int buffer_append(struct buffer *buffer, const void *data, size_t length);

/* Drops `length` bytes from the front; memory of an emptied buffer that has grown large is given back. */
void buffer_consume(struct buffer *buffer, size_t length);

#endif
