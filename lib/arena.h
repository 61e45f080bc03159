/* Memory for one request: many small allocations, one free, a bound, and nothing that a child inherits.
 *
 * The pages come from mmap(2). With ARENA_NO_FORK they are MADV_DONTFORK: a child made by fork or clone doesn't have
 * them (a request's contents must not be found in another container's helper), and makes no arena of that kind itself. What a child has to read, a plan for
 * one, lives in an arena without that flag.
 */
#ifndef NACRE_LIB_ARENA_H
#define NACRE_LIB_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

enum arena_flags { ARENA_FORK = 0, ARENA_NO_FORK = 1 };

struct arena_chunk;

struct arena {
	enum arena_flags flags;
	size_t limit; /* bytes, all together */
	size_t used;
	bool exhausted; /* an allocation was refused */
	struct arena_chunk *chunks;
	ProtobufCAllocator allocator; /* hand &arena->allocator to protobuf-c: its free does nothing */
};

void arena_init(struct arena *arena, enum arena_flags flags, size_t limit);
void arena_free(struct arena *arena);

/* Hands everything in `from` over to `to`, which is overwritten; `from` is empty then. */
void arena_move(struct arena *to, struct arena *from);

/* True where memory of the arena lies between the two addresses. */
bool arena_touches(const struct arena *arena, const void *start, const void *end);

/* Zeroed and aligned for any type; NULL at the limit or without memory. */
void *arena_alloc(struct arena *arena, size_t size);

/* An array of `count` elements, checked for overflow. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* Copies; NULL where `text` is NULL or memory is out. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
