/* What a guest has said on one output of a session, and what a reader may have heard of it, for the target `session`. Bytes are
 * known by their offset: a reader that isn't lossy gets them in order, and misses only what lies before a place at which the guest
 * has gone on (a gap is the guest's).
 */
#ifndef NACRE_TESTS_FUZZ_SESSION_MODEL_H
#define NACRE_TESTS_FUZZ_SESSION_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAID_PARTS 8

struct said {
	struct said_part {
		uint64_t offset;
		uint8_t *bytes;
		size_t length;
	} parts[SAID_PARTS]; /* each behind the one before, and a gap between them */
	size_t count;
	uint64_t total; /* bytes that were ever added */
	bool over;	/* what is said doesn't count any more */
	bool clean;	/* because the guest has said that this is the end */
};

void said_free(struct said *said);

/* The offset behind the last byte. */
uint64_t said_end(const struct said *said);

/* The proxy has had what is before `had`, and the guest goes on at `offset`: anything else that it said is lost. */
void said_go_on(struct said *said, uint64_t had, uint64_t offset);

void said_add(struct said *said, const uint8_t *bytes, size_t length);

/* Where a reader may be: the offsets that agree with all it has read. */
struct heard {
	uint64_t at[SAID_PARTS + 1];
	size_t count;
};

void heard_start(struct heard *heard, uint64_t offset);

/* False where these can't be the next bytes. */
bool heard_more(struct heard *heard, const struct said *said, const uint8_t *bytes, size_t length);

/* Whether that may be all. */
bool heard_all(const struct heard *heard, const struct said *said);

#endif
