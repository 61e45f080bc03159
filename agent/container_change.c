/* What is done to a container as a whole while it is there: other limits, a pause and its end, SIGKILL to all. Each is a job,
 * as cgroup files may wait for the kernel, and a container has one at a time.
 */
#define LOG_SUBSYSTEM "container"
#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "agent/agent.h"
#include "agent/rpc.h"
#include "lib/cleanup.h"

#define PLAN_MEMORY (16u << 20)
#define FREEZE_MILLISECONDS 8000
#define CHANGE_TIMEOUT (10 * LOOP_SECOND) /* more than what it waits for itself */

enum change { UPDATE, PAUSE, RESUME, KILL };

/* What the job works on, in memory that it inherits. */
struct change_plan {
	enum change change;
	const struct cgroup *cgroup;
	struct cgroup_limits limits;
};

static enum change change_of(const ProtobufCMessage *request)
{
	static const ProtobufCMessageDescriptor *const requests[] = {
		[UPDATE] = &grpc__update_container_request__descriptor,
		[PAUSE] = &grpc__pause_container_request__descriptor,
		[RESUME] = &grpc__resume_container_request__descriptor,
	};

	for (size_t i = 0; i < array_size(requests); i++)
		if (request->descriptor == requests[i])
			return (enum change)i;
	return KILL;
}

static int carry_out(const void *argument, struct job_result *result)
{
	const struct change_plan *plan = argument;

	switch (plan->change) {
	case UPDATE:
		return cgroup_update(plan->cgroup, &plan->limits, &result->error);
	case PAUSE:
		return cgroup_pause(plan->cgroup, FREEZE_MILLISECONDS, &result->error);
	case RESUME:
		return cgroup_resume(plan->cgroup, &result->error);
	case KILL:
		break;
	}
	return cgroup_signal_all(plan->cgroup, SIGKILL, &result->error);
}

static bool is_up(const struct container *container)
{
	return container->state == CONTAINER_CREATED || container->state == CONTAINER_RUNNING;
}

/* Whether the container is in the state for it (behaviour.md 3). */
static int check_state(const struct container *container, enum change change, struct error *error)
{
	const char *why = container->paused ? "paused" : "not paused";

	if (change == KILL)
		return 0;
	if (container->state == CONTAINER_CREATING)
		why = "not created yet";
	else if (change == UPDATE)
		return 0;
	else if (!is_up(container))
		why = "not running";
	else if (container->paused == (change == RESUME))
		return 0;
	return error_set(error, EBUSY, "container %s is %s", container->id, why);
}

static void note_result(struct container *container, struct error *error)
{
	enum change change = change_of(container->change_request);

	/* DEADLINE_EXCEEDED is for the caller's own, and NOT_FOUND for processes. */
	if (error->number == ETIMEDOUT || error->number == ENOENT)
		error->number = EIO;
	if (error->number)
		return;
	if (change == UPDATE) {
		const Grpc__LinuxResources *resources =
			((const Grpc__UpdateContainerRequest *)container->change_request)->resources;

		if (!resources->cpu || !*resources->cpu->cpus)
			return;
		container->resources = resources;
		arena_free(&container->resources_arena);
		arena_move(&container->resources_arena, &container->change_arena);
		return;
	}
	container->paused = change == PAUSE && is_up(container);
	if (change == PAUSE && !container->paused)
		error_set(error, EBUSY, "container %s has ended", container->id);
}

static void next_change(struct container *container);

static void changed(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, change);

	note_result(container, &result->error);
	arena_free(&container->change_arena);
	rpc_finish(take_pointer(&container->change_call), &result->error);
	next_change(container);
}

/* The caller has gone, which changes nothing. */
static void change_cancelled(struct ttrpc_call *call)
{
	struct container *container = call->handler_data;

	container->change_call = NULL;
}

static int plan_change(struct change_plan *plan, struct arena *arena, const struct container *container,
		       const ProtobufCMessage *request, struct error *error)
{
	int status;

	plan->change = change_of(request);
	plan->cgroup = &container->cgroup;
	status = check_state(container, plan->change, error);
	if (status < 0 || plan->change != UPDATE)
		return status;
	return cgroup_limits_plan(&plan->limits, arena, container->cgroup.tree,
				  ((const Grpc__UpdateContainerRequest *)request)->resources, NULL, error);
}

static void begin(struct container *container, struct ttrpc_call *call)
{
	struct change_plan plan = {0};
	struct arena arena;
	struct error error;
	int status;

	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = plan_change(&plan, &arena, container, call->request, &error);
	if (status == 0)
		status = job_start(&container->change, &container->sandbox->agent->loop, "change a container",
				   CHANGE_TIMEOUT, carry_out, &plan, changed, &error);
	arena_free(&arena);
	if (status < 0) {
		rpc_fail(call, &error);
		return;
	}
	container->change_request = call->request;
	arena_move(&container->change_arena, &call->arena);
	container->change_call = call;
	call->handler_data = container;
	call->cancelled = change_cancelled;
}

static void next_change(struct container *container)
{
	while (container->changes && container->change.pid == 0) {
		struct ttrpc_call *call = call_queue_take(&container->changes);

		call->cancelled = NULL;
		begin(container, call);
	}
}

void container_change(struct container *container, struct ttrpc_call *call)
{
	if (call_queue_add(&container->changes, call, container, NULL))
		next_change(container);
}

/* A removal kills all of it as well, which is what a SIGKILL has asked for. */
static void abandon(struct ttrpc_call *call, enum change change, const struct error *reason)
{
	rpc_finish(call, change == KILL ? NULL : reason);
}

void container_abandon_changes(struct container *container, const struct error *reason)
{
	job_cancel(&container->change);
	if (container->change_call)
		abandon(take_pointer(&container->change_call), change_of(container->change_request), reason);
	arena_free(&container->change_arena);
	while (container->changes) {
		struct ttrpc_call *call = call_queue_take(&container->changes);

		abandon(call, change_of(call->request), reason);
	}
	container->paused = false;
}
