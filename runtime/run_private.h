/* The context of one `nacre run`, and its steps: run.c (order and end), run_machine.c (before the guest is ready),
 * run_container.c (after that).
 */
#ifndef NACRE_RUNTIME_RUN_PRIVATE_H
#define NACRE_RUNTIME_RUN_PRIVATE_H

#include "runtime/exit_status.h"
#include "runtime/locate.h"
#include "runtime/machine.h"
#include "runtime/run_options.h"
#include "runtime/session.h"
#include "runtime/signals.h"
#include "runtime/streams.h"
#include "runtime/terminal.h"
#include "runtime/timeline.h"
#include "runtime/user.h"

struct run {
	const struct run_options *options;
	struct timeline timeline;
	struct loop loop;
	struct signals signals;
	struct locations locations;
	struct run_directory directory;
	int root; /* ROOTFS */
	struct user user;
	enum accel accel;
	struct child packer;
	struct machine machine;
	struct session session;
	struct streams streams;
	struct terminal terminal;
	bool running;	   /* signals go to the container */
	bool cancelled;	   /* whoever waits stops waiting */
	bool silent;	   /* so it was because the guest gave no sign of life */
	int interrupted;   /* the signal by which we were told to end, or 0 */
	unsigned insisted; /* SIGINT and SIGTERM that the container was sent */
	bool waited;	   /* WaitProcess has been called, */
	bool exited;	   /* answered, */
	int exit_code;	   /* with this, */
	bool lost;	   /* or failed */
};

/* Packs ROOTFS, starts the VM, and waits until its agent answers. 0 or -errno. */
int run_boot(struct run *run, struct error *error);

/* Runs the container to its end: its exit code, or -errno; *status is then the exit status for that. */
int run_container(struct run *run, int *status, struct error *error);

/* Removes the container, ends the sandbox, and waits for the VM's end: a few seconds, then by force. */
void run_finish(struct run *run);

/* A signal while the container runs. */
void run_forward(struct run *run, int number);

/* Tells the container's terminal how large ours is. */
void run_resize(struct run *run);

#endif
