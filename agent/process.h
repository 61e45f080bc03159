/* A process that a container was created with, or that was executed in one: from its launch to its exit being told.
 *
 * Exits come from the supervisor, which keeps the zombie until sandbox_process_exited() has acknowledged it. What the
 * process wrote before its end and its exit are ordered: over connections the exit is told once everything has been
 * handed on; by calls it is told at once, and the output stays readable for a while.
 */
#ifndef NACRE_AGENT_PROCESS_H
#define NACRE_AGENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/call_queue.h"
#include "agent/container/launch.h"
#include "agent/stream.h"
#include "lib/error.h"
#include "lib/loop.h"

struct container;
struct exec_description;

enum process_state {
	PROCESS_LAUNCHING, /* the helper works on it */
	PROCESS_CREATED,   /* blocked in front of its execve */
	PROCESS_RUNNING,
	PROCESS_EXITED,
};

/* The vsock ports of its streams; all 0: by calls. A terminal has no stderr. */
struct stream_numbers {
	uint32_t in, out, err;
};

struct process {
	struct container *container;
	struct process *next;
	char *exec_id; /* the container's own id for its first process */
	enum process_state state;
	bool terminal;
	bool by_calls;
	struct stream_numbers numbers; /* connections that have to arrive before the launch */
	struct loop_timer arrival;     /* how long they may take; set while they are waited for */
	void (*arrived)(struct process *process);
	pid_t pid; /* 0 until it is known */
	int pidfd;
	struct launch launch;
	bool launch_open; /* `launch` has to be destroyed */
	uint64_t launch_time;
	struct loop_source report;
	/* Called when it is ready, again when it has been executed, or once with what failed. */
	void (*launched)(struct process *process, const struct error *error);

	struct input stdin_stream;
	struct output stdout_stream, stderr_stream;

	int status;		 /* once exited: 0..255, or 128 + signal */
	bool waited;		 /* its exit has been told: another WaitProcess finds nothing */
	struct loop_timer grace; /* whoever holds its output open has this long */
	struct loop_timer linger; /* an exec whose exit has been told is forgotten after this */
	struct queued_call *waits;
	struct queued_call *told; /* answered waits which may still get lost with their connection */
	struct queued_call *holds; /* whoever made these goes: so does the process */
	struct loop_timer hangup;  /* until SIGKILL follows SIGHUP */
	bool hung_up;		   /* by a holder that went during the launch */
	bool unattended;	   /* nobody need ask for its exit */
	const struct exec_description *description; /* of an exec, as long as `call` waits for its launch */
	struct ttrpc_call *call; /* the CreateContainer, StartContainer or ExecProcess that waits for `launched` */
};

/* A record in `container`, with nothing running. NULL without memory. */
struct process *process_new(struct container *container, const char *exec_id);

/* Calls `arrived` once the connections of its streams are there, or their time is over: now or later. What hasn't come
 * then is absent (behaviour.md section 9). */
void process_await_streams(struct process *process, void (*arrived)(struct process *process));

/* A stream connection has arrived somewhere. */
void process_stream_arrived(struct process *process);

/* Starts the helper, with the connections that have arrived. 0 or -errno. */
int process_launch(struct process *process, const struct plan *plan,
		   void (*launched)(struct process *process, const struct error *error), struct error *error);

/* Lets a created process go on to its execve. 0 or -errno. */
int process_release(struct process *process, struct error *error);

/* It has ended with `status`. */
void process_exited(struct process *process, int status);

/* Somebody has read from its output: it may have been the end. */
void process_output_read(struct process *process);

/* Answers WaitProcess, now or at its end. */
void process_wait(struct process *process, struct ttrpc_call *call);

/* Answers HoldProcess at its end, or when process_unhold() is called. A caller that goes before that takes the process
 * along: its process group gets SIGHUP, and a few seconds later SIGKILL. */
void process_hold(struct process *process, struct ttrpc_call *call);

/* Answers every HoldProcess; stdin is nobody's then, but stays open, and an exec is forgotten some time after its end. */
void process_unhold(struct process *process);

/* kill(2) on the process itself, never on another that has got its pid. One that is gone already is no error. */
int process_signal(struct process *process, int signal, struct error *error);

/* SIGTERM; SIGKILL where the first process of a container, which is that of its pid namespace, has no handler for that one,
 * as it would never get it. 0 or -errno. */
int process_terminate(struct process *process, struct error *error);

/* Whether it has ended, and whoever wanted to know what it wrote and how it ended has been told. */
bool process_settled(const struct process *process);

/* Whether it still has to be waited for: it was made, and its exit hasn't been seen. */
static inline bool process_alive(const struct process *process)
{
	return process->state != PROCESS_EXITED && process->pid > 0;
}

/* Ends a launch that is under way, fails the call that waits for it with `reason` and closes its streams. */
void process_abandon(struct process *process, const struct error *reason);

/* Forgets it: takes it out of its container, closes and frees everything. */
void process_free(struct process *process);

#endif
