/* Decisions only: no process is touched here, and the clock is the caller's. */
#include "init/stop.h"

#include "lib/loop.h"

#define BEGINNING (5 * LOOP_SECOND) /* that the agent may take to say that it has begun */
#define TIDYING (10 * LOOP_SECOND)  /* after the grace: unmounting, removing, last answers */

void stop_want(struct stop *stop, uint64_t grace, uint64_t now)
{
	if (!stop->wanted) {
		stop->since = now;
		stop->grace = grace;
		stop->killing = now + grace;
	} else if (stop->killing > now) {
		stop->killing = now;
		stop->grace = 0;
		stop->asked = false;
	}
	stop->wanted = true;
}

uint64_t stop_grace(const struct stop *stop, uint64_t now)
{
	return stop->killing > now ? stop->killing - now : 0;
}

/* The agent does it. */
static enum stop_action follow_agent(struct stop *stop, uint64_t now, uint64_t *deadline)
{
	*deadline = stop->begun ? stop->killing + TIDYING : stop->since + BEGINNING;
	if (now >= *deadline) {
		stop->given_up = true;
		return STOP_GIVE_UP;
	}
	return stop->asked ? STOP_NOTHING : STOP_ASK;
}

enum stop_action stop_next(struct stop *stop, bool agent, bool others, uint64_t now, uint64_t *deadline)
{
	*deadline = 0;
	if (!stop->wanted)
		return STOP_NOTHING;
	if (agent && !stop->given_up)
		return follow_agent(stop, now, deadline);
	/* Where the agent had begun, they have been told. */
	if (others && !stop->begun && !stop->terminated) {
		stop->terminated = true;
		stop->killing = now + stop->grace;
		*deadline = stop->killing;
		return STOP_TERMINATE;
	}
	if (!others || now >= stop->killing)
		return STOP_END;
	*deadline = stop->killing;
	return STOP_NOTHING;
}
