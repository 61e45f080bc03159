/* What is in a container's cgroup and those below: processes, signals to them, OOM kills, freezing, and removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/container/cgroup_parts.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define DEPTH_MAX 32	    /* of cgroups that a container made, where their processes are looked for */
#define WATCHED_MAX 64	    /* processes whose end is waited for at once */
#define PROCESSES_MAX 65536
#define KILLS_CGROUPS_MAX 256	/* in which OOM kills are looked for */
#define FREEZE_TRIES 1000
#define SETTLE_MILLISECONDS 5 /* v1 tells nobody when a cgroup is empty */

typedef int (*visit_function)(int directory, void *data);

struct pid_list {
	pid_t *pids;
	size_t count, room; /* count goes on beyond the room */
};

static int64_t now_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The cgroup's children, to be read with next_child(). NULL with errno. */
static DIR *open_children(int directory)
{
	cleanup_close int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (stream)
		take_fd(&fd);
	return stream;
}

static const char *next_child(DIR *stream)
{
	struct dirent *entry;

	while ((entry = readdir(stream)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return entry->d_name;
	return NULL;
}

static int visit(int directory, visit_function function, void *data, int depth);

static int visit_children(int directory, visit_function function, void *data, int depth)
{
	DIR *stream = open_children(directory);
	const char *name;
	int status = 0;

	if (!stream)
		return -errno;
	while (status == 0 && (name = next_child(stream))) {
		cleanup_close int child = openat(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (child >= 0)
			status = visit(child, function, data, depth + 1);
	}
	closedir(stream);
	return status;
}

/* Calls `function` for the cgroup and all below it. */
static int visit(int directory, visit_function function, void *data, int depth)
{
	int status = function(directory, data);

	if (status < 0 || depth >= DEPTH_MAX)
		return status;
	return visit_children(directory, function, data, depth);
}

static int add_pids(int directory, void *data)
{
	struct pid_list *list = data;
	int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char line[24];

	if (!file) {
		int number = errno;

		if (fd >= 0)
			close(fd);
		return number == ENOENT || number == ENODEV ? 0 : -number;
	}
	while (fgets(line, sizeof(line), file)) {
		long pid = strtol(line, NULL, 10);

		if (pid > 0 && list->count < list->room)
			list->pids[list->count] = (pid_t)pid;
		list->count += pid > 0;
	}
	fclose(file);
	return 0;
}

/* The hierarchy by which processes are found: where they are frozen, if there is one. */
static int open_members(const struct cgroup *cgroup)
{
	int fd = cgroup_open(cgroup, "freezer", NULL);

	return fd == -ENOENT ? cgroup_open_in(cgroup, 0) : fd;
}

int cgroup_processes(const struct cgroup *cgroup, pid_t *pids, size_t *count, struct error *error)
{
	struct pid_list list = {.pids = pids, .room = *count};
	cleanup_close int directory = open_members(cgroup);
	int status = directory < 0 ? directory : visit(directory, add_pids, &list, 0);

	*count = list.count;
	if (status == -ENOENT)
		return 0;
	return status < 0 ? error_errno(error, -status, "list the processes of the cgroup %s", cgroup->path) : 0;
}

int cgroup_read_oom_kills(int file, uint64_t *kills)
{
	char text[512];
	ssize_t length = pread(file, text, sizeof(text) - 1, 0);
	const char *line;

	if (length < 0)
		return -errno;
	text[length] = '\0';
	line = strstr(text, "oom_kill ");
	if (line)
		*kills = strtoull(line + strlen("oom_kill "), NULL, 10);
	return 0;
}

struct kill_sum {
	uint64_t kills;
	size_t cgroups;
};

static int add_kills(int directory, void *data)
{
	struct kill_sum *sum = data;
	cleanup_close int file = openat(directory, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	uint64_t kills = 0;

	if (file >= 0)
		cgroup_read_oom_kills(file, &kills);
	sum->kills += kills;
	return ++sum->cgroups < KILLS_CGROUPS_MAX ? 0 : -E2BIG;
}

uint64_t cgroup_oom_kills_below(const struct cgroup *cgroup)
{
	struct kill_sum sum = {0};
	cleanup_close int directory = cgroup_open(cgroup, "memory", NULL);

	if (directory >= 0)
		visit_children(directory, add_kills, &sum, 0);
	return sum.kills;
}

/* Returns once written: the kernel may still be at it. */
static int freeze(const struct cgroup *cgroup, bool frozen, struct error *error)
{
	cleanup_close int directory = cgroup_open(cgroup, "freezer", error);

	if (directory < 0)
		return directory;
	if (cgroup->tree->unified)
		return fd_write_file(directory, "cgroup.freeze", frozen ? "1" : "0", error);
	return fd_write_file(directory, "freezer.state", frozen ? "FROZEN" : "THAWED", error);
}

static bool is_frozen(const struct cgroup *cgroup, int directory)
{
	const char *file = cgroup->tree->unified ? "cgroup.events" : "freezer.state";
	const char *wanted = cgroup->tree->unified ? "frozen 1" : "FROZEN";
	char text[256];

	return fd_read_file(directory, file, text, sizeof(text), NULL) >= 0 && strstr(text, wanted);
}

/* Gives the kernel the time to freeze everything, within a bound: a process in the middle of a system call may take any
 * time, and what comes next works without. */
static void await_frozen(const struct cgroup *cgroup)
{
	cleanup_close int directory = cgroup_open(cgroup, "freezer", NULL);

	for (int i = 0; directory >= 0 && i < FREEZE_TRIES && !is_frozen(cgroup, directory); i++)
		sched_yield();
}

/* v1 tells nobody when it has frozen everything, and may have to be told again. */
int cgroup_pause(const struct cgroup *cgroup, int timeout, struct error *error)
{
	cleanup_close int directory = cgroup_open(cgroup, "freezer", error);
	int64_t end = now_milliseconds() + timeout;

	if (directory < 0)
		return directory;
	if (is_frozen(cgroup, directory))
		return 1;
	do {
		int status = freeze(cgroup, true, error);

		if (status < 0)
			return status;
		for (int i = 0; i < FREEZE_TRIES; i++) {
			if (is_frozen(cgroup, directory))
				return 0;
			poll(NULL, 0, i < FREEZE_TRIES / 10 ? 0 : 1);
		}
	} while (now_milliseconds() < end);
	freeze(cgroup, false, NULL);
	return error_set(error, EBUSY, "the cgroup %s isn't frozen after %d ms", cgroup->path, timeout);
}

int cgroup_resume(const struct cgroup *cgroup, struct error *error)
{
	return freeze(cgroup, false, error);
}

static int thaw_one(int directory, void *data)
{
	(void)data;
	fd_write_file(directory, "freezer.state", "THAWED", NULL);
	return 0;
}

/* On v1 SIGKILL waits for a frozen process, and the container may have frozen cgroups of its own. */
static void thaw_all(const struct cgroup *cgroup, int directory)
{
	freeze(cgroup, false, NULL);
	if (!cgroup->tree->unified)
		visit(directory, thaw_one, NULL, 0);
}

static int send_to_all(const struct cgroup *cgroup, int signal, struct error *error)
{
	cleanup_free pid_t *pids = calloc(PROCESSES_MAX, sizeof(*pids));
	size_t count = PROCESSES_MAX;
	int status;

	if (!pids)
		return error_errno(error, ENOMEM, "list the processes of the cgroup %s", cgroup->path);
	status = cgroup_processes(cgroup, pids, &count, error);
	for (size_t i = 0; i < count && i < PROCESSES_MAX; i++)
		kill(pids[i], signal); /* they are frozen: none of the pids is anybody else's */
	return status;
}

int cgroup_signal_all(const struct cgroup *cgroup, int signal, struct error *error)
{
	cleanup_close int directory = open_members(cgroup);
	int status;

	if (directory == -ENOENT)
		return 0;
	if (signal == SIGKILL && cgroup->tree->unified && fd_write_file(directory, "cgroup.kill", "1", NULL) == 0) {
		freeze(cgroup, false, NULL);
		return 0;
	}
	if (freeze(cgroup, true, NULL) == 0)
		await_frozen(cgroup);
	status = send_to_all(cgroup, signal, error);
	if (signal == SIGKILL)
		thaw_all(cgroup, directory);
	else
		freeze(cgroup, false, NULL);
	return status;
}

/* Waits until some of the processes have ended or the time is over. */
static void await_ends(const pid_t *pids, size_t count, int64_t milliseconds)
{
	struct pollfd polled[WATCHED_MAX];
	nfds_t watched = 0;

	for (size_t i = 0; i < count && watched < WATCHED_MAX; i++) {
		int pidfd = kernel_pidfd_open(pids[i]);

		if (pidfd >= 0)
			polled[watched++] = (struct pollfd){.fd = pidfd, .events = POLLIN};
	}
	/* Without any, they have ended but are not out of the cgroup yet. */
	poll(polled, watched, watched > 0 ? (int)milliseconds : SETTLE_MILLISECONDS);
	while (watched > 0)
		close(polled[--watched].fd);
}

/* The name of a cgroup's first child, with which `name` is filled; false where it has none. */
static bool first_child(int directory, char name[NAME_MAX + 1])
{
	DIR *stream = open_children(directory);
	const char *child = stream ? next_child(stream) : NULL;

	if (child)
		snprintf(name, NAME_MAX + 1, "%s", child);
	if (stream)
		closedir(stream);
	return child;
}

/* rmdir of a cgroup, after all of its children, however deep the container has nested them: on foot, so that neither
 * stack nor descriptors set a bound. -EBUSY where there are processes; 0 also where it has gone. */
static int remove_tree(const char *path)
{
	cleanup_close int here = -1;
	char name[NAME_MAX + 1];
	size_t depth = 0;
	bool came_up = false; /* from a child without children, so that it has processes if it stays */

	if (rmdir(path) == 0 || errno == ENOENT)
		return 0;
	here = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	for (;;) {
		bool down = first_child(here, name);
		int next;

		if (down && (unlinkat(here, name, AT_REMOVEDIR) == 0 || errno == ENOENT)) {
			came_up = false;
			continue;
		}
		if (down && came_up)
			return -errno;
		if (!down && depth == 0)
			break;
		next = openat(here, down ? name : "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -EBUSY; /* it goes at this moment */
		close(here);
		here = next;
		depth += down ? 1 : (size_t)-1;
		came_up = !down;
	}
	return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int remove_alone(const char *path)
{
	return rmdir(path) < 0 ? -errno : 0;
}

static int remove_everywhere(const struct cgroup *cgroup, int (*remove)(const char *path))
{
	char path[PATH_MAX];
	int status = 0;

	for (size_t i = 0; i < cgroup->tree->hierarchy_count; i++) {
		int removed;

		snprintf(path, sizeof(path), "%s%s", cgroup->tree->hierarchies[i].mount, cgroup->path);
		removed = remove(path);
		status = removed < 0 ? removed : status;
	}
	return status;
}

int cgroup_remove_empty(const struct cgroup *cgroup)
{
	return remove_everywhere(cgroup, remove_alone);
}

int cgroup_remove(const struct cgroup *cgroup, int timeout, struct error *error)
{
	int64_t end = now_milliseconds() + timeout;

	for (;;) {
		pid_t pids[WATCHED_MAX];
		size_t count = WATCHED_MAX;
		int64_t left;
		int status = remove_everywhere(cgroup, remove_tree);

		if (status == 0)
			return 0;
		left = end - now_milliseconds();
		if (status != -EBUSY || left <= 0)
			return error_errno(error, -status, "remove the cgroup %s", cgroup->path);
		cgroup_signal_all(cgroup, SIGKILL, NULL);
		if (cgroup_processes(cgroup, pids, &count, error) < 0)
			return -EIO;
		await_ends(pids, count < WATCHED_MAX ? count : WATCHED_MAX, left);
	}
}
