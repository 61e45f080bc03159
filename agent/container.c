/* The life of a container, driven by jobs, launches and exits. container_remove.c has its end. */
#define LOG_SUBSYSTEM "container"
#include "agent/container.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/container_hooks.h"
#include "agent/device/pci_environment.h"
#include "agent/device_setup.h"
#include "agent/rpc.h"
#include "agent/shared_mounts.h"
#include "agent/storage_list.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

#define PLAN_MEMORY (16u << 20)
#define MOUNT_TIMEOUT (60 * LOOP_SECOND)
#define DESCRIPTORS_MAX 65536
#define UNDO_TIMEOUT (10 * LOOP_SECOND)

/* Creation ----------------------------------------------------------------------------------------------------- */

/* Only now is the caller told, so that it may try again under the same id at once. */
static void undone(struct container *container, const struct error *error)
{
	if (error)
		log_error("undo container %s: %s", container->id, error->text);
	rpc_finish(take_pointer(&container->remove_call), &container->failure);
}

/* Gives a creation up: what was made is removed. */
static void fail_creation(struct container *container, const struct error *error)
{
	log_warning("create container %s: %s", container->id, error->text);
	container->failure = *error;
	container->remove_call = take_pointer(&container->init->call);
	container_remove(container, UNDO_TIMEOUT, undone);
}

/* The caller has gone, or its deadline has passed. */
static void creation_cancelled(struct ttrpc_call *call)
{
	struct container *container = call->handler_data;
	struct error gone;

	error_set(&gone, ECANCELED, "the caller gave up");
	container->init->call = NULL;
	container->remove_call = NULL;
	if (container->state != CONTAINER_REMOVING)
		fail_creation(container, &gone);
}

/* Keeps the pid namespace of the first container, and its procfs, for the containers which will join it. Without them
 * this container is as good as any; only later ones can't share. */
static void share_pid_namespace(struct container *container)
{
	struct sandbox *sandbox = container->sandbox;
	struct launch *launch = &container->init->launch;
	struct error error;

	sandbox->pid_namespace = take_fd(&launch->pid_namespace);
	if (launch_keep_procfs(launch, SHARED_PROCFS, &error) < 0) {
		log_error("share the pid namespace: %s", error.text);
		fd_close(&sandbox->pid_namespace);
	}
}

/* From before the container runs until it is removed. Also of the one that holds the sandbox: without a pod, as for Docker,
 * it is the only one. */
static void watch_memory(struct container *container)
{
	struct sandbox *sandbox = container->sandbox;
	struct error error;

	if (oom_watch(&container->oom, &sandbox->oom_events, &sandbox->agent->loop, &container->cgroup, container->id,
		      &error) < 0)
		log_info("no OOM events of container %s: %s", container->id, error.text);
}

/* What is executed next is the caller's to say. */
static void created(struct container *container)
{
	static const enum container_state states[] = {
		[PROCESS_CREATED] = CONTAINER_CREATED,
		[PROCESS_RUNNING] = CONTAINER_RUNNING,
		[PROCESS_EXITED] = CONTAINER_STOPPED,
	};

	container->state = states[container->init->state];
	rpc_finish(take_pointer(&container->init->call), NULL);
}

static void mounts_shared(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, job);

	if (result->error.number)
		fail_creation(container, &result->error);
	else
		created(container);
}

/* The first process waits in front of its execve. */
static void ready(struct container *container)
{
	struct error error;
	int status;

	if (container->owns_pid_namespace)
		share_pid_namespace(container);
	watch_memory(container);
	status = shared_mounts_start(container, mounts_shared, &error);
	if (status < 0)
		fail_creation(container, &error);
	else if (status == 0)
		created(container);
}

static void creation_hooks_over(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, job);

	if (result->error.number)
		fail_creation(container, &result->error);
	else
		launch_go_on(&container->init->launch); /* to one that has died meanwhile: it says so itself */
}

void container_process_assembled(struct container *container, struct process *process)
{
	if (process == container->init && container->state == CONTAINER_CREATING)
		container_hooks_create(container, creation_hooks_over);
}

static void start_hooks_over(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, job);

	if (result->error.number)
		log_warning("container %s: %s", container->id, result->error.text);
	rpc_finish(take_pointer(&container->init->call), NULL);
}

static void launched(struct process *process, const struct error *error)
{
	struct container *container = process->container;

	if (container->state == CONTAINER_REMOVING)
		return;
	if (container->state == CONTAINER_CREATING && error) {
		/* What is somebody else's isn't removed. */
		if (container->init->launch.failure_class == LAUNCH_CGROUP_USED)
			container->cgroup.tree = NULL;
		fail_creation(container, error);
		return;
	}
	if (!error && container->state == CONTAINER_CREATING) {
		ready(container);
		return;
	}
	if (!error)
		container->state = process->state == PROCESS_CREATED ? CONTAINER_CREATED : CONTAINER_RUNNING;
	if (!error && container->state == CONTAINER_RUNNING && container_hooks_started(container, start_hooks_over))
		return;
	rpc_finish(take_pointer(&process->call), error);
}

