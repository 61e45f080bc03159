/* The agent's end of the line to its supervisor (lib/supervision.h). */
#ifndef NACRE_AGENT_SUPERVISOR_H
#define NACRE_AGENT_SUPERVISOR_H

#include <sys/types.h>

#include "lib/error.h"
#include "lib/loop.h"

/* Descriptors that the store held when this agent started. */
#define SUPERVISOR_RESTORED_MAX 64

struct supervisor {
	struct loop *loop;
	int fd;
	struct loop_source source;
	size_t restored_count;
	struct {
		char name[64];
		int fd;
	} restored[SUPERVISOR_RESTORED_MAX];
	/* A child of the supervisor's has ended; it stays a zombie until supervisor_acknowledge(). */
	void (*exited)(struct supervisor *supervisor, pid_t pid, int status);
	/* Everything is to end within `grace` nanoseconds, and then supervisor_power_off() to be called. */
	void (*stop)(struct supervisor *supervisor, uint64_t grace);
};

/* Takes over SUPERVISION_FD (`supervisor` is all zeros) and waits for all that the store holds. 0 or -errno. */
int supervisor_restore(struct supervisor *supervisor, struct error *error);

/* Reports exits, and the wish to stop, from the loop from here on. 0 or -errno. */
int supervisor_watch(struct supervisor *supervisor, struct loop *loop,
		     void (*exited)(struct supervisor *supervisor, pid_t pid, int status),
		     void (*stop)(struct supervisor *supervisor, uint64_t grace));

/* Takes a restored descriptor by its name: the caller's from here on, -1 where there is none. */
int supervisor_take(struct supervisor *supervisor, const char *name);

/* Keeps a descriptor in the store. 0 or -errno. */
int supervisor_store(struct supervisor *supervisor, const char *name, int fd);

/* Forgets what is stored under that name. */
void supervisor_drop(struct supervisor *supervisor, const char *name);

void supervisor_acknowledge(struct supervisor *supervisor, pid_t pid);
void supervisor_ready(struct supervisor *supervisor);
void supervisor_power_off(struct supervisor *supervisor);

#endif
