/* A job that goes from one mount namespace to another, with a copy of a mount in its hand. */
#define LOG_SUBSYSTEM "container"
#include "agent/shared_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/container/kernel.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/mount_table.h"
#include "lib/path.h"

#define PLAN_MEMORY (4u << 20)
#define WAIT (10 * LOOP_SECOND)
#define LOOK 100 /* milliseconds, between two looks at somebody's mounts */

struct shared_mount {
	pid_t source; /* a process of the other container's */
	const char *source_path, *target_path;
};

struct sharing {
	pid_t target; /* the container's own */
	const struct shared_mount *mounts;
	size_t count;
};

/* The job -------------------------------------------------------------------------------------------------------- */

static bool has_mounted(pid_t process, const char *path)
{
	cleanup_mount_table struct mount_table mounts;
	bool found = false;
	char name[32];

	snprintf(name, sizeof(name), "/proc/%d/mounts", process);
	mount_table_open(&mounts, name);
	while (!found && mount_table_next(&mounts))
		found = strcmp(mounts.path, path) == 0;
	return found;
}

/* False where it doesn't come in time, or the process ends. */
static bool wait_for_mount(int pidfd, const struct shared_mount *mount)
{
	uint64_t deadline = loop_now() + WAIT;
	struct pollfd process = {.fd = pidfd, .events = POLLIN};

	while (!has_mounted(mount->source, mount->source_path))
		if (loop_now() >= deadline || poll(&process, 1, LOOK) != 0)
			return false;
	return true;
}

/* The root of another mount namespace, which the job is in afterwards. */
static int enter(int namespace, struct error *error)
{
	int root = setns(namespace, CLONE_NEWNS) < 0 ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return root < 0 ? error_errno(error, errno, "enter the mounts of a container") : root;
}

static int take(int source, const char *path, struct error *error)
{
	cleanup_close int root = enter(source, error), place = -1;
	int tree;

	if (root < 0)
		return root;
	place = path_open_in_root(root, path, O_PATH, 0, error);
	if (place < 0)
		return place;
	tree = kernel_open_tree(place, "", OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH);
	return tree < 0 ? error_errno(error, errno, "copy the mount %.200s", path) : tree;
}

static int put(int target, int tree, const char *path, struct error *error)
{
	cleanup_close int root = enter(target, error), place = -1;
	struct stat status;

	if (root < 0)
		return root;
	if (fstat(tree, &status) < 0)
		return error_errno(error, errno, "look at a mount");
	place = S_ISDIR(status.st_mode) ? path_make_directories(root, path, 0755, error) :
					  path_make_file(root, path, 0644, error);
	if (place < 0)
		return place;
	return kernel_move_mount(tree, place) < 0 ? error_errno(error, errno, "mount at %.200s", path) : 0;
}

static int share(const struct shared_mount *mount, int own, int target, struct error *error)
{
	cleanup_close int source = kernel_pidfd_open(mount->source), tree = -1;
	int status;

	if (source < 0 || !wait_for_mount(source, mount)) {
		log_warning("shared mount %s: it isn't there", mount->source_path);
		return 0;
	}
	tree = take(source, mount->source_path, error);
	status = tree < 0 ? tree : put(target, tree, mount->target_path, error);
	if (setns(own, CLONE_NEWNS) < 0 && status == 0)
		status = error_errno(error, errno, "come back");
	return status < 0 ? error_wrap(error, "shared mount %.200s", mount->source_path) : 0;
}

static int work(const void *argument, struct job_result *result)
{
	const struct sharing *sharing = argument;
	cleanup_close int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	cleanup_close int target = kernel_pidfd_open(sharing->target);
	int status = 0;

	if (own < 0 || target < 0)
		return error_errno(&result->error, errno, "open the mounts of a container");
	for (size_t i = 0; i < sharing->count && status == 0; i++)
		status = share(&sharing->mounts[i], own, target, &result->error);
	return status;
}

/* The agent ------------------------------------------------------------------------------------------------------ */

/* Kubernetes' name of a container, as containerd or CRI-O hand it on. */
static bool has_name(const struct container *container, const char *name)
{
	static const char *const keys[] = {"io.kubernetes.cri.container-name", "io.kubernetes.cri-o.ContainerName"};
	const Grpc__Spec *spec = container->request->oci;

	for (size_t key = 0; key < array_size(keys); key++)
		for (size_t i = 0; i < spec->n_annotations; i++)
			if (strcmp(spec->annotations[i]->key, keys[key]) == 0)
				return strcmp(spec->annotations[i]->value, name) == 0;
	return false;
}

/* The first process of the container with that name; 0 where there is none. */
static pid_t find_source(const struct container *container, const char *name)
{
	for (struct container *other = container->sandbox->containers; other; other = other->next)
		if (other != container && (other->state == CONTAINER_CREATED || other->state == CONTAINER_RUNNING) &&
		    process_alive(other->init) && has_name(other, name))
			return other->init->pid;
	return 0;
}

static int plan(struct sharing *sharing, struct arena *arena, const struct container *container)
{
	const Grpc__CreateContainerRequest *request = container->request;
	struct shared_mount *mounts = arena_array(arena, request->n_shared_mounts, sizeof(*mounts));

	*sharing = (struct sharing){.target = container->init->pid, .mounts = mounts};
	for (size_t i = 0; mounts && i < request->n_shared_mounts; i++) {
		struct shared_mount *mount = &mounts[sharing->count];

		mount->source = find_source(container, request->shared_mounts[i]->src_ctr);
		if (mount->source == 0)
			continue;
		mount->source_path = arena_strdup(arena, request->shared_mounts[i]->src_path);
		mount->target_path = arena_strdup(arena, request->shared_mounts[i]->dst_path);
		if (!mount->source_path || !mount->target_path)
			return -ENOMEM;
		sharing->count++;
	}
	return mounts ? 0 : -ENOMEM;
}

int shared_mounts_start(struct container *container, void (*done)(struct job *job, struct job_result *result),
			struct error *error)
{
	struct sharing sharing = {.count = 0};
	struct arena arena;
	int status;

	if (container->request->n_shared_mounts == 0)
		return 0;
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	status = plan(&sharing, &arena, container);
	if (status < 0)
		error_errno(error, -status, "share mounts");
	else if (sharing.count > 0)
		status = job_start(&container->job, &container->sandbox->agent->loop, "share mounts",
				   (sharing.count + 1) * WAIT, work, &sharing, done, error);
	arena_free(&arena);
	return status < 0 ? status : sharing.count > 0;
}
