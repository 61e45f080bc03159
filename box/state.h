/* What is known of a container: ROOT/ID/state.json, which its monitor writes, and everybody reads. */
#ifndef NACRE_BOX_STATE_H
#define NACRE_BOX_STATE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

#define STATE_ID_MAX 255

enum state_status { STATE_CREATING, STATE_CREATED, STATE_RUNNING, STATE_PAUSED, STATE_STOPPED };

struct state {
	char id[STATE_ID_MAX + 1];
	char folder[PATH_MAX]; /* ROOT/ID */
	char bundle[PATH_MAX]; /* as it was given, absolute */
	char cgroup[PATH_MAX]; /* from the top of the hierarchies */
	enum state_status status;
	pid_t pid;		  /* 0: none yet */
	unsigned long long began; /* when that process began, as /proc/PID/stat has it: tells it from another with its pid */
	int exit_status;	  /* once stopped; -1 where nobody knows */
	long long created;	  /* seconds since 1970 */
	json_t *annotations;	  /* or NULL */
};

/* Fills id and folder; -EINVAL for what is no id. */
int state_name(struct state *state, const char *id, struct error *error);

/* Reads it, and looks whether its process is still there. 0, -ENOENT where there is no such container, or -errno. */
int state_read(struct state *state, const char *id, struct error *error);

/* Writes it, at once or not at all. 0 or -errno. */
int state_write(const struct state *state, struct error *error);

void state_free(struct state *state);

/* OCI's words. */
const char *state_status_name(enum state_status status);

/* The start of a process, for `began`; 0 where there is none, or nothing of it but its exit status. */
unsigned long long state_process_began(pid_t pid);

/* A pidfd of its process: -ESRCH where that has ended. */
int state_open_process(const struct state *state, struct error *error);

/* OCI's state object, as `state` and hooks have it. */
json_t *state_json(const struct state *state);

#endif
