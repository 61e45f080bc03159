/* The sandbox: what all containers of this guest share, and the list of them. */
#ifndef NACRE_AGENT_SANDBOX_H
#define NACRE_AGENT_SANDBOX_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent.pb-c.h"
#include "agent/container.h"
#include "agent/container/cgroup.h"
#include "agent/container/plan.h"
#include "agent/job.h"
#include "agent/storage_uses.h"
#include "agent/watch.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "lib/ttrpc_server.h"

#define KATA_DIRECTORY "/run/kata-containers"
#define STATE_DIRECTORY "/run/nacre-agent"
#define SHARED_PROCFS STATE_DIRECTORY "/procfs"

/* Exits of processes whose launch hasn't told their pid yet. */
#define EARLY_EXITS_MAX 64

struct agent;

struct sandbox {
	struct agent *agent;
	bool created;
	bool destroying;
	bool stopping;		     /* the guest is to end: nothing new is begun */
	struct loop_timer next_step; /* of the destruction, or of the stop */
	uint64_t last_words;	     /* until when readers of output are waited for, once all have ended; 0: not yet */
	struct arena arena;	    /* holds `request` */
	const Grpc__CreateSandboxRequest *request; /* kept for its storages; NULL without a sandbox */
	struct job job;		    /* the creation, or what undoes it */
	struct error failure;	    /* why it is undone */
	struct ttrpc_call *call; /* the CreateSandbox or DestroySandbox to be answered */
	int ipc_namespace, uts_namespace; /* shared by all containers; -1 until CreateSandbox */
	int pid_namespace;		  /* of the first container; -1 without one */
	bool had_container;		  /* the first container, which gives the pid namespace, has been created */
	bool guest_known; /* the three below */
	bool apparmor;
	struct cgroup_tree cgroups;
	struct boot_limits boot_limits;
	struct container *containers;
	struct oom_events oom_events;
	struct storage_uses storages;
	struct watcher watcher;
	struct {
		pid_t pid; /* 0: free */
		int status;
		uint64_t time; /* when it was seen */
	} early_exits[EARLY_EXITS_MAX];
	size_t early_exit_next;
};

/* `sandbox` is all zeros, and large: what isn't written costs no page. */
void sandbox_init(struct sandbox *sandbox, struct agent *agent);

/* Answers CreateSandbox and DestroySandbox. */
void sandbox_create(struct sandbox *sandbox, struct ttrpc_call *call, const Grpc__CreateSandboxRequest *request);
void sandbox_destroy(struct sandbox *sandbox, struct ttrpc_call *call);

/* Ends everything, and then the guest, as DestroySandbox does, but gently: every container gets SIGTERM, and SIGKILL after
 * `grace` nanoseconds. Again: the rest has that long from now. */
void sandbox_stop(struct sandbox *sandbox, uint64_t grace);

/* From sandbox.c and sandbox_stop.c to each other: removes all containers, one after the other, answers `call`, and ends
 * the guest; something has ended. */
void sandbox_remove_all(struct sandbox *sandbox);
void sandbox_stop_check(struct sandbox *sandbox);

/* The container, or NULL with EINVAL in `error`. One that is being removed isn't found, nor one that has FAILED, but as what can
 * be removed. */
struct container *sandbox_find_container(struct sandbox *sandbox, const char *id, struct error *error);
struct container *sandbox_find_removable(struct sandbox *sandbox, const char *id, struct error *error);

/* The process, or NULL: EINVAL for the container, ENOENT for the process (behaviour.md 3, process lookup). */
struct process *sandbox_find_process(struct sandbox *sandbox, const char *container_id, const char *exec_id,
				     struct error *error);

/* The supervisor has seen a child end. */
void sandbox_process_exited(struct sandbox *sandbox, pid_t pid, int status);

/* A launch has told the pid of its process: an exit that came before is dealt with. */
void sandbox_process_made(struct sandbox *sandbox, struct process *process);

/* A stream connection has arrived: whoever waits for it goes on. */
void sandbox_stream_arrived(struct sandbox *sandbox);

#endif
