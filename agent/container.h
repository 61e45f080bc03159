/* A container as the agent knows it: made by CreateContainer, run by StartContainer, gone with RemoveContainer.
 *
 *	CREATING   devices are found and storages mounted (jobs), stream connections arrive, the helper works
 *	CREATED    the first process waits in front of its execve
 *	RUNNING
 *	STOPPED    the first process has ended
 *	REMOVING   what is left is killed, unmounted and removed (a job)
 *
 * CREATED and RUNNING may be paused: every process is frozen then.
 * Whatever fails on the way to CREATED is undone by the same removal.
 */
#ifndef NACRE_AGENT_CONTAINER_H
#define NACRE_AGENT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "agent/container/cgroup.h"
#include "agent/job.h"
#include "agent/oom.h"
#include "agent/process.h"
#include "lib/arena.h"
#include "lib/error.h"

struct sandbox;

enum container_state {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_STOPPED,
	CONTAINER_REMOVING,
	CONTAINER_FAILED, /* to be created, and to be undone: all that is left is to remove it */
};

struct container {
	struct sandbox *sandbox;
	struct container *next;
	char *id;
	char *bundle; /* "/run/kata-containers/ID" */
	enum container_state state;
	struct arena arena;	  /* holds `request`: kept for later execs; no child inherits it */
	const Grpc__CreateContainerRequest *request;
	struct cgroup cgroup;
	struct process *processes; /* the first one is `init` */
	struct process *init;
	bool owns_pid_namespace; /* it is the one that others share */

	struct job device_job;
	/* UpdateContainer, PauseContainer, ResumeContainer, SIGKILL to all: one after the other (container_change.c). */
	bool paused;
	const Grpc__LinuxResources *resources; /* the last that named processors, or the spec's (OnlineCPUMem); NULL: none */
	struct arena resources_arena;	       /* holds them, where they are from an UpdateContainer */
	struct job change;
	const ProtobufCMessage *change_request; /* that is carried out */
	struct arena change_arena;		/* holds it */
	struct ttrpc_call *change_call;		/* is to be answered then; NULL where the caller has gone */
	struct queued_call *changes;		/* those that wait for it */
	struct oom_watch oom;

	struct job job; /* mounts, hooks, or the removal */
	bool storages_mounted;
	bool storages_awaited; /* another container's removal is unmounting one of them */
	bool never_created;   /* what is being removed, or has FAILED */
	struct error failure; /* why it wasn't */
	/* Called when it has been removed, right before it is freed; or with an error, when it is still there. */
	void (*removed)(struct container *container, const struct error *error);
	struct ttrpc_call *remove_call; /* the RemoveContainer, or the failed CreateContainer, to be answered then */
	bool removal_done;		/* the job is through; the exits of some processes haven't been told yet */
	struct loop_timer untold;	/* until they aren't waited for any longer */
};

/* A container in CREATING, in the sandbox, which takes over the call's memory and answers it in the end. NULL: the call
 * has been answered. */
void container_create(struct sandbox *sandbox, struct ttrpc_call *call, const Grpc__CreateContainerRequest *request);

/* A removal is through: containers that have waited for what it unmounts go on. */
void container_storages_free(struct sandbox *sandbox);

/* Answers StartContainer. */
void container_start(struct container *container, struct ttrpc_call *call);

/* What is to be executed: of the call that asks for it, and gone with that. */
struct exec_description {
	const char *id;
	const Grpc__Process *process; /* NULL is refused */
	const char *tool;	      /* the guest's program to execute; NULL: the container's */
	struct stream_numbers numbers;
};

/* Answers ExecProcess and its like. */
void container_exec(struct container *container, struct ttrpc_call *call, const struct exec_description *exec);

/* Answers UpdateContainer, PauseContainer, ResumeContainer, and the SignalProcess that is SIGKILL to all of the container (they
 * are told apart by the request). Once begun each is carried out whether its caller stays or not, so that nothing is done by
 * halves. */
void container_change(struct container *container, struct ttrpc_call *call);

/* For a removal: ends a change that is under way, and fails it and those that wait with `reason`, but for a SIGKILL, which
 * it carries out. */
void container_abandon_changes(struct container *container, const struct error *reason);

/* Kills and removes everything of it within `timeout` nanoseconds. `removed` as in the structure. */
void container_remove(struct container *container, uint64_t timeout,
		      void (*removed)(struct container *container, const struct error *error));

/* The process that has `exec_id` (the first one for "" and for the container's id), or NULL. */
struct process *container_find_process(struct container *container, const char *exec_id);

/* From its processes: the pid is known; the hooks of the creation are due; the exit is known. */
void container_process_made(struct container *container, struct process *process);
void container_process_assembled(struct container *container, struct process *process);
void container_process_exited(struct container *container, struct process *process);

#endif
