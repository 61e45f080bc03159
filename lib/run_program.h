/* Somebody else's program, run to its end: modprobe and its kin. Blocks, so it is for jobs, and for PID 1 before it serves.
 */
#ifndef NACRE_LIB_RUN_PROGRAM_H
#define NACRE_LIB_RUN_PROGRAM_H

#include <stdint.h>

#include "lib/error.h"

/* Runs arguments[0], an absolute path, with no signal blocked, /dev/null as stdin, and what it prints taken for the error's
 * text, in one line. 0; -ETIMEDOUT after `timeout` nanoseconds, killed together with what it has started; -EIO where it
 * fails; -errno where it can't be started (ENOENT: there is no such program). */
int run_program(char *const arguments[], uint64_t timeout, struct error *error);

/* The same, where `input` is its stdin, and what it prints on stdout goes to `output`. */
int run_program_on(char *const arguments[], int input, int output, uint64_t timeout, struct error *error);

/* The same, with all that can be said of a program. Allocates nothing. */
struct program {
	const char *path;	 /* absolute */
	char *const *arguments;	 /* NULL-terminated; the first one is a name */
	char *const *environment; /* NULL-terminated; NULL: the caller's */
	int input, output;	 /* -1: as run_program() has them */
	uint64_t timeout;
};
int run_program_as(const struct program *program, struct error *error);

#endif
