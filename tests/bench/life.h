/* What the ways of running `true` in a container share (life.c). Each returns once the work is done and everything has been
 * cleaned up; what fails ends the program with a line on stderr. */
#ifndef NACRE_TESTS_BENCH_LIFE_H
#define NACRE_TESTS_BENCH_LIFE_H

#include <stddef.h>

/* What all containers of the comparison have; lists end with NULL. */
extern const char *const life_masked[], *const life_readonly[];

struct life_mount {
	const char *target, *type, *source;
	const char *options; /* as a spec has them, "nosuid,mode=755" */
};
extern const struct life_mount life_mounts[]; /* ends with a NULL target */

/* The capabilities that a container is left with, as in Docker's default. */
#define LIFE_CAPABILITIES 0xa80425fbull

/* Ends the program: what, and errno. */
_Noreturn void die(const char *what);

/* life_bare.c: nothing but the system calls. */
void bare_start(const char *root); /* a container that sleeps, for execs */
void bare_life(const char *root);
void bare_exec(void);
void bare_stop(void);

/* life_agent.c: calls to an agent on a Unix socket. */
void agent_dial(const char *path);
void agent_start(const char *root);
void agent_life(const char *root);
void agent_exec(void);
void agent_stop(void);

#endif
