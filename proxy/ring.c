/* Rings, and the memory that they are in. */
#include "proxy/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* syscalls: mmap munmap madvise */

#define PAGE 4096u

static size_t whole_pages(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

static size_t memory_size(const struct ring_store *store)
{
	return whole_pages(store->count) + store->count * store->slot_size;
}

int ring_store_open(struct ring_store *store, size_t count, size_t size, struct error *error)
{
	*store = (struct ring_store){.count = count, .ring_size = size};
	store->slot_size = whole_pages(sizeof(struct ring_record)) + RING_STREAMS * whole_pages(size + RING_CHUNK);
	if (count == 0)
		return 0;
	store->used = mmap(NULL, memory_size(store), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (store->used == MAP_FAILED) {
		store->used = NULL;
		return error_errno(error, errno, "memory for the rings of %zu sessions", count);
	}
	store->memory = (uint8_t *)store->used + whole_pages(count);
	return 0;
}

void ring_store_close(struct ring_store *store)
{
	if (store->used)
		munmap(store->used, memory_size(store));
	*store = (struct ring_store){0};
}

static struct ring_record *record_at(const struct ring_store *store, size_t number)
{
	return (struct ring_record *)(void *)(store->memory + number * store->slot_size);
}

struct ring_record *ring_store_at(const struct ring_store *store, size_t number)
{
	return store->used[number] ? record_at(store, number) : NULL;
}

struct ring_record *ring_store_take(struct ring_store *store)
{
	for (size_t i = 0; i < store->count; i++) {
		struct ring_record *record = record_at(store, i);

		if (store->used[i])
			continue;
		memset(record, 0, sizeof(*record));
		store->used[i] = true;
		return record;
	}
	return NULL;
}

void ring_store_give(struct ring_store *store, struct ring_record *record)
{
	store->used[(size_t)((uint8_t *)record - store->memory) / store->slot_size] = false;
	/* Gives the memory back, too; where that can't be, it is as good for the next one. */
	madvise(record, store->slot_size, MADV_REMOVE);
}

struct ring ring_store_ring(const struct ring_store *store, struct ring_record *record, unsigned int stream)
{
	return (struct ring){
		.state = &record->streams[stream],
		.bytes = (uint8_t *)record + whole_pages(sizeof(*record)) +
			 stream * whole_pages(store->ring_size + RING_CHUNK),
		.size = store->ring_size,
	};
}

/* `length` bytes from `offset` on. */
static size_t parts_at(const struct ring *ring, uint64_t offset, size_t length, struct iovec parts[2])
{
	size_t memory = ring->size + RING_CHUNK, start = (size_t)(offset % memory);
	size_t first = length < memory - start ? length : memory - start;

	parts[0] = (struct iovec){.iov_base = ring->bytes + start, .iov_len = first};
	parts[1] = (struct iovec){.iov_base = ring->bytes, .iov_len = length - first};
	return length;
}

size_t ring_room(const struct ring *ring, uint64_t needed, struct iovec parts[2])
{
	const struct ring_state *state = ring->state;
	size_t room = ring->size + RING_CHUNK - (size_t)(state->end - state->begin);

	/* What isn't there any more can't be kept for anybody. */
	if (needed < state->begin)
		needed = state->begin;
	if (needed <= state->end && ring->size - (size_t)(state->end - needed) < room)
		room = ring->size - (size_t)(state->end - needed);
	return parts_at(ring, state->end, room, parts);
}

/* What nobody has had is lost with it. */
static void drop_before(struct ring_state *state, uint64_t offset)
{
	uint64_t unread = state->had > state->begin ? state->had : state->begin;

	if (offset > unread)
		state->dropped += offset - unread;
	state->begin = offset;
}

void ring_commit(struct ring *ring, size_t size)
{
	struct ring_state *state = ring->state;
	uint64_t end = state->end + size;

	if (end - state->begin > ring->size)
		drop_before(state, end - ring->size);
	__atomic_store_n(&state->end, end, __ATOMIC_RELEASE);
}

size_t ring_data(const struct ring *ring, uint64_t offset, struct iovec parts[2])
{
	return parts_at(ring, offset, (size_t)(ring->state->end - offset), parts);
}

void ring_consume(struct ring *ring, uint64_t offset)
{
	ring->state->begin = offset;
}

void ring_restart(struct ring *ring, uint64_t offset)
{
	drop_before(ring->state, offset);
	__atomic_store_n(&ring->state->end, offset, __ATOMIC_RELEASE);
}
