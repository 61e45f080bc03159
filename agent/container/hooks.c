/* Running hooks. */
#include "agent/container/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/match.h"
#include "lib/path.h"
#include "lib/run_program.h"

/* For all of the folder's, together, so that what waits for them has an end; each has a spec's default. */
#define FOLDER_TIME (60 * LOOP_SECOND)
#define FOLDER_TIMEOUT (10 * LOOP_SECOND)
#define STATUS_SIZE 80

/* A hook's point in the container's life. */
struct point {
	const char *name;
	const char *status; /* of the container, as OCI calls it */
	bool folder;	    /* the guest's own folder may have some of this kind */
	bool inside;	    /* the programs are the container's, run with its rights */
};

static const struct point points[HOOK_KINDS] = {
	[HOOK_PRESTART] = {"prestart", "creating", true, false},
	[HOOK_CREATE_RUNTIME] = {"createRuntime", "creating", false, false},
	[HOOK_CREATE_CONTAINER] = {"createContainer", "creating", false, false},
	[HOOK_START_CONTAINER] = {"startContainer", "created", false, true},
	[HOOK_POSTSTART] = {"poststart", "running", true, false},
	[HOOK_POSTSTOP] = {"poststop", "stopped", true, false},
};

uint64_t hooks_time(const struct hooks *hooks, enum hook_kind first, enum hook_kind last)
{
	uint64_t time = 0;

	for (unsigned kind = first; kind <= last; kind++) {
		for (size_t i = 0; i < hooks->counts[kind]; i++)
			time += hooks->lists[kind][i].timeout;
		if (hooks->folder && points[kind].folder)
			time += FOLDER_TIME;
	}
	return time;
}

/* The state as a file at its start, so that nobody has to write while a hook reads, or doesn't. 0 is no pid. */
static int open_state(const struct hooks *hooks, const char *status, pid_t pid, struct error *error)
{
	cleanup_close int file = (int)syscall(SYS_memfd_create, "state", 1U /* MFD_CLOEXEC */);
	char rest[STATUS_SIZE];
	int length = snprintf(rest, sizeof(rest), ",\"status\":\"%s\"", status);
	int written = file < 0 ? -errno : fd_write_all(file, hooks->state, strlen(hooks->state));

	if (pid > 0)
		length += snprintf(rest + length, sizeof(rest) - (size_t)length, ",\"pid\":%d", pid);
	length += snprintf(rest + length, sizeof(rest) - (size_t)length, "}\n");
	if (written == 0)
		written = fd_write_all(file, rest, (size_t)length);
	if (written == 0 && lseek(file, 0, SEEK_SET) < 0)
		written = -errno;
	return written < 0 ? error_errno(error, -written, "write the state for a hook") : take_fd(&file);
}

/* A program of the guest's image, or of whoever has made it: nothing that a container could have put there. */
static int check_origin(const char *barred, const char *path, struct error *error)
{
	cleanup_close int file = open(path, O_PATH | O_CLOEXEC);
	char name[PATH_OF_FD_SIZE], real[PATH_MAX];
	struct stat status;
	ssize_t length = file < 0 ? -1 : readlink(path_of_fd(name, file), real, sizeof(real) - 1);
	size_t prefix = strlen(barred);

	if (length < 0 || fstat(file, &status) < 0)
		return error_errno(error, errno, "%s", path);
	real[length] = '\0';
	if (strncmp(real, barred, prefix) == 0 && (real[prefix] == '/' || real[prefix] == '\0'))
		return error_set(error, EPERM, "%s is below %s, and so not the guest's own", path, barred);
	if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)))
		return error_set(error, EPERM, "%s can be changed by others than root", path);
	return 0;
}

static int run_hook(const struct hooks *hooks, const struct hook *hook, const struct point *point, pid_t pid,
		    struct error *error)
{
	int status = 0;

