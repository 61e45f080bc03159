/* The worker, as the keeper sees it: a child that is forked from it, without an exec, and started again where it dies.
 *
 * One that dies again within WORKER_PROVEN of its start is followed later and later, up to the option's delay: a guest that
 * can end workers as it likes gets no more of them than that, and a log line for each.
 */
#ifndef NACRE_PROXY_WORKER_H
#define NACRE_PROXY_WORKER_H

#include <sys/types.h>

#include "lib/error.h"
#include "lib/loop.h"

#define WORKER_PROVEN (10 * LOOP_SECOND)

/* What goes over the control link. */
enum worker_message {
	WORKER_READY = 1,  /* it serves */
	WORKER_FAILED,	   /* it doesn't: the error comes along */
	WORKER_GUEST_LEFT, /* the carrier has lost the VM */
	WORKER_FINISH,	   /* to it: the VM has ended, what was said is to be read, then it is to end */
	WORKER_QUIT,	   /* to it: the same, without waiting for clients */
};

struct worker_note {
	enum worker_message what;
	struct error error;
};

/* The worker's ends of its two links. */
struct worker_ends {
	int control;
	int device; /* device_link.h */
};

struct worker;
struct worker_ops {
	/* In the child: all of its life, of which this is the exit status. */
	int (*main)(struct worker *worker, const struct worker_ends *ends);

	/* One is about to be made: `device` is the keeper's end of that link, and the callee's. What is said there now is heard
	 * before the worker serves anybody. */
	void (*prepared)(struct worker *worker, int device);
	void (*started)(struct worker *worker);
	void (*guest_left)(struct worker *worker);

	/* It has ended, as waitpid(2) tells it; another one follows unless this says worker_give_up(). */
	void (*ended)(struct worker *worker, int status);

	/* One that was prepared couldn't be made. */
	void (*unprepared)(struct worker *worker);
};

struct worker {
	const struct worker_ops *ops;
	struct loop *loop;
	uint64_t most_delay; /* between one that has died and the next */
	pid_t pid;	     /* 0 while there is none */
	struct loop_source end; /* its pidfd */
	struct loop_source control;
	struct loop_timer again;
	uint64_t started, delay;
	bool given_up;
};

void worker_init(struct worker *worker, struct loop *loop, uint64_t most_delay, const struct worker_ops *ops);

/* Starts the first one, and waits until it serves. 0, or its error. */
int worker_start(struct worker *worker, struct error *error);

/* Tells it; where it can't be told it is killed. */
void worker_tell(struct worker *worker, enum worker_message what);

/* No other one follows. */
void worker_give_up(struct worker *worker);

/* Ends it at once, where there is one; ended() is called by the loop. */
void worker_kill(struct worker *worker);

/* Kills it, and waits for its end, of which ended() isn't told. */
void worker_destroy(struct worker *worker);

/* The worker's own side. 0 or -errno. */
int worker_say(int control, enum worker_message what, const struct error *error);

#endif
