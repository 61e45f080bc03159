/* Cgroups made, frozen, signalled and removed: the same steps in each hierarchy of the tree.
 *
 * A container may have made cgroups of its own below its cgroup, so everything here looks at the whole subtree. Waiting
 * for processes to end is done on their pidfds, which works for both versions and needs no polling by the clock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"

#define DEPTH_MAX 128
#define TEXT_SIZE 4096
#define WAITED_AT_ONCE 64
#define FREEZER "freezer"

/* Making -------------------------------------------------------------------------------------------------------------- */

/* v2: every controller that a cgroup has is passed on to its children, one by one, as one that can't be (threads, real
 * time) must not stop the others. A limit that needs a controller which isn't there fails by its name later. */
static void enable_controllers(int directory)
{
	char text[TEXT_SIZE], word[CGROUP_CONTROLLERS_SIZE + 1], *rest = text, *name;

	if (fd_read_file(directory, "cgroup.controllers", text, sizeof(text), NULL) < 0)
		return;
	while ((name = strsep(&rest, " ")) != NULL) {
		if (!*name || strlen(name) >= sizeof(word) - 1)
			continue;
		snprintf(word, sizeof(word), "+%s", name);
		fd_write_file(directory, "cgroup.subtree_control", word, NULL);
	}
}

/* v1: a new cpuset has neither CPUs nor memory, and takes no process until it has. */
static int fill_cpuset(int parent, int directory, struct error *error)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (size_t i = 0; i < array_size(files); i++) {
		char text[TEXT_SIZE];
		ssize_t length = fd_read_file(directory, files[i], text, sizeof(text), error);
		int status;

		if (length > 0)
			continue;
		if (length == 0)
			length = fd_read_file(parent, files[i], text, sizeof(text), error);
		if (length < 0)
			return (int)length;
		status = fd_write_file(directory, files[i], text, error);
		if (status < 0)
			return status;
	}
	return 0;
}

/* One level: makes `name` in `parent` and opens it. */
static int make_level(const struct cgroup_tree *tree, size_t index, int parent, const char *name, struct error *error)
{
	cleanup_close int directory = -1;
	int status = 0;

	if (tree->unified)
		enable_controllers(parent);
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make the cgroup %s", name);
	directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory < 0)
		return error_errno(error, errno, "open the cgroup %s", name);
	if (!tree->unified && cgroup_hierarchy_has(tree, index, "cpuset"))
		status = fill_cpuset(parent, directory, error);
	return status < 0 ? status : take_fd(&directory);
}

static int create_in(const struct cgroup *cgroup, size_t index, struct error *error)
{
	const char *mount = cgroup->tree->hierarchies[index].mount;
	int directory = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[CGROUP_PATH_SIZE], *rest = path, *name;

	strcpy(path, cgroup->path);
	if (directory < 0)
		return error_errno(error, errno, "open %s", mount);
	while (directory >= 0 && (name = strsep(&rest, "/")) != NULL) {
		cleanup_close int parent = -1;

		if (!*name)
			continue;
		parent = directory;
		directory = make_level(cgroup->tree, index, parent, name, error);
	}
	if (directory < 0)
		return error_wrap(error, "cgroup %s", cgroup->path);
	close(directory);
	return 0;
}

int cgroup_create(const struct cgroup *cgroup, struct error *error)
{
	size_t count = 0;
	int status;

	status = cgroup_processes(cgroup, NULL, &count, error);
	if (status == 0 && count > 0)
		return error_set(error, EBUSY, "the cgroup %s has processes already", cgroup->path);
	for (size_t i = 0; i < cgroup->tree->hierarchy_count && status == 0; i++)
		status = create_in(cgroup, i, error);
	return status;
}

/* Looking ------------------------------------------------------------------------------------------------------------- */

struct pids {
	pid_t *list;
	size_t room, count;
};

static void read_pids(int directory, struct pids *pids)
{
	int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	int pid;

	if (!file) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (fscanf(file, "%d", &pid) == 1) {
		if (pid <= 0) /* of a pid namespace that isn't below ours */
			continue;
		if (pids->count < pids->room)
			pids->list[pids->count] = pid;
		pids->count++;
	}
	fclose(file);
}

/* Calls `visit` for the child cgroups of a directory, and then for nothing more. */
static int each_child(int directory, int (*visit)(int parent, const char *name, void *data, int depth), void *data,
		      int depth)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), status = 0;
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);

	if (!stream) {
		status = -errno;
		if (copy >= 0)
			close(copy);
		return status;
	}
	if (depth > DEPTH_MAX)
		status = -ELOOP;
	for (struct dirent *entry = readdir(stream); entry && status == 0; entry = readdir(stream))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = visit(directory, entry->d_name, data, depth);
	closedir(stream);
	return status;
}

