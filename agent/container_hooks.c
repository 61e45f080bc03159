/* Hooks in jobs. */
#define LOG_SUBSYSTEM "container"
#include "agent/container_hooks.h"

#include <string.h>

#include "agent/agent.h"
#include "lib/log.h"

#define MEMORY (16u << 20)
#define MARGIN (5 * LOOP_SECOND) /* of a job beside what its hooks may take */
#define FOLDER_LENGTH_MAX 1024

struct hooks_work {
	struct hooks hooks;
	struct hooks_target target;
	pid_t pid;
};

struct hooks_parameters container_hooks_parameters(const struct container *container)
{
	const Grpc__CreateSandboxRequest *sandbox = container->sandbox->request;
	struct hooks_parameters parameters = {
		.id = container->id,
		.bundle = container->bundle,
		.barred = KATA_DIRECTORY,
	};

	if (sandbox && *sandbox->guest_hook_path == '/' && strlen(sandbox->guest_hook_path) < FOLDER_LENGTH_MAX)
		parameters.folder = sandbox->guest_hook_path;
	return parameters;
}

void container_hook_failed(const struct hooks *hooks, const struct error *error)
{
	log_warning("container %s: %s", hooks->id, error->text);
}

static int run_creation(const void *argument, struct job_result *result)
{
	const struct hooks_work *work = argument;

	return hooks_run_creation(&work->hooks, &work->target, &result->error);
}

static int run_started(const void *argument, struct job_result *result)
{
	const struct hooks_work *work = argument;

	(void)result;
	hooks_run_each(&work->hooks, HOOK_POSTSTART, work->pid, container_hook_failed);
	return 0;
}

static int plan(const struct container *container, struct arena *arena, struct hooks *hooks, struct error *error)
{
	const struct hooks_parameters parameters = container_hooks_parameters(container);

	return hooks_plan(hooks, arena, container->request->oci, &parameters, error);
}

void container_hooks_create(struct container *container, void (*done)(struct job *job, struct job_result *result))
{
	struct process *init = container->init;
	struct hooks_work work = {.target = launch_hooks_target(&init->launch)};
	struct job_result failed = {0};
	struct arena arena;
	int status;

	work.target.pidfd = work.target.own_pids ? init->pidfd : init->launch.helper_pidfd;
	arena_init(&arena, ARENA_FORK, MEMORY);
	status = plan(container, &arena, &work.hooks, &failed.error);
	if (status == 0)
		status = job_start_keeping(&container->job, &container->sandbox->agent->loop, "run hooks",
					   hooks_time(&work.hooks, HOOK_PRESTART, HOOK_CREATE_CONTAINER) + MARGIN,
					   run_creation, &work, work.target.pidfd, done, &failed.error);
	arena_free(&arena);
	if (status < 0)
		done(&container->job, &failed);
}

bool container_hooks_started(struct container *container, void (*done)(struct job *job, struct job_result *result))
{
	struct hooks_work work = {.pid = container->init->pid};
	struct error error;
	struct arena arena;
	uint64_t time;
	int status;

	arena_init(&arena, ARENA_FORK, MEMORY);
	status = plan(container, &arena, &work.hooks, &error);
	time = status == 0 ? hooks_time(&work.hooks, HOOK_POSTSTART, HOOK_POSTSTART) : 0;
	if (time > 0)
		status = job_start(&container->job, &container->sandbox->agent->loop, "run hooks", time + MARGIN,
				   run_started, &work, done, &error);
	arena_free(&arena);
	if (status < 0)
		log_warning("container %s: %s", container->id, error.text);
	return status == 0 && time > 0;
}

int container_hooks_plan_stopped(const struct container *container, struct arena *arena, struct hooks *hooks,
				 uint64_t *time, struct error *error)
{
	int status;

	*hooks = (struct hooks){0};
	*time = 0;
	if (container->init->launch_time == 0)
		return 0;
	status = plan(container, arena, hooks, error);
	if (status == 0)
		*time = hooks_time(hooks, HOOK_POSTSTOP, HOOK_POSTSTOP);
	return status;
}
