/* The sandbox: its creation and destruction, its containers, and who an exit belongs to. */
#define LOG_SUBSYSTEM "sandbox"
#include "agent/sandbox.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/rpc.h"
#include "agent/sandbox_setup.h"
#include "agent/storage_list.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

#define SETUP_MEMORY (16u << 20)
#define SETUP_TIMEOUT (60 * LOOP_SECOND)
#define DESTROY_TIMEOUT (10 * LOOP_SECOND)

void sandbox_init(struct sandbox *sandbox, struct agent *agent)
{
	sandbox->agent = agent;
	sandbox->ipc_namespace = sandbox->uts_namespace = sandbox->pid_namespace = -1;
}

/* Creation ----------------------------------------------------------------------------------------------------- */

static void creation_failed(struct sandbox *sandbox, const struct error *error)
{
	log_warning("create the sandbox: %s", error->text);
	storage_list_forget(&sandbox->storages, sandbox->request->storages, sandbox->request->n_storages, true);
	sandbox->request = NULL;
	arena_free(&sandbox->arena);
	sandbox->created = false;
	rpc_finish(take_pointer(&sandbox->call), error);
	sandbox->failure.number = 0;
}

static void undone(struct job *job, struct job_result *result)
{
	struct sandbox *sandbox = container_of(job, struct sandbox, job);

	if (result->error.number)
		log_error("undo the sandbox: %s", result->error.text);
	creation_failed(sandbox, &sandbox->failure);
}

/* Starts the job that unmounts what the creation has mounted. 0 or -errno. */
static int start_undo(struct sandbox *sandbox, void (*done)(struct job *job, struct job_result *result),
		      struct error *error)
{
	struct sandbox_undo undo;
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_FORK, SETUP_MEMORY);
	status = storage_list_plan_kept(&undo.kept, &arena, &sandbox->storages, error);
	if (status == 0)
		status = storage_list_plan_unmount(&undo.storages, &arena, &sandbox->storages, "",
						   sandbox->request->storages, sandbox->request->n_storages, true,
						   error);
	if (status == 0)
		status = job_start(&sandbox->job, &sandbox->agent->loop, "undo the sandbox", SETUP_TIMEOUT,
				   sandbox_setup_undo, &undo, done, error);
	arena_free(&arena);
	return status;
}

/* A job that was cut has undone nothing of its own: what it may have mounted is unmounted by another one. */
static void undo_creation(struct sandbox *sandbox, const struct error *error)
{
	struct error ignored;

	sandbox->failure = *error;
	if (start_undo(sandbox, undone, &ignored) < 0)
		creation_failed(sandbox, error);
}

static void set_up(struct job *job, struct job_result *result)
{
	struct sandbox *sandbox = container_of(job, struct sandbox, job);

	if (result->error.number == 0 && result->fd_count == 2) {
		sandbox->ipc_namespace = result->fds[0];
		sandbox->uts_namespace = result->fds[1];
		log_info("sandbox created");
		rpc_finish(take_pointer(&sandbox->call), NULL);
		return;
	}
	while (result->fd_count > 0)
		close(result->fds[--result->fd_count]);
	if (result->cut)
		undo_creation(sandbox, &result->error);
	else
		creation_failed(sandbox, &result->error);
}

/* Whoever asked for the end has gone; there is one all the same. */
static void destruction_cancelled(struct ttrpc_call *call)
{
	struct sandbox *sandbox = call->handler_data;

	sandbox->call = NULL;
}

/* The caller has gone, or its deadline has passed: nobody knows of a sandbox, so there is none. */
static void creation_cancelled(struct ttrpc_call *call)
{
	struct sandbox *sandbox = call->handler_data;
	struct error gone;

	sandbox->call = NULL;
	/* What undoes it already goes on. */
	if (sandbox->failure.number)
		return;
	job_cancel(&sandbox->job);
	error_set(&gone, ECANCELED, "the caller gave up");
	undo_creation(sandbox, &gone);
}

static void await(struct sandbox *sandbox, struct ttrpc_call *call, void (*cancelled)(struct ttrpc_call *call))
{
	sandbox->call = call;
	call->handler_data = sandbox;
	call->cancelled = cancelled;
}