/* The namespaces and folders that a container shares with its sandbox. */
static int fill_parameters(struct container *container, struct plan_parameters *parameters, struct error *error)
{
	struct sandbox *sandbox = container->sandbox;

	*parameters = (struct plan_parameters){
		.id = container->id,
		.bundle = container->bundle,
		.ipc_namespace = sandbox->ipc_namespace,
		.uts_namespace = sandbox->uts_namespace,
		.pid_namespace = -1,
		.cgroup = &container->cgroup,
		.limits = &sandbox->boot_limits,
		.apparmor_ignored = !sandbox->apparmor,
		.hooks = container_hooks_parameters(container),
	};
	if (!sandbox->had_container) {
		parameters->procfs_exported = true;
	} else if (container->request->sandbox_pidns) {
		if (sandbox->pid_namespace < 0)
			return error_set(error, EBUSY, "Sandbox does not have sandbox_pidns");
		parameters->pid_namespace = sandbox->pid_namespace;
		parameters->procfs = SHARED_PROCFS;
	}
	return 0;
}

static int launch_init(struct container *container, struct error *error)
{
	struct sandbox *sandbox = container->sandbox;
	struct plan_parameters parameters;
	struct arena arena;
	struct plan plan;
	int status;

	status = fill_parameters(container, &parameters, error);
	if (status < 0)
		return status;
	if (parameters.apparmor_ignored && container->request->oci->process && *container->request->oci->process->apparmorprofile)
		log_warning("container %s: this guest has no AppArmor, profile \"%.80s\" is passed over", container->id,
			    container->request->oci->process->apparmorprofile);
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = plan_container(&plan, &arena, container->request->oci, &parameters, error);
	if (status == 0)
		status = process_launch(container->init, &plan, launched, error);
	arena_free(&arena);
	if (status == 0 && !sandbox->had_container)
		sandbox->had_container = container->owns_pid_namespace = true;
	return status;
}

static void streams_arrived(struct process *process)
{
	struct container *container = process->container;
	struct error error;

	if (launch_init(container, &error) < 0)
		fail_creation(container, &error);
}

/* Everything is mounted: what is to be watched is, and the launch may begin. */
static void go_on(struct container *container)
{
	const Grpc__CreateContainerRequest *request = container->request;
	struct sandbox *sandbox = container->sandbox;
	struct error error;

	container->storages_mounted = true;
	if (watcher_add(&sandbox->watcher, &sandbox->agent->loop, container->id, request->storages,
			request->n_storages) < 0) {
		error_errno(&error, ENOMEM, "watch the storages of %s", container->id);
		fail_creation(container, &error);
		return;
	}
	process_await_streams(container->init, streams_arrived);
}

static void storages_ready(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, job);

	/* A job that fails has undone its own mounts, and only the counts are left; one that was cut hasn't. */
	container->storages_mounted = !result->error.number || result->cut;
	if (!container->storages_mounted)
		storage_list_forget(&container->sandbox->storages, container->request->storages,
				    container->request->n_storages, true);
	if (result->error.number) {
		fail_creation(container, &result->error);
		return;
	}
	go_on(container);
}

/* Mounts what the request brings and isn't mounted yet. */
static int mount_storages(struct container *container, struct error *error)
{
	const Grpc__CreateContainerRequest *request = container->request;
	struct agent *agent = container->sandbox->agent;
	struct storage_list list;
	struct arena arena;
	int status;

	if (request->n_storages == 0) {
		go_on(container);
		return 0;
	}
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = storage_list_plan(&list, &arena, &container->sandbox->storages, container->id, request->storages,
				   request->n_storages, agent->config.hotplug_timeout, error);
	if (status == -EBUSY) {
		container->storages_awaited = true;
		status = 0;
	} else if (status == 0 && list.count == 0) {
		go_on(container);
	} else if (status == 0) {
		status = job_start(&container->job, &agent->loop, "mount storages", MOUNT_TIMEOUT, storage_list_mount,
				   &list, storages_ready, error);
		if (status < 0)
			storage_list_forget(&container->sandbox->storages, request->storages, request->n_storages,
					    true);
	}
	arena_free(&arena);
	return status;
}

