/* What CreateSandbox does, as a job: folders, kernel modules, storages, name servers, and the namespaces which the
 * containers share (behaviour.md 2.3, 2.4, 3).
 */
#ifndef NACRE_AGENT_SANDBOX_SETUP_H
#define NACRE_AGENT_SANDBOX_SETUP_H

#include "agent.pb-c.h"
#include "agent/job.h"
#include "agent/storage_list.h"
#include "lib/arena.h"

/* A module for modprobe(8): its whole argument vector. */
struct sandbox_module {
	char **arguments;
};

struct sandbox_setup {
	const char *hostname;
	const char *name_servers; /* the lines of a resolv.conf; NULL for none */
	struct sandbox_module *modules;
	size_t module_count;
	struct storage_list storages;
	bool own_machine; /* what comes to the machine is for the sandbox */
};

/* Copies what the job needs of the request into `arena` (ARENA_FORK). 0 or -errno, with no storage counted. */
int sandbox_setup_plan(struct sandbox_setup *setup, struct arena *arena, struct storage_uses *uses,
		       const Grpc__CreateSandboxRequest *request, uint64_t hotplug_timeout, struct error *error);

/* The job: hands back the ipc and the uts namespace, in this order. What fails leaves no mount. */
int sandbox_setup_run(const void *argument, struct job_result *result);

/* What is to be unmounted: what containers have left, and the sandbox's own (storage_list_plan_kept(),
 * storage_list_plan_unmount()). */
struct sandbox_undo {
	struct storage_list kept, storages;
};

/* The job for the end of a sandbox, and for after one that was cut: unmounts that, and what else the creation may have
 * mounted. `undo` is a struct sandbox_undo. */
int sandbox_setup_undo(const void *undo, struct job_result *result);

#endif
