/* The orderly stop, as decisions: who does what, and for how long it is waited for.
 *
 * The agent does it where it can: it is asked, says that it has begun, ends its containers (SIGTERM, after the grace
 * SIGKILL), and asks for the end. One that doesn't say so in time, or isn't done in time, is given up. Without an agent the
 * supervisor does the same to all processes.
 */
#ifndef NACRE_INIT_STOP_H
#define NACRE_INIT_STOP_H

#include <stdbool.h>
#include <stdint.h>

struct stop {
	bool wanted;
	bool asked;	 /* the agent; the caller sets it once the message has gone */
	bool begun;	 /* the agent has said so; the caller sets it */
	bool given_up;	 /* the agent */
	bool terminated; /* every process has had its SIGTERM from us */
	uint64_t since;
	uint64_t grace; /* 0 once somebody is in a hurry */
	uint64_t killing; /* when the grace is over */
};

enum stop_action {
	STOP_NOTHING,
	STOP_ASK,	/* the agent, to begin, or to make an end at once: see stop_grace() */
	STOP_GIVE_UP,	/* the agent: kill it */
	STOP_TERMINATE, /* send SIGTERM to everyone */
	STOP_END,	/* what is left is killed */
};

/* Begins a stop with this much time for the containers (nanoseconds); again: their time is over now. */
void stop_want(struct stop *stop, uint64_t grace, uint64_t now);

/* What is to be done at this moment. `agent`: there is one; `others`: there are processes beside it. It is called again
 * whenever something has changed, and at *deadline (0: never), which is set. */
enum stop_action stop_next(struct stop *stop, bool agent, bool others, uint64_t now, uint64_t *deadline);

/* What is left of the grace. */
uint64_t stop_grace(const struct stop *stop, uint64_t now);

#endif
