/* The orderly stop: stop.c decides, this does it. */
#define LOG_SUBSYSTEM "init"
#include <errno.h>
#include <signal.h>

#include "init/notify.h"
#include "init/supervise_state.h"
#include "lib/log.h"
#include "lib/loop.h"

void supervise_want_stop(struct supervise *supervise, const char *why)
{
	log_info("%s: stopping", why);
	notify_send(supervise->manager, "STOPPING=1");
	stop_want(&supervise->stop, supervise->settings.stop_timeout, loop_now());
}

/* Whether there is any process beside the agent: only asked where that is gone, or of no use any more. */
static bool others_left(struct supervise *supervise)
{
	bool gone = supervise->agent == 0 || supervise->stop.given_up;

	return !supervise->stop.wanted || !gone || reaper_reap_all();
}

uint64_t supervise_stop_step(struct supervise *supervise)
{
	uint64_t now = loop_now(), deadline;

	switch (stop_next(&supervise->stop, supervise->agent != 0, others_left(supervise), now, &deadline)) {
	case STOP_NOTHING:
		break;
	case STOP_ASK:
		supervise->stop.asked = supervise_ask_stop(supervise, stop_grace(&supervise->stop, now));
		break;
	case STOP_GIVE_UP:
		supervise_give_up(supervise, ETIMEDOUT);
		return now;
	case STOP_TERMINATE:
		reaper_terminate_all(supervise->guest);
		if (supervise->shell > 0)
			kill(supervise->shell, SIGKILL); /* an interactive one minds no SIGTERM */
		break;
	case STOP_END:
		supervise->ending = true;
		break;
	}
	return deadline;
}