static void devices_ready(struct job *job, struct job_result *result)
{
	struct container *container = container_of(job, struct container, device_job);
	const Grpc__CreateContainerRequest *request = NULL;

	if (!result->error.number)
		request = device_setup_take(container->request, &container->arena, result, &result->error);
	while (result->fd_count > 0)
		close(result->fds[--result->fd_count]);
	if (request)
		container->request = request;
	if (!request || mount_storages(container, &result->error) < 0)
		fail_creation(container, &result->error);
}

/* Finds the devices that the request names, and then mounts its storages. */
static int find_devices(struct container *container, struct error *error)
{
	struct agent *agent = container->sandbox->agent;
	struct device_setup setup;
	struct arena arena;
	int status;

	if (!device_setup_needed(container->request, &agent->config))
		return mount_storages(container, error);
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = device_setup_plan(&setup, &arena, container->request, &agent->config, error);
	if (status == 0)
		status = job_start(&container->device_job, &agent->loop, "find devices", setup.timeout, device_setup_run,
				   &setup, devices_ready, error);
	arena_free(&arena);
	return status;
}

void container_storages_free(struct sandbox *sandbox)
{
	struct error error;

	for (struct container *container = sandbox->containers; container; container = container->next) {
		if (!container->storages_awaited || container->state != CONTAINER_CREATING)
			continue;
		container->storages_awaited = false;
		if (mount_storages(container, &error) < 0)
			fail_creation(container, &error);
	}
}

/* ^[A-Za-z0-9][A-Za-z0-9_.-]+$, as runtimes make them; bounded, as it becomes a file name. */
static bool id_valid(const char *id)
{
	size_t length = strlen(id);
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	return length >= 2 && length <= 255 && strchr(first, id[0]) && strspn(id, rest) == length;
}

static int check_request(struct sandbox *sandbox, const Grpc__CreateContainerRequest *request, struct error *error)
{
	if (!id_valid(request->container_id))
		return error_set(error, EINVAL, "'%.80s' is no container id", request->container_id);
	if (!request->oci)
		return error_set(error, EINVAL, "container %s: the request has no OCI spec", request->container_id);
	for (struct container *container = sandbox->containers; container; container = container->next)
		if (strcmp(container->id, request->container_id) == 0)
			return error_set(error, EEXIST, "container %s exists already", request->container_id);
	if (sandbox->destroying || sandbox->stopping)
		return error_set(error, EBUSY, "the sandbox is being %s", sandbox->stopping ? "stopped" : "destroyed");
	return 0;
}

/* A record, in the sandbox's list. NULL without memory. */
static struct container *container_new(struct sandbox *sandbox, const Grpc__CreateContainerRequest *request)
{
	struct container *container = calloc(1, sizeof(*container));

	if (!container)
		return NULL;
	container->sandbox = sandbox;
	container->id = strdup(request->container_id);
	if (asprintf(&container->bundle, KATA_DIRECTORY "/%s", request->container_id) < 0)
		container->bundle = NULL;
	if (container->id && container->bundle)
		container->init = process_new(container, container->id);
	if (!container->init) {
		free(container->id);
		free(container->bundle);
		free(container);
		return NULL;
	}
	container->request = request;
	if (request->oci->linux)
		container->resources = request->oci->linux->resources;
	container->init->numbers = (struct stream_numbers){request->stdin_port, request->stdout_port, request->stderr_port};
	container->next = sandbox->containers;
	sandbox->containers = container;
	return container;
}