	if (hooks->barred && !point->inside)
		status = check_origin(hooks->barred, hook->path, error);
	if (status == 0) {
		cleanup_close int state = open_state(hooks, point->status, pid, error);
		const struct program program = {
			.path = hook->path,
			.arguments = hook->arguments,
			.environment = hook->environment,
			.input = state,
			.output = -1,
			.timeout = hook->timeout,
		};

		status = state < 0 ? state : run_program_as(&program, error);
	}
	if (status == 0)
		return 0;
	/* Whatever errno the hook met, it doesn't say what is wrong with the container's own command. */
	error_wrap(error, "%s hook", point->name);
	error->number = EIO;
	return -EIO;
}

struct folder_run {
	const struct hooks *hooks;
	const struct point *point;
	pid_t pid;
	struct error *error;
	hooks_failed *failed;
};

/* One entry of the guest's own folder: a regular file, no link, that can be executed by somebody. */
static int run_found(const char *path, void *data)
{
	const struct folder_run *run = data;
	char *arguments[] = {strrchr(path, '/') + 1, (char *)run->point->name, NULL};
	char *environment[] = {NULL};
	const struct hook hook = {path, arguments, environment, FOLDER_TIMEOUT};
	struct stat status;
	int result;

	if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode) || !(status.st_mode & 0111))
		return 0;
	result = run_hook(run->hooks, &hook, run->point, run->pid, run->error);
	if (result < 0 && run->failed) {
		run->failed(run->hooks, run->error);
		return 0;
	}
	return result;
}

/* Without `failed` the first failure is the end. */
static int run_kind(const struct hooks *hooks, enum hook_kind kind, pid_t pid, struct error *error, hooks_failed *failed)
{
	const struct point *point = &points[kind];
	struct folder_run run = {hooks, point, pid, error, failed};
	char pattern[PATH_MAX];
	int status = 0;

	for (size_t i = 0; i < hooks->counts[kind] && status == 0; i++) {
		status = run_hook(hooks, &hooks->lists[kind][i], point, pid, error);
		if (status < 0 && failed) {
			failed(hooks, error);
			status = 0;
		}
	}
	if (status < 0 || !hooks->folder || !point->folder)
		return status;
	snprintf(pattern, sizeof(pattern), "%s/%s/*", hooks->folder, point->name);
	return match_each(pattern, run_found, &run);
}

/* Goes where the container's process is, in front of its own root. */
static int enter(const struct hooks_target *target, struct error *error)
{
	int kinds = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWNS;

	if (target->own_pids)
		kinds |= CLONE_NEWPID;
	if (target->own_users)
		kinds |= CLONE_NEWUSER;
	if (setns(target->pidfd, kinds) < 0)
		return error_errno(error, errno, "join the container's namespaces for its hooks");
	if (target->own_users && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
		return error_errno(error, errno, "become root in the container's user namespace");
	return 0;
}

int hooks_run_creation(const struct hooks *hooks, const struct hooks_target *target, struct error *error)
{
	int status = run_kind(hooks, HOOK_PRESTART, target->pid, error, NULL);

	if (status == 0)
		status = run_kind(hooks, HOOK_CREATE_RUNTIME, target->pid, error, NULL);
	if (status < 0 || hooks->counts[HOOK_CREATE_CONTAINER] == 0)
		return status;
	status = enter(target, error);
	/* Where the pid namespace isn't its own, the container's process isn't made yet. */
	return status < 0 ? status : run_kind(hooks, HOOK_CREATE_CONTAINER, target->own_pids ? 1 : 0, error, NULL);
}

int hooks_run_start(const struct hooks *hooks, struct error *error)
{
	return run_kind(hooks, HOOK_START_CONTAINER, getpid(), error, NULL);
}

void hooks_run_each(const struct hooks *hooks, enum hook_kind kind, pid_t pid, hooks_failed *failed)
{
	struct error error;

	run_kind(hooks, kind, pid, &error, failed);
}
