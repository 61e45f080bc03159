/* The arena: chunks from mmap(2), filled from the front, freed together. */
#include "lib/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/cleanup.h"
#include "lib/poison.h"

#define CHUNK_SIZE 16384u
#define ALIGNMENT 16u

/* As much of a spare chunk as is worth having: a page, with the header. */
#define SPARE_USED 4096u

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of the mapping */
	size_t used; /* with this header */
};

/* Of an arena that children don't inherit: most requests fit in it, and mapping one takes much longer than they do. */
static struct arena_chunk *spare;

static void *protobuf_alloc(void *data, size_t size)
{
	return arena_alloc(data, size);
}

static void protobuf_free(void *data, void *pointer)
{
	(void)data;
	(void)pointer;
}

void arena_init(struct arena *arena, enum arena_flags flags, size_t limit)
{
	*arena = (struct arena){
		.flags = flags,
		.limit = limit,
		.allocator = {.alloc = protobuf_alloc, .free = protobuf_free, .allocator_data = arena},
	};
}

void arena_free(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		unpoison(chunk, chunk->size);
		if (!spare && arena->flags & ARENA_NO_FORK && chunk->size == CHUNK_SIZE && chunk->used <= SPARE_USED)
			spare = memset(chunk, 0, chunk->used);
		else
			munmap(chunk, chunk->size);
	}
	arena->used = 0;
	arena->exhausted = false;
}

void arena_move(struct arena *to, struct arena *from)
{
	*to = *from;
	to->allocator.allocator_data = to;
	from->chunks = NULL;
	from->used = 0;
}

bool arena_touches(const struct arena *arena, const void *start, const void *end)
{
	for (const struct arena_chunk *chunk = arena->chunks; chunk; chunk = chunk->next)
		if ((uintptr_t)chunk < (uintptr_t)end && (uintptr_t)chunk + chunk->size > (uintptr_t)start)
			return true;
	return false;
}

static struct arena_chunk *add_chunk(struct arena *arena, size_t needed)
{
	size_t size = (needed + sizeof(struct arena_chunk) + ALIGNMENT + CHUNK_SIZE - 1) / CHUNK_SIZE * CHUNK_SIZE;
	struct arena_chunk *chunk;

	if (arena->flags & ARENA_NO_FORK && size == CHUNK_SIZE && spare) {
		chunk = take_pointer(&spare);
	} else {
		chunk = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (chunk == MAP_FAILED)
			return NULL;
		if (arena->flags & ARENA_NO_FORK)
			madvise(chunk, size, MADV_DONTFORK);
	}
	/* In a child, where a chunk that it hasn't was poisoned. */
	unpoison(chunk, size);
	chunk->size = size;
	chunk->used = (sizeof(*chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	poison((char *)chunk + chunk->used, size - chunk->used);
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = arena->chunks;
	size_t asked = size;
	void *memory;

	if (size > arena->limit - arena->used) {
		arena->exhausted = true;
		return NULL;
	}
	arena->used += size;
	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + POISON_GAP;
	if (!chunk || chunk->size - chunk->used < size)
		chunk = add_chunk(arena, size);
	if (!chunk) {
		arena->exhausted = true;
		return NULL;
	}
	memory = (char *)chunk + chunk->used;
	chunk->used += size;
	unpoison(memory, asked);
	return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return arena_alloc(arena, total);
}

char *arena_strdup(struct arena *arena, const char *text)
{
	size_t size;
	char *copy;

	if (!text)
		return NULL;
	size = strlen(text) + 1;
	copy = arena_alloc(arena, size);
	return copy ? memcpy(copy, text, size) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		return NULL;
	text = arena_alloc(arena, (size_t)length + 1);
	if (!text)
		return NULL;
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}