void sandbox_create(struct sandbox *sandbox, struct ttrpc_call *call, const Grpc__CreateSandboxRequest *request)
{
	struct sandbox_setup setup;
	struct arena arena;
	struct error error;
	int status;

	if (sandbox->failure.number && sandbox->created) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "a sandbox that failed is being undone");
		return;
	}
	if (sandbox->created || sandbox->destroying) {
		ttrpc_call_fail(call, TTRPC_ALREADY_EXISTS, "this guest has its sandbox already");
		return;
	}
	if (sandbox->stopping) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "the guest is stopping");
		return;
	}
	arena_init(&arena, ARENA_FORK, SETUP_MEMORY);
	status = sandbox_setup_plan(&setup, &arena, &sandbox->storages, request,
				    sandbox->agent->config.hotplug_timeout, &error);
	setup.own_machine = sandbox->agent->config.guest;
	if (status == 0) {
		status = job_start(&sandbox->job, &sandbox->agent->loop, "set the sandbox up", SETUP_TIMEOUT,
				   sandbox_setup_run, &setup, set_up, &error);
		if (status < 0)
			storage_list_forget(&sandbox->storages, request->storages, request->n_storages, true);
	}
	arena_free(&arena);
	if (status < 0) {
		rpc_fail(call, &error);
		return;
	}
	arena_move(&sandbox->arena, &call->arena);
	sandbox->request = request;
	sandbox->created = true;
	sandbox->failure.number = 0;
	await(sandbox, call, creation_cancelled);
}

/* Destruction -------------------------------------------------------------------------------------------------- */

static void destroy_next(struct loop_timer *timer);

static void destroyed_one(struct container *container, const struct error *error)
{
	struct sandbox *sandbox = container->sandbox;

	/* Somebody may have been removing it already. */
	rpc_finish(take_pointer(&container->remove_call), error ? error : &container->failure);
	if (error && sandbox->stopping) {
		log_error("stop: container %s: %s", container->id, error->text);
		agent_power_off(sandbox->agent);
		return;
	}
	if (error) {
		sandbox->destroying = sandbox->oom_events.closed = false;
		rpc_finish(take_pointer(&sandbox->call), error);
		return;
	}
	/* It is freed when this returns: the next one is begun from the loop. */
	loop_timer_set(&sandbox->agent->loop, &sandbox->next_step, 0, destroy_next);
}

static void destroyed_all(struct sandbox *sandbox)
{
	rpc_finish(take_pointer(&sandbox->call), NULL);
	agent_power_off(sandbox->agent);
}

static void storages_gone(struct job *job, struct job_result *result)
{
	if (result->error.number)
		log_error("destroy the sandbox: %s", result->error.text);
	destroyed_all(container_of(job, struct sandbox, job));
}

static void destroy_next(struct loop_timer *timer)
{
	struct sandbox *sandbox = container_of(timer, struct sandbox, next_step);
	struct container *container = sandbox->containers;
	struct error error;

	if (container && container->state == CONTAINER_REMOVING) {
		container->removed = destroyed_one;
		return;
	}
	if (container) {
		container_remove(container, DESTROY_TIMEOUT, destroyed_one);
		return;
	}
	/* PID 1 unmounts everything in the end; another one's machine may go on. */
	if (sandbox->request && !sandbox->agent->config.init && start_undo(sandbox, storages_gone, &error) == 0)
		return;
	destroyed_all(sandbox);
}

void sandbox_destroy(struct sandbox *sandbox, struct ttrpc_call *call)
{
	if (sandbox->destroying || sandbox->job.pid > 0) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "the sandbox is being %s already",
				sandbox->destroying ? "destroyed" : "created");
		return;
	}
	await(sandbox, call, destruction_cancelled);
	sandbox_remove_all(sandbox);
}

void sandbox_remove_all(struct sandbox *sandbox)
{
	sandbox->destroying = true;
	oom_close(&sandbox->oom_events);
	loop_timer_clear(&sandbox->agent->loop, &sandbox->next_step);
	destroy_next(&sandbox->next_step);
}

