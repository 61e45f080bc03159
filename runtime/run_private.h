/* The context of one `nacre run`, and its steps: run.c (the command, which stays in front), monitor.c (the process that
 * owns the VM, order and end), run_machine.c (before the guest is ready), run_container.c (after that), run_control.c
 * (what clients want meanwhile).
 */
#ifndef NACRE_RUNTIME_RUN_PRIVATE_H
#define NACRE_RUNTIME_RUN_PRIVATE_H

#include "runtime/clients.h"
#include "runtime/composition.h"
#include "runtime/exit_status.h"
#include "runtime/image.h"
#include "runtime/locate.h"
#include "runtime/machine.h"
#include "runtime/output_log.h"
#include "runtime/run_options.h"
#include "runtime/session.h"
#include "runtime/signals.h"
#include "runtime/status.h"
#include "runtime/streams.h"
#include "runtime/timeline.h"

#define EXIT_KILLED (EXIT_BY_SIGNAL + 9) /* of a container whose VM was ended under it */

struct run {
	const struct run_options *options;
	struct timeline timeline;
	/* Found by the command, before there is a monitor. */
	struct locations locations;
	struct image image;
	struct composition composition;
	enum accel accel;
	unsigned rows, columns; /* of the user's terminal; 0: none */
	/* The monitor's. */
	struct loop loop;
	struct signals signals;
	struct clients clients;
	struct run_directory directory;
	struct status status;
	struct output_log log;
	struct machine machine;
	struct session session;
	struct streams streams;
	struct loop_timer stop; /* for what comes after SIGTERM */
	bool input_wanted;	/* the container's stdin takes bytes */
	bool ready;		/* the agent has answered */
	bool running;		/* signals go to the container */
	bool killed;		/* SIGKILL has: no reader of its output holds up its end */
	bool cancelled;		/* whoever waits stops waiting */
	bool silent;		/* so it was because the guest gave no sign of life */
	bool waited;		/* WaitProcess has been called, */
	bool exited;		/* answered, */
	int exit_code;		/* with this, */
	bool lost;		/* or failed */
};

/* Makes the disks, starts the VM, and waits until its agent answers. 0 or -errno. */
int run_boot(struct run *run, struct error *error);

/* Starts the container. 0 or -errno; *status is then the exit status for that. */
int run_container_start(struct run *run, int *status, struct error *error);

/* Runs it to its end: its exit code, or -errno. */
int run_container_await(struct run *run, struct error *error);

/* Removes the container, ends the sandbox, and waits for the VM's end: a few seconds, then by force. */
void run_finish(struct run *run);

/* What clients may want; `data` of each is the run. */
extern const struct clients_events run_control;

/* Passes on what clients have sent for stdin, as long as it is wanted. */
void run_feed(struct run *run);

#endif
