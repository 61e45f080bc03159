/* The supervisor's state, and how its parts work together: for init/supervise*.c only.
 *
 *   supervise.c        the agent's life, and the round that everything is done in
 *   supervise_line.c   what the agent says and is told
 *   supervise_end.c    the orderly stop, as stop.h decides it
 *   supervise_guest.c  PID 1 of a machine: its start and end, and its shell
 */
#ifndef NACRE_INIT_SUPERVISE_STATE_H
#define NACRE_INIT_SUPERVISE_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "init/fdstore.h"
#include "init/power_button.h"
#include "init/program.h"
#include "init/reaper.h"
#include "init/restart.h"
#include "init/settings.h"
#include "init/stop.h"
#include "lib/error.h"

struct supervise {
	bool guest;
	bool ending;
	bool hopeless; /* it ends because the agent can't serve */
	int exit_status;
	int signals; /* signalfd */
	int manager; /* the service manager's socket; -1 */
	struct settings settings;
	struct stop stop;
	struct program program;
	struct reaper reaper;
	struct fdstore store;

	/* The agent of now. */
	pid_t agent; /* 0 while there is none */
	int line;
	size_t restored; /* entries of the store that it has */
	bool told_all;	 /* and RESTORED */
	bool blocked;	 /* the line is full */

	/* The agents so far. */
	bool ever_ready;
	struct restart restart;
	uint64_t next_start; /* on CLOCK_MONOTONIC, in nanoseconds */

	/* A guest's own. */
	struct power_buttons buttons;
	pid_t shell; /* 0 while there is none */
	uint64_t next_shell;
	bool shell_failed; /* that has been said */
};

/* Makes everything ready for rounds; `guest` and `settings` are set. 0 or -errno. */
int supervise_prepare(struct supervise *supervise, char **arguments, struct error *error);

/* Rounds, until it is `ending`. */
void supervise_run(struct supervise *supervise);

/* supervise_line.c: reads one message: false once there is nothing to read at the moment. */
bool supervise_hear(struct supervise *supervise);

/* Tells the agent what it hasn't been told: what is stored, the next exit. */
void supervise_tell(struct supervise *supervise);

/* Asks the agent to stop within `grace` nanoseconds. False where the message didn't go. */
bool supervise_ask_stop(struct supervise *supervise, uint64_t grace);

/* Kills an agent that is of no use any more, for this reason (an errno). Its end is noticed like any other. */
void supervise_give_up(struct supervise *supervise, int number);

/* supervise_end.c: somebody wants the end; a second time, at once. */
void supervise_want_stop(struct supervise *supervise, const char *why);

/* Takes a stop that is wanted a step further. Returns when the next one is due, 0 for never. */
uint64_t supervise_stop_step(struct supervise *supervise);

/* supervise_guest.c: starts a shell where one is asked for and none runs. */
void supervise_look_at_shell(struct supervise *supervise);

#endif
