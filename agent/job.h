/* Work that may block, done by a child of the agent's own, so that the loop never waits (docs/design.md, "The agent").
 *
 * The child reports by a socket and ends; it dies with the agent, and at its deadline. What it is to work on must be
 * in memory that children inherit (ARENA_FORK): a request's own memory isn't there.
 */
#ifndef NACRE_AGENT_JOB_H
#define NACRE_AGENT_JOB_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/loop.h"

#define JOB_FDS_MAX 4

/* What a job hands back besides its status. */
struct job_result {
	struct error error; /* number 0 where all went well */
	bool cut;	    /* it was killed, or died, in the middle of its work */
	int fds[JOB_FDS_MAX];
	size_t fd_count;
};

struct job {
	struct loop *loop;
	pid_t pid;    /* 0 while none is running */
	pid_t killed; /* the one before, which may not have ended yet; 0: there was none */
	int report;
	struct loop_source source;
	struct loop_timer deadline;
	uint64_t timeout;
	void (*done)(struct job *job, struct job_result *result);
	const char *what; /* for messages: "mount storages" */
};

/* Runs `work(argument, result)` in a child. `job` is all zeros before its first use; one that was used, and killed, has an
 * end first: the child waits for that before it works, and its time begins then. It returns 0 or -errno with result->error filled; descriptors that it puts
 * into result->fds are passed on. `done` is called once from the loop, with descriptors that are its own to close. A
 * child that dies or is late is an error of the job. `timeout` is in nanoseconds. 0, or -errno with
 * `error` filled and nothing started. */
int job_start(struct job *job, struct loop *loop, const char *what, uint64_t timeout,
	      int (*work)(const void *argument, struct job_result *result), const void *argument,
	      void (*done)(struct job *job, struct job_result *result), struct error *error);

/* The same, where the work has the caller's descriptor `kept`, under its number. */
int job_start_keeping(struct job *job, struct loop *loop, const char *what, uint64_t timeout,
		      int (*work)(const void *argument, struct job_result *result), const void *argument, int kept,
		      void (*done)(struct job *job, struct job_result *result), struct error *error);

/* Whether none is running, and the one before has ended. */
bool job_idle(const struct job *job);

/* Kills a job that runs; `done` isn't called. It may end later, where it is in an I/O that nothing interrupts; nothing here
 * waits for that. */
void job_cancel(struct job *job);

#endif
