/* The end of a container, also of one that never came to be: kill, wait, unmount, remove; then its memory. */
#define LOG_SUBSYSTEM "container"
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/container/bundle.h"
#include "agent/container/kernel.h"
#include "agent/container_hooks.h"
#include "agent/storage_list.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

#define PLAN_MEMORY (16u << 20)
/* How much longer than what it waits for itself the job may take. */
#define UNMOUNT_TIME (10 * LOOP_SECOND)
/* How long the exits of processes that are dead may take to be told. */
#define UNTOLD (5 * LOOP_SECOND)

/* What the job works on, in memory that it inherits. */
struct removal {
	struct cgroup cgroup;
	const char *bundle;
	struct storage_list storages;
	struct hooks hooks;
	int milliseconds;
};

static int remove_all(const void *argument, struct job_result *result)
{
	const struct removal *removal = argument;
	int status = 0;

	if (removal->cgroup.tree)
		status = cgroup_remove(&removal->cgroup, removal->milliseconds, &result->error);
	/* Storages may be mounted inside the bundle's folder, so they go first. */
	if (status == 0)
		status = storage_list_unmount(&removal->storages, &result->error);
	if (status == 0)
		status = bundle_remove(removal->bundle, &result->error);
	if (status == 0)
		hooks_run_each(&removal->hooks, HOOK_POSTSTOP, 0, container_hook_failed);
	return status;
}

static void release_pid_namespace(struct sandbox *sandbox)
{
	fd_close(&sandbox->pid_namespace);
	/* With no container left, the next one is a first one again. */
	sandbox->had_container = sandbox->containers != NULL;
}

/* Takes it out of the sandbox. */
static void leave(struct container *container)
{
	struct container **link = &container->sandbox->containers;

	while (*link != container)
		link = &(*link)->next;
	*link = container->next;
	if (container->owns_pid_namespace)
		release_pid_namespace(container->sandbox);
}

static void container_free(struct container *container)
{
	container->init = NULL;
	while (container->processes)
		process_free(container->processes);
	arena_free(&container->arena);
	arena_free(&container->resources_arena);
	free(container->bundle);
	free(container->id);
	free(container);
}

static void finish(struct container *container)
{
	loop_timer_clear(&container->sandbox->agent->loop, &container->untold);
	/* Whoever is told of the end finds nothing of it. */
	if (container->owns_pid_namespace) {
		umount2(SHARED_PROCFS, MNT_DETACH);
		rmdir(SHARED_PROCFS);
	}
	/* Before the answer: whoever gets it finds nothing of the container any more. */
	leave(container);
	container->removed(container, NULL);
	container_free(container);
}

/* Nobody is told of a process before whoever traces it has seen its end: a neighbour in a shared pid namespace may keep it. */
static void untold_expired(struct loop_timer *timer)
{
	struct container *container = container_of(timer, struct container, untold);

	for (struct process *process = container->processes; process; process = process->next) {
		if (!process_alive(process))
			continue;
		kernel_pidfd_send_signal(process->pidfd, SIGKILL); /* whatever cgroup it is in */
		log_warning("container %s: its process %d was killed and isn't gone: somebody traces it", container->id,
			    process->pid);
	}
	finish(container);
}

/* Ends the removal once the job is through and every exit has been told: a wait that is open gets its status. */
static void finish_when_quiet(struct container *container)
{
	if (!container->removal_done)
		return;
	for (struct process *process = container->processes; process; process = process->next) {
		if (!process_alive(process))
			continue;
		if (!container->untold.deadline)
			loop_timer_set(&container->sandbox->agent->loop, &container->untold, UNTOLD, untold_expired);
		return;
	}
	finish(container);
}

void container_process_exited(struct container *container, struct process *process)
{
	if (container->state == CONTAINER_REMOVING)
		finish_when_quiet(container);
	else if (process == container->init && container->state != CONTAINER_CREATING && !container->never_created)
		container->state = CONTAINER_STOPPED;
}