static int collect_pids(int parent, const char *name, void *data, int depth)
{
	cleanup_close int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (directory < 0)
		return errno == ENOENT ? 0 : -errno;
	read_pids(directory, data);
	return each_child(directory, collect_pids, data, depth + 1);
}

int cgroup_processes(const struct cgroup *cgroup, pid_t *list, size_t *count, struct error *error)
{
	struct pids pids = {.list = list, .room = list ? *count : 0};
	int status = 0;

	/* A process may have been moved in one hierarchy and not in another; all of them are the container's. */
	for (size_t i = 0; i < cgroup->tree->hierarchy_count && status == 0; i++) {
		cleanup_close int directory = cgroup_open_in(cgroup, i);

		if (directory >= 0)
			status = collect_pids(directory, ".", &pids, 0);
		else if (directory != -ENOENT)
			status = directory;
	}
	*count = pids.count;
	return status < 0 ? error_errno(error, -status, "look at the cgroup %s", cgroup->path) : 0;
}

/* Freezing and signalling --------------------------------------------------------------------------------------------- */

int cgroup_freeze(const struct cgroup *cgroup, bool frozen, struct error *error)
{
	cleanup_close int directory = cgroup_open(cgroup, FREEZER, error);

	if (directory < 0)
		return directory;
	if (cgroup->tree->unified)
		return fd_write_file(directory, "cgroup.freeze", frozen ? "1" : "0", error);
	return fd_write_file(directory, "freezer.state", frozen ? "FROZEN" : "THAWED", error);
}

static int signal_listed(const struct cgroup *cgroup, int signal, struct error *error)
{
	pid_t pids[TEXT_SIZE];
	size_t count = array_size(pids);
	int status = cgroup_processes(cgroup, pids, &count, error);

	if (count > array_size(pids))
		count = array_size(pids);
	for (size_t i = 0; i < count && status == 0; i++)
		kill(pids[i], signal);
	return status;
}

/* v2: the kernel kills all of it at once, also what is just being forked (cgroup-v2.rst, cgroup.kill). */
static bool kill_unified(const struct cgroup *cgroup)
{
	cleanup_close int directory = cgroup->tree->unified ? cgroup_open_in(cgroup, 0) : -1;

	return directory >= 0 && fd_write_file(directory, "cgroup.kill", "1", NULL) == 0;
}

int cgroup_signal_all(const struct cgroup *cgroup, int signal, struct error *error)
{
	bool frozen;
	int status;

	if (signal == SIGKILL && kill_unified(cgroup))
		return 0;
	frozen = cgroup_freeze(cgroup, true, NULL) == 0;
	status = signal_listed(cgroup, signal, error);
	/* A frozen process takes even SIGKILL only when it is thawed. */
	if (frozen)
		cgroup_freeze(cgroup, false, NULL);
	return status;
}

/* Removing ------------------------------------------------------------------------------------------------------------ */

/* Waits until the processes have ended, or the deadline. */
static void wait_for_pids(const pid_t *pids, size_t count, uint64_t deadline)
{
	for (size_t i = 0; i < count; i++) {
		cleanup_close int pidfd = (int)syscall(SYS_pidfd_open, pids[i], 0);
		struct pollfd ended = {.fd = pidfd, .events = POLLIN};
		uint64_t now = loop_now();

		if (pidfd >= 0 && now < deadline)
			poll(&ended, 1, (int)((deadline - now) / LOOP_MILLISECOND) + 1);
	}
}

static int remove_below(int parent, const char *name, void *data, int depth)
{
	cleanup_close int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int status;

	if (directory < 0)
		return errno == ENOENT ? 0 : -errno;
	status = each_child(directory, remove_below, data, depth + 1);
	if (status < 0)
		return status;
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_in(const struct cgroup *cgroup, size_t index)
{
	cleanup_close int mount = open(cgroup->tree->hierarchies[index].mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return mount < 0 ? -errno : remove_below(mount, cgroup->path + 1, NULL, 0);
}

int cgroup_remove(const struct cgroup *cgroup, int timeout, struct error *error)
{
	uint64_t deadline = loop_now() + (uint64_t)timeout * LOOP_MILLISECOND;
	pid_t pids[WAITED_AT_ONCE];
	size_t count;
	int status;

	do {
		count = array_size(pids);
		status = cgroup_signal_all(cgroup, SIGKILL, error);
		if (status == 0)
			status = cgroup_processes(cgroup, pids, &count, error);
		if (status < 0)
			return status;
		wait_for_pids(pids, count < array_size(pids) ? count : array_size(pids), deadline);
	} while (count > 0 && loop_now() < deadline);
	if (count > 0)
		return error_set(error, EBUSY, "the cgroup %s still has %zu processes", cgroup->path, count);
	for (size_t i = 0; i < cgroup->tree->hierarchy_count; i++) {
		status = remove_in(cgroup, i);
		if (status < 0)
			return error_errno(error, -status, "remove the cgroup %s", cgroup->path);
	}
	return 0;
}
