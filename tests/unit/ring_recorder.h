/* What a test's guest does to its rings, as a program of tests/fuzz/rings.h: what has changed in guest memory from one turn of the
 * device to the next, and not by the device. The sends of clients aren't part of it: the target's client always sends. */
#ifndef NACRE_TESTS_RING_RECORDER_H
#define NACRE_TESTS_RING_RECORDER_H

#include "tests/fuzz/rings.h"
#include "tests/unit/proxy_fake_guest.h"

#define RECORD_GAP 8 /* bytes that are the same, for which no new step is worth it */
#define RECORD_TURNS 4 /* in which nothing happens; more aren't recorded */

struct ring_recorder {
	struct turn_observer observer;
	FILE *file; /* NULL when it is over */
	unsigned int idle;
	uint8_t before[2 * REGION_SIZE];
};

static inline void record_write(struct ring_recorder *recorder, size_t offset, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		size_t here = size < 255 ? size : 255;
		uint8_t step[] = {RING_WRITE, (uint8_t)offset, (uint8_t)(offset >> 8), (uint8_t)(offset >> 16), (uint8_t)here};

		fwrite(step, sizeof(step), 1, recorder->file);
		fwrite(bytes, here, 1, recorder->file);
		offset += here;
		bytes += here;
		size -= here;
		recorder->idle = 0;
	}
}

/* From `start` to the last byte that differs before RECORD_GAP which don't. */
static inline size_t record_run(struct ring_recorder *recorder, const uint8_t *now, size_t start)
{
	size_t end = start, at = start;

	for (; at < 2 * REGION_SIZE && at - end < RECORD_GAP; at++)
		if (now[at] != recorder->before[at])
			end = at + 1;
	record_write(recorder, start, now + start, end - start);
	return at;
}

static inline void record_turn(struct turn_observer *observer, struct fake_guest *guest, bool over)
{
	struct ring_recorder *recorder = container_of(observer, struct ring_recorder, observer);
	const uint8_t *now = guest->memory;

	if (!recorder->file)
		return;
	if (over) {
		memcpy(recorder->before, now, sizeof(recorder->before));
		return;
	}
	for (size_t at = 0; at < sizeof(recorder->before);)
		if (at % 4096 == 0 && memcmp(now + at, recorder->before + at, 4096) == 0)
			at += 4096;
		else
			at = now[at] == recorder->before[at] ? at + 1 : record_run(recorder, now, at);
	if (recorder->idle++ < RECORD_TURNS)
		fputc(RING_TURN, recorder->file);
}

static inline void record_stop(struct ring_recorder *recorder)
{
	if (recorder->file)
		fclose(recorder->file);
	recorder->file = NULL;
}

/* Begins, where NACRE_RECORD names a folder, with a file of that name in it. */
static inline void record_start(struct ring_recorder *recorder, struct fake_guest *guest, const char *name)
{
	const char *folder = getenv("NACRE_RECORD");
	char path[512];

	if (!folder)
		return;
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	recorder->file = fopen(path, "we");
	assert_non_null(recorder->file);
	recorder->observer.turn = record_turn;
	recorder->idle = 0;
	guest->observer = &recorder->observer;
	record_turn(&recorder->observer, guest, true);
}

/* A step which isn't in memory. */
static inline void record_step(struct ring_recorder *recorder, enum ring_step step, const void *bytes, size_t size)
{
	if (!recorder->file)
		return;
	fputc(step, recorder->file);
	fwrite(bytes, size, 1, recorder->file);
	recorder->idle = 0;
}

#endif
