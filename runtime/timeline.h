/* What `--verbose` prints: each step as it is done, with the time since the start. */
#ifndef NACRE_RUNTIME_TIMELINE_H
#define NACRE_RUNTIME_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

struct timeline {
	bool verbose;
	uint64_t start; /* CLOCK_MONOTONIC, in nanoseconds */
	/* Where lines go; NULL: to stderr. */
	void (*print)(void *data, const char *line);
	void *data;
};

void timeline_start(struct timeline *timeline, bool verbose);

/* One line, where verbose. */
void timeline_note(const struct timeline *timeline, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line, always. */
void timeline_tell(const struct timeline *timeline, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line on stderr, always: "nacre: ..."; also fit for a terminal in raw mode. */
void timeline_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
