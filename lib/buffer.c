/* The byte queue: one allocation, which moves its contents to the front before it grows. */
#include "lib/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/poison.h"

/* syscalls: brk mmap munmap mremap madvise mprotect */

/* A buffer that has been emptied keeps no more than this. */
#define KEPT_CAPACITY 4096u
#define FIRST_CAPACITY 512u

void buffer_init(struct buffer *buffer, size_t limit)
{
	*buffer = (struct buffer){.limit = limit};
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){.limit = buffer->limit};
}

static int grow(struct buffer *buffer, size_t needed)
{
	size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
	uint8_t *data;

	while (capacity < needed)
		capacity *= 2;
	unpoison(buffer->data, buffer->capacity);
	data = realloc(buffer->data, capacity);
	if (!data)
		return -ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t length)
{
	size_t held = buffer_length(buffer);

	if (length > buffer->limit - held) {
		errno = ENOBUFS;
		return NULL;
	}
	if (buffer->capacity - buffer->end < length && buffer->start > 0) {
		memmove(buffer->data, buffer->data + buffer->start, held);
		buffer->start = 0;
		buffer->end = held;
	}
	if (buffer->capacity - buffer->end < length && grow(buffer, held + length) < 0) {
		errno = ENOMEM;
		return NULL;
	}
	unpoison(buffer->data + buffer->end, length);
	return buffer->data + buffer->end;
}

void buffer_commit(struct buffer *buffer, size_t length)
{
	buffer->end += length;
	poison(buffer->data + buffer->end, buffer->capacity - buffer->end);
}

int buffer_append(struct buffer *buffer, const void *data, size_t length)
{
	uint8_t *room;

	if (length == 0)
		return 0;
	room = buffer_reserve(buffer, length);
	if (!room)
		return -errno;
	memcpy(room, data, length);
	buffer_commit(buffer, length);
	return 0;
}

void buffer_consume(struct buffer *buffer, size_t length)
{
	buffer->start += length;
	if (buffer->start < buffer->end)
		return;
	buffer->start = buffer->end = 0;
	if (buffer->capacity > KEPT_CAPACITY) {
		free(buffer->data);
		buffer->data = NULL;
		buffer->capacity = 0;
	}
}