/* Still there; what is gone is gone, and the rest can be tried again. */
static void removal_failed(struct container *container, const struct error *error)
{
	container->state = container->never_created ? CONTAINER_FAILED : CONTAINER_STOPPED;
	container->removed(container, error);
}

static void removal_over(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, job);

	if (result->error.number) {
		if (container->storages_mounted)
			storage_list_stay(&container->sandbox->storages, container->request->storages,
					  container->request->n_storages);
		container_storages_free(container->sandbox);
		removal_failed(container, &result->error);
		return;
	}
	if (container->storages_mounted)
		storage_list_forget(&container->sandbox->storages, container->request->storages,
				    container->request->n_storages, container->never_created);
	container->storages_mounted = false;
	container_storages_free(container->sandbox);
	container->removal_done = true;
	finish_when_quiet(container);
}

/* Nothing of what it takes may wait: the processes have ended, nobody has anything to say to it, and nothing is mounted but
 * the root, which hides a mount that stays. False: what is left is a job's. */
static bool remove_at_once(struct container *container)
{
	if (container->never_created || container->request->n_storages > 0 || !job_idle(&container->job))
		return false;
	for (struct process *process = container->processes; process; process = process->next)
		if (process->state != PROCESS_EXITED)
			return false;
	return container->cgroup.tree && cgroup_remove_empty(&container->cgroup) == 0 &&
	       bundle_remove_quickly(container->bundle) == 0;
}

static int start_removal(struct container *container, uint64_t timeout, struct error *error)
{
	struct removal removal = {.cgroup = container->cgroup, .bundle = container->bundle};
	struct arena arena;
	uint64_t hooks_time;
	int status;

	removal.milliseconds = timeout / LOOP_MILLISECOND > INT32_MAX ? INT32_MAX : (int)(timeout / LOOP_MILLISECOND);
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = container_hooks_plan_stopped(container, &arena, &removal.hooks, &hooks_time, error);
	if (status == 0 && hooks_time == 0 && remove_at_once(container)) {
		arena_free(&arena);
		container->removal_done = true;
		finish_when_quiet(container);
		return 0;
	}
	if (status == 0 && container->storages_mounted)
		status = storage_list_plan_unmount(&removal.storages, &arena, &container->sandbox->storages,
						   container->id, container->request->storages,
						   container->request->n_storages, container->never_created, error);
	if (status == 0)
		status = job_start(&container->job, &container->sandbox->agent->loop, "remove a container",
				   timeout + UNMOUNT_TIME + hooks_time, remove_all, &removal, removal_over, error);
	if (status < 0 && container->storages_mounted)
		storage_list_stay(&container->sandbox->storages, container->request->storages,
				  container->request->n_storages);
	arena_free(&arena);
	return status;
}

void container_remove(struct container *container, uint64_t timeout,
		      void (*removed)(struct container *container, const struct error *error))
{
	struct error error, reason;
	struct process *next;

	error_set(&reason, ECANCELED, "the container is being removed");
	job_cancel(&container->device_job);
	if (container->job.pid > 0) {
		/* Cut in the middle of mounting: what is mounted by now is found out by unmounting all of it. */
		job_cancel(&container->job);
		container->storages_mounted = true;
	}
	container_abandon_changes(container, &reason);
	oom_unwatch(&container->oom);
	watcher_remove(&container->sandbox->watcher, container->id);
	/* What has been mounted for nobody but such a one has nothing in it. */
	container->never_created |= container->state == CONTAINER_CREATING;
	container->state = CONTAINER_REMOVING;
	container->removed = removed;
	for (struct process *process = container->processes; process; process = next) {
		next = process->next;
		process_abandon(process, &reason);
		if (process != container->init && process->pid == 0)
			process_free(process);
	}
	if (start_removal(container, timeout, &error) < 0)
		removal_failed(container, &error);
}
