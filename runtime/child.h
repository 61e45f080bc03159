/* Programs that nacre runs: they never outlive it, and the terminal's signals don't reach them. */
#ifndef NACRE_RUNTIME_CHILD_H
#define NACRE_RUNTIME_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

struct child {
	pid_t pid; /* 0 while there is none */
	int pidfd;
};

/* Runs argv[0] (found in PATH where it has no slash) with /dev/null as stdin, and `output` as stdout and stderr; in a
 * session of its own, with no signal blocked; it is killed when nacre dies. 0, or -errno: execve's own. */
int child_start(struct child *child, char *const argv[], int output, struct error *error);

/* The same with `input` as stdin. */
int child_start_reading(struct child *child, char *const argv[], int input, int output, struct error *error);

/* The same with a function of ours instead of a program: its result is the exit status. It has copies of all that this
 * process has, and ends with it. */
int child_start_function(struct child *child, int (*function)(void *data), void *data, int output,
			 struct error *error);

/* Waits for its end: the exit status, or 128 + the signal. */
int child_reap(struct child *child);

/* Kills it, and waits. Nothing happens where there is none. */
void child_kill(struct child *child);

/* Waits at most `milliseconds` for its end, without reaping. True when it has ended. */
bool child_ended(const struct child *child, int milliseconds);

#endif
