/* What is kept of a process's streams: bounded rings of bytes, in memory that a process which takes over from this one shares.
 *
 * A ring's bytes have offsets that only grow: those of the stream. One region of memory holds all of it: for each session a
 * record (whose it is, and how far its streams have come) and its three rings. Nothing in it is a pointer. What hasn't been
 * touched costs no memory, and what is given back none any more.
 *
 * A ring keeps its newest `size` bytes; its memory is larger by RING_CHUNK, so that what comes never overwrites what is kept:
 * whoever finds the region after a process has died in the midst of that finds all that `end` says.
 */
#ifndef NACRE_PROXY_RING_H
#define NACRE_PROXY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/error.h"

#define RING_CHUNK (16u << 10)
#define RING_STREAMS 3 /* stdin, stdout, stderr */
#define RING_ID_SIZE 256

struct ring_state {
	uint64_t begin;	  /* the offset of the oldest byte that is kept */
	uint64_t end;	  /* and of the one that comes next: stored last, with release */
	uint64_t had;	  /* up to here somebody has had it */
	uint64_t dropped; /* bytes that went before anybody had them */
	bool closing;	  /* of stdin: its end has been read, and is to be passed on */
	bool ended;	  /* nothing more comes, or is taken */
};

struct ring {
	struct ring_state *state;
	uint8_t *bytes;
	size_t size;
};

/* Of one session. Strings are terminated. */
struct ring_record {
	bool terminal, opened, begun, exited, exit_told, output_cut;
	bool keep; /* a full ring waits for somebody who has what is in it */
	uint8_t way;
	int32_t status;
	int64_t exit_time;
	char container_id[RING_ID_SIZE], exec_id[RING_ID_SIZE];
	struct ring_state streams[RING_STREAMS];
};

struct ring_store {
	bool *used; /* of each record: apart from them, so that nobody has to look at one that isn't */
	uint8_t *memory;
	size_t count, ring_size, slot_size;
};

/* Room for `count` sessions with rings of `size` bytes each. 0, or -errno with `error` filled. */
int ring_store_open(struct ring_store *store, size_t count, size_t size, struct error *error);
void ring_store_close(struct ring_store *store);

/* A record that is unused, zeroed; NULL where there is none. Whoever gives it back doesn't touch it or its rings again. */
struct ring_record *ring_store_take(struct ring_store *store);
void ring_store_give(struct ring_store *store, struct ring_record *record);

/* The record of that number, below `count`; NULL where it isn't used. */
struct ring_record *ring_store_at(const struct ring_store *store, size_t number);

struct ring ring_store_ring(const struct ring_store *store, struct ring_record *record, unsigned int stream);

static inline uint64_t ring_end(const struct ring *ring)
{
	return __atomic_load_n(&ring->state->end, __ATOMIC_ACQUIRE);
}

/* Where the next bytes go, as up to two parts, and how many there is room for, so that what is there from `needed` on stays; all
 * may go where that is behind the end, and what is before the beginning is kept for nobody. */
size_t ring_room(const struct ring *ring, uint64_t needed, struct iovec parts[2]);

/* So many bytes have been put there. What is older than the ring keeps is dropped, and counted where nobody has had it. */
void ring_commit(struct ring *ring, size_t size);

/* The bytes from `offset` on, which must be kept or the end, as up to two parts. Their number. */
size_t ring_data(const struct ring *ring, uint64_t offset, struct iovec parts[2]);

/* What is before `offset` is needed no more. */
void ring_consume(struct ring *ring, uint64_t offset);

/* The stream goes on at `offset`, at or behind the end: what is between them is lost, and what is kept dropped. */
void ring_restart(struct ring *ring, uint64_t offset);

#endif
