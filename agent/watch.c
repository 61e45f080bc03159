/* The list is the agent's; the child works on the copy of it that it is born with. */
#define LOG_SUBSYSTEM "watcher"
#include "agent/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/storage/mirror.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/fd.h"
#include "lib/log.h"

#define DRIVER "watchable-bind"
#define INTERVAL 2 /* seconds */
#define TRIES 3	   /* in a row, at a source that is being changed */

/* The child ------------------------------------------------------------------------------------------------------ */

/* What was too large for a copy is a mount of its own. */
static bool is_copy(const char *target)
{
	char folder[512];
	struct stat own, above;
	const char *slash = strrchr(target, '/');

	if (!slash || (size_t)(slash - target) >= sizeof(folder))
		return false;
	memcpy(folder, target, (size_t)(slash - target));
	folder[slash - target] = '\0';
	return lstat(target, &own) == 0 && lstat(folder, &above) == 0 && own.st_dev == above.st_dev;
}

/* A source that fails does so every time: it is told once. */
static void look_at(const struct watched *watched, bool *failed)
{
	struct error error;
	int status = 1;

	if (!is_copy(watched->target))
		return;
	for (int tries = 0; tries < TRIES && status == 1; tries++)
		status = mirror(watched->source, watched->target, &error);
	if (status < 0 && !*failed)
		log_warning("%s", error.text);
	*failed = status < 0;
}

static _Noreturn void child(const struct watcher *watcher)
{
	const struct timespec interval = {.tv_sec = INTERVAL};
	size_t count = 0;
	bool *failed;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "nacre-watcher");
	fd_close_others(3, NULL, 0);
	for (const struct watched *watched = watcher->list; watched; watched = watched->next)
		count++;
	failed = calloc(count, sizeof(*failed));
	while (failed) {
		size_t i = 0;

		nanosleep(&interval, NULL);
		for (const struct watched *watched = watcher->list; watched; watched = watched->next)
			look_at(watched, &failed[i++]);
	}
	_exit(1);
}

/* The agent ------------------------------------------------------------------------------------------------------ */

static void start(struct watcher *watcher);

/* As it has been told to, or not: where there is something to be watched, another one does. */
static void ended(struct loop_source *source, uint32_t events)
{
	struct watcher *watcher = container_of(source, struct watcher, source);

	(void)events;
	if (waitpid(watcher->pid, NULL, WNOHANG) != watcher->pid)
		return;
	loop_remove(watcher->loop, &watcher->source);
	fd_close(&watcher->pidfd);
	watcher->pid = 0;
	start(watcher);
}

static void start(struct watcher *watcher)
{
	pid_t pid;

	if (!watcher->list)
		return;
	pid = fork();
	if (pid == 0)
		child(watcher);
	watcher->pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (watcher->pidfd >= 0 && loop_add(watcher->loop, &watcher->source, watcher->pidfd, EPOLLIN, ended) == 0) {
		watcher->pid = pid;
		return;
	}
	log_error("start the watcher of mounts: %s", strerror(errno));
	fd_close(&watcher->pidfd);
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		waitpid(pid, NULL, 0);
}

/* The list has changed: one that is at work is of the old list, and goes before the next one comes. */
static void renew(struct watcher *watcher)
{
	if (watcher->pid > 0)
		kill(watcher->pid, SIGKILL);
	else
		start(watcher);
}

static void free_watched(struct watched *watched)
{
	free(watched->container);
	free(watched->source);
	free(watched->target);
	free(watched);
}

/* True where there was one. */
static bool forget(struct watcher *watcher, const char *container)
{
	struct watched **link = &watcher->list;
	bool found = false;

	while (*link) {
		struct watched *watched = *link;

		if (strcmp(watched->container, container) != 0) {
			link = &watched->next;
			continue;
		}
		*link = watched->next;
		free_watched(watched);
		found = true;
	}
	return found;
}

static int add_one(struct watcher *watcher, const char *container, const Grpc__Storage *storage)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return -ENOMEM;
	watched->container = strdup(container);
	watched->source = strdup(storage->source);
	watched->target = strdup(storage->mount_point);
	if (!watched->container || !watched->source || !watched->target) {
		free_watched(watched);
		return -ENOMEM;
	}
	watched->next = watcher->list;
	watcher->list = watched;
	return 0;
}

int watcher_add(struct watcher *watcher, struct loop *loop, const char *container, Grpc__Storage **storages, size_t count)
{
	const struct watched *before = watcher->list;
	int status = 0;

	watcher->loop = loop;
	for (size_t i = 0; i < count && status == 0; i++)
		if (strcmp(storages[i]->driver, DRIVER) == 0)
			status = add_one(watcher, container, storages[i]);
	if (status < 0)
		forget(watcher, container);
	else if (watcher->list != before)
		renew(watcher);
	return status;
}

void watcher_remove(struct watcher *watcher, const char *container)
{
	if (forget(watcher, container))
		renew(watcher);
}