/* Look-ups ----------------------------------------------------------------------------------------------------- */

struct container *sandbox_find_removable(struct sandbox *sandbox, const char *id, struct error *error)
{
	for (struct container *container = sandbox->containers; container; container = container->next)
		if (container->state != CONTAINER_REMOVING && strcmp(container->id, id) == 0)
			return container;
	error_set(error, EINVAL, "Invalid container id: there is no container '%.80s'", id);
	return NULL;
}

struct container *sandbox_find_container(struct sandbox *sandbox, const char *id, struct error *error)
{
	struct container *container = sandbox_find_removable(sandbox, id, error);

	if (!container || container->state != CONTAINER_FAILED)
		return container;
	error_set(error, EINVAL, "Invalid container id: container '%.80s' was never created, and is to be removed", id);
	return NULL;
}

struct process *sandbox_find_process(struct sandbox *sandbox, const char *container_id, const char *exec_id,
				     struct error *error)
{
	struct container *container = sandbox_find_container(sandbox, container_id, error);
	struct process *process;

	if (!container)
		return NULL;
	process = container_find_process(container, exec_id);
	if (!process)
		error_set(error, ENOENT, "process not found: container %s has no exec '%.80s'", container->id, exec_id);
	return process;
}

/* Exits -------------------------------------------------------------------------------------------------------- */

static struct process *find_pid(struct sandbox *sandbox, pid_t pid)
{
	for (struct container *container = sandbox->containers; container; container = container->next)
		for (struct process *process = container->processes; process; process = process->next)
			if (process->pid == pid && process->state != PROCESS_EXITED)
				return process;
	return NULL;
}

/* Whether the pid of some launch isn't known yet, so that an exit nobody knows may be its. A helper's own exit isn't, unless it
 * becomes the workload. */
static bool may_be_launched(struct sandbox *sandbox, pid_t pid)
{
	bool open = false;

	for (struct container *container = sandbox->containers; container; container = container->next) {
		for (struct process *process = container->processes; process; process = process->next) {
			if (process->launch_open && process->launch.helper_pid == pid)
				return process->launch.direct;
			open |= process->launch_open && process->pid == 0;
		}
	}
	return open;
}

/* Keeps an exit until a launch tells that the pid was its process: a launch reports the pid as soon as it has it, so this
 * is a matter of moments. The oldest goes where there are too many; each open launch has one at the most. */
static void keep_early_exit(struct sandbox *sandbox, pid_t pid, int status)
{
	size_t next = sandbox->early_exit_next++ % EARLY_EXITS_MAX;

	sandbox->early_exits[next].pid = pid;
	sandbox->early_exits[next].status = status;
	sandbox->early_exits[next].time = loop_now();
}

void sandbox_process_exited(struct sandbox *sandbox, pid_t pid, int status)
{
	struct process *process = find_pid(sandbox, pid);

	if (process)
		process_exited(process, status);
	else if (may_be_launched(sandbox, pid))
		keep_early_exit(sandbox, pid, status);
	/* At once, also where it is kept: the supervisor reports one exit after the other. */
	supervisor_acknowledge(&sandbox->agent->supervisor, pid);
	if (sandbox->stopping)
		sandbox_stop_check(sandbox);
}

void sandbox_process_made(struct sandbox *sandbox, struct process *process)
{
	for (size_t i = 0; i < EARLY_EXITS_MAX; i++) {
		/* One from before the launch was somebody else's. */
		if (sandbox->early_exits[i].pid == process->pid && sandbox->early_exits[i].time >= process->launch_time) {
			sandbox->early_exits[i].pid = 0;
			process_exited(process, sandbox->early_exits[i].status);
			return;
		}
	}
}

void sandbox_stream_arrived(struct sandbox *sandbox)
{
	struct container *next_container;
	struct process *next;

	for (struct container *container = sandbox->containers; container; container = next_container) {
		next_container = container->next;
		for (struct process *process = container->processes; process; process = next) {
			next = process->next;
			process_stream_arrived(process);
		}
	}
}
