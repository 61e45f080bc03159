/* When the next agent is started: at once after an end now and then, later and later where each dies young. */
#ifndef NACRE_INIT_RESTART_H
#define NACRE_INIT_RESTART_H

#include <stdint.h>

struct restart {
	unsigned failures; /* ends in a row of agents that weren't ready for long */
	uint64_t ready;	   /* when the agent of now got ready; 0: it hasn't */
};

/* Times are CLOCK_MONOTONIC's, in nanoseconds. The agent has got ready. */
void restart_ready(struct restart *restart, uint64_t now);

/* The agent has ended: how long to wait before the next one is started, in nanoseconds. */
uint64_t restart_ended(struct restart *restart, uint64_t now);

#endif
