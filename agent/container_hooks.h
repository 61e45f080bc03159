/* A container's hooks, as jobs of the agent's: what they are is agent/container/hooks.h. */
#ifndef NACRE_AGENT_HOOKS_JOBS_H
#define NACRE_AGENT_HOOKS_JOBS_H

#include "agent/container.h"
#include "agent/container/hooks.h"

/* What hooks are told beside the spec, and where those of the guest's image are (CreateSandbox, guest_hook_path). */
struct hooks_parameters container_hooks_parameters(const struct container *container);

/* Runs those that are due when everything but the root is made; `done` is called as a job's (container->job), also where none
 * could be started. */
void container_hooks_create(struct container *container, void (*done)(struct job *job, struct job_result *result));

/* Runs poststart; their failures are logged. False where there are none, or none could be started: `done` isn't called then. */
bool container_hooks_started(struct container *container, void (*done)(struct job *job, struct job_result *result));

/* Plans poststop, for a job that removes the container: hooks_run_each(), with container_hook_failed(). Their time is in
 * *time. Nothing is planned where the container's process has never been begun. */
int container_hooks_plan_stopped(const struct container *container, struct arena *arena, struct hooks *hooks,
				 uint64_t *time, struct error *error);

/* Logs it. */
void container_hook_failed(const struct hooks *hooks, const struct error *error);

#endif
