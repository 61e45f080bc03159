/* Starting the agent: this same program again, in its other role. */
#ifndef NACRE_INIT_PROGRAM_H
#define NACRE_INIT_PROGRAM_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "lib/error.h"

struct program {
	int file;		/* what is executed, by fd */
	char **arguments;	/* the agent's argv */
	struct rlimit files;	/* RLIMIT_NOFILE as it was at the start: the agent's */
};

/* Opens the program: where it lies on a read-only mount itself, otherwise a sealed copy in memory, so that no process
 * can write to what the agent runs (CVE-2019-5736). Sets the environment, and raises our own limit of open files, which
 * the store needs. `arguments` stays the caller's and has to stay. 0 or -errno. */
int program_prepare(struct program *program, bool guest, char **arguments, struct error *error);

/* Starts the agent. *socket is our end of the line to it, non-blocking, the caller's. The pid, or -errno. */
pid_t program_start(const struct program *program, int *socket);

#endif
