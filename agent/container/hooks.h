/* Hooks: programs that are run at points of a container's life, with its state on their stdin.
 *
 *	prestart, createRuntime   in the namespaces of the guest, once those of the container and its mounts are made
 *	createContainer           in the container's namespaces, before its root has become the root: the guest's paths
 *	startContainer            in the container, by its own process in front of execve: the container's paths and user
 *	poststart, poststop       in the namespaces of the guest
 *
 * All but startContainer are for a job of the agent's (hooks_run_creation(), hooks_run_each()): they block as long as the
 * programs take. What they are has to be in memory that children inherit.
 * Implements: OCI runtime-spec config.md "POSIX-platform Hooks", runtime.md "Lifecycle".
 */
#ifndef NACRE_AGENT_CONTAINER_HOOKS_H
#define NACRE_AGENT_CONTAINER_HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

enum hook_kind {
	HOOK_PRESTART,
	HOOK_CREATE_RUNTIME,
	HOOK_CREATE_CONTAINER,
	HOOK_START_CONTAINER,
	HOOK_POSTSTART,
	HOOK_POSTSTOP,
	HOOK_KINDS,
};

struct hook {
	const char *path;
	char **arguments, **environment; /* NULL-terminated */
	uint64_t timeout;		 /* nanoseconds */
};

struct hooks {
	const struct hook *lists[HOOK_KINDS];
	size_t counts[HOOK_KINDS];
	const char *id;	   /* the container's, for messages */
	const char *state; /* the JSON of the container's state, to be completed with status and pid */
	const char *folder; /* the guest's own: programs in its "prestart", "poststart" and "poststop" are hooks, too; or NULL */
	const char *barred; /* no hook of the guest may be below this folder, where containers' files are; NULL: anything goes */
};

/* What there is to say beside the spec. */
struct hooks_parameters {
	const char *id;
	const char *bundle;
	const char *folder, *barred; /* as above */
};

/* Checks the spec's hooks. Its texts are copied; where there are none nothing is, not even the state. 0, -EINVAL or -ENOMEM. */
int hooks_plan(struct hooks *hooks, struct arena *arena, const Grpc__Spec *spec,
	       const struct hooks_parameters *parameters, struct error *error);

/* Whether there are any for hooks_run_creation(). */
bool hooks_at_creation(const struct hooks *hooks);

/* How long hooks_run_creation(), or a kind of the others, may take at most, in nanoseconds; 0 where there are none. */
uint64_t hooks_time(const struct hooks *hooks, enum hook_kind first, enum hook_kind last);

/* A launch that is stopped in front of its root (LAUNCH_ASSEMBLED). */
struct hooks_target {
	pid_t pid;	   /* what hooks are told: of the container's process, as it is seen here */
	int pidfd;	   /* a process that is in the container's namespaces by now: the first, or the helper */
	bool own_pids;	   /* the pid namespace is new: hooks in the container see the process as 1 */
	bool own_users;	   /* and so is the user namespace */
};

/* Runs prestart, createRuntime and createContainer, up to the first that fails. The caller, a process made for this, is in
 * the container's namespaces then. 0 or -errno. */
int hooks_run_creation(const struct hooks *hooks, const struct hooks_target *target, struct error *error);

/* Runs startContainer, up to the first that fails. Allocates nothing. 0 or -errno. */
int hooks_run_start(const struct hooks *hooks, struct error *error);

/* Runs poststart or poststop: all of them, `failed` being called for each that fails. */
typedef void hooks_failed(const struct hooks *hooks, const struct error *error);
void hooks_run_each(const struct hooks *hooks, enum hook_kind kind, pid_t pid, hooks_failed *failed);

#endif
