/* What a container uses, as StatsContainer of the agent tells it, reduced to what people look at. All of it is the guest's
 * word: numbers, which are shown and never counted on. */
#ifndef NACRE_RUNTIME_STATS_H
#define NACRE_RUNTIME_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"

struct stats {
	uint64_t time;			/* when it came: CLOCK_MONOTONIC of this machine, in nanoseconds; 0: it hasn't */
	uint64_t cpu;			/* processor time that was used, in nanoseconds */
	uint64_t memory, memory_limit;	/* bytes, without files that are merely cached; limits are 0 where there is none */
	uint64_t pids, pids_limit;
	uint64_t read, written;		/* bytes, from and to block devices */
};

/* Reduces an answer that came at `now`. What isn't in it is 0. */
void stats_take(struct stats *stats, const Grpc__StatsContainerResponse *response, uint64_t now);

/* Of the time between two of them, how much one processor would have been busy, in percent; two busy ones are 200. */
double stats_cpu_percent(const struct stats *before, const struct stats *after);

/* The same of the memory; 0 without a limit. */
double stats_memory_percent(const struct stats *stats);

/* What is shown of a container. */
enum stats_column { STATS_NAME, STATS_CPU, STATS_MEMORY, STATS_MEMORY_PERCENT, STATS_IO, STATS_PIDS, STATS_COLUMNS };
extern const char *const stats_titles[STATS_COLUMNS];

/* The text of a column but the name's; "--" where it isn't known: without a time in `before` the processor's share, and
 * everything without one in `after`. */
#define STATS_CELL_SIZE 64
void stats_describe(enum stats_column column, const struct stats *before, const struct stats *after,
		    char text[STATS_CELL_SIZE]);

#endif