/* A container costs a handful of descriptors, and so does each of its processes. */
static void raise_descriptor_limit(void)
{
	const struct rlimit limit = {.rlim_cur = DESCRIPTORS_MAX, .rlim_max = DESCRIPTORS_MAX};

	/* Where it may not be raised, what there is has to do. */
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* What the first container asks of the guest, and the later ones find. */
static int know_guest(struct sandbox *sandbox, struct error *error)
{
	int status = 0;

	if (sandbox->guest_known)
		return 0;
	/* Containers get the limits of the boot, so these are read before our own are changed. */
	boot_limits_read(&sandbox->boot_limits);
	raise_descriptor_limit();
	sandbox->apparmor = apparmor_started();
	status = cgroup_tree_find(&sandbox->cgroups, error);
	sandbox->guest_known = status == 0;
	return status;
}

/* One that another container has is refused before it is this one's: the end of a container is that of its cgroup. */
static int name_cgroup(struct container *container, struct error *error)
{
	const Grpc__Linux *settings = container->request->oci->linux;
	struct sandbox *sandbox = container->sandbox;
	struct cgroup cgroup = {0};
	int status = know_guest(sandbox, error);

	if (status == 0)
		status = cgroup_init(&cgroup, &sandbox->cgroups, settings ? settings->cgroupspath : "", container->id, error);
	if (status < 0)
		return status;
	for (struct container *other = sandbox->containers; other; other = other->next)
		if (other->cgroup.tree && strcmp(other->cgroup.path, cgroup.path) == 0)
			return error_set(error, EBUSY, "cgroup %s is that of container %s", cgroup.path, other->id);
	container->cgroup = cgroup;
	return 0;
}

void container_create(struct sandbox *sandbox, struct ttrpc_call *call, const Grpc__CreateContainerRequest *request)
{
	struct container *container;
	struct error error;

	if (check_request(sandbox, request, &error) < 0) {
		rpc_fail(call, &error);
		return;
	}
	container = container_new(sandbox, request);
	if (!container) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	/* The request stays with the container: its spec is what later execs are planned from. */
	arena_move(&container->arena, &call->arena);
	container->init->call = call;
	call->handler_data = container;
	call->cancelled = creation_cancelled;
	if (name_cgroup(container, &error) < 0 || find_devices(container, &error) < 0)
		fail_creation(container, &error);
}

/* Start and exec ----------------------------------------------------------------------------------------------- */

/* Whoever started it has gone: the process goes on. */
static void start_cancelled(struct ttrpc_call *call)
{
	struct process *process = call->handler_data;

	process->call = NULL;
}

void container_start(struct container *container, struct ttrpc_call *call)
{
	struct error error;

	if (container->state != CONTAINER_CREATED || container->init->call) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s can't be started: it has been already",
				container->id);
		return;
	}
	if (container->paused) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s is paused", container->id);
		return;
	}
	container->init->call = call;
	call->handler_data = container->init;
	call->cancelled = start_cancelled;
	if (process_release(container->init, &error) < 0) {
		container->init->call = NULL;
		rpc_fail(call, &error);
	}
}

static void exec_launched(struct process *process, const struct error *error)
{
	struct error failure;

	if (!error && process->state == PROCESS_CREATED) {
		if (process_release(process, &failure) == 0)
			return; /* comes here again when it has been executed */
		error = &failure;
	}
	rpc_finish(take_pointer(&process->call), error);
	if (error)
		process_free(process);
}

static int launch_exec(struct process *process, struct error *error)
{
	const struct exec_description *exec = process->description;
	struct container *container = process->container;
	const struct plan_exec_parameters parameters = {
		.id = container->id,
		.init_pidfd = container->init->pidfd,
		.init_pid = container->init->pid,
		.cgroup = &container->cgroup,
		.limits = &container->sandbox->boot_limits,
		.apparmor_ignored = !container->sandbox->apparmor,
		.tool = exec->tool,
	};
	struct arena arena;
	struct plan plan;
	int status;

	pci_environment_rewrite(exec->process->env, exec->process->n_env, container->request->devices,
				container->request->n_devices);
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = plan_exec(&plan, &arena, exec->process, container->request->oci, &parameters, error);
	if (status == 0)
		status = process_launch(process, &plan, exec_launched, error);
	arena_free(&arena);
	return status;
}

static void exec_streams_arrived(struct process *process)
{
	struct error error;

	if (launch_exec(process, &error) == 0)
		return;
	rpc_finish(take_pointer(&process->call), &error);
	process_free(process);
}

/* Whoever asked for it has gone: an exec that hasn't begun never will, another one goes on. */
static void exec_cancelled(struct ttrpc_call *call)
{
	struct process *process = call->handler_data;

	process->call = NULL;
	if (!process->launch_open && process->state == PROCESS_LAUNCHING)
		process_free(process);
}

void container_exec(struct container *container, struct ttrpc_call *call, const struct exec_description *exec)
{
	struct process *process = container_find_process(container, exec->id);

	if (process && process->waited && process != container->init) {
		process_free(process);
		process = NULL;
	}
	if (process) {
		ttrpc_call_fail(call, TTRPC_INTERNAL, "exec_id '%.80s' already exists", exec->id);
		return;
	}
	if (!exec->process) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the request has no process");
		return;
	}
	if (container->paused || (container->state != CONTAINER_RUNNING && container->state != CONTAINER_CREATED)) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "container %s %s", container->id,
				container->paused ? "is paused" : "isn't running");
		return;
	}
	process = process_new(container, exec->id);
	if (!process) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	process->numbers = exec->numbers;
	process->description = exec;
	process->call = call;
	call->handler_data = process;
	call->cancelled = exec_cancelled;
	process_await_streams(process, exec_streams_arrived);
}

/* Look-ups and events ------------------------------------------------------------------------------------------ */

struct process *container_find_process(struct container *container, const char *exec_id)
{
	if (*exec_id == '\0')
		return container->init;
	for (struct process *process = container->processes; process; process = process->next)
		if (strcmp(process->exec_id, exec_id) == 0)
			return process;
	return NULL;
}

void container_process_made(struct container *container, struct process *process)
{
	sandbox_process_made(container->sandbox, process);
}
