/* Looking at zombies, reaping them, and the end of all children. */
#include "init/reaper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/loop.h"

#define KILLING (5 * LOOP_SECOND)
#define CHILDREN_MOST 4096 /* signalled in one go */

static int exit_status(const siginfo_t *info)
{
	return info->si_code == CLD_EXITED ? info->si_status & 0xff : 128 + info->si_status;
}

bool reaper_next(const struct reaper *reaper, const pid_t own[REAPER_OWN], pid_t *pid, int *status)
{
	siginfo_t info = {.si_pid = 0};

	if (reaper->reported != 0)
		return false;
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 || info.si_pid == 0)
		return false;
	*pid = info.si_pid;
	*status = exit_status(&info);
	/* Ours have a signal pending, and are looked for before the next call. */
	for (size_t i = 0; i < REAPER_OWN; i++)
		if (*pid == own[i])
			return false;
	return true;
}

void reaper_reported(struct reaper *reaper, pid_t pid)
{
	reaper->reported = pid;
}

bool reaper_ended(pid_t pid, int *status)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | __WALL) < 0 || info.si_pid == 0)
		return false;
	*status = exit_status(&info);
	return true;
}

void reaper_acknowledge(struct reaper *reaper, pid_t pid)
{
	int status;

	if (pid == 0 || pid != reaper->reported)
		return;
	reaper_ended(pid, &status);
	reaper->reported = 0;
}

void reaper_forget(struct reaper *reaper)
{
	reaper->reported = 0;
}

/* The parent of a process, 0 where it can't be read. */
static pid_t parent_of(int proc, const char *pid)
{
	char path[NAME_MAX + sizeof("/stat")], text[512];
	const char *end;

	snprintf(path, sizeof(path), "%s/stat", pid);
	if (fd_read_file(proc, path, text, sizeof(text), NULL) < 0)
		return 0;
	end = strrchr(text, ')'); /* "PID (NAME) STATE PARENT ...", and the name may hold anything */
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

/* All are found before any is sent something: whose parent ends meanwhile becomes our child, and isn't meant. */
static void signal_children(int signal)
{
	DIR *proc = opendir("/proc");
	pid_t children[CHILDREN_MOST];
	size_t count = 0;

	if (!proc)
		return;
	for (struct dirent *entry = readdir(proc); entry && count < CHILDREN_MOST; entry = readdir(proc))
		if (*entry->d_name >= '1' && *entry->d_name <= '9' && parent_of(dirfd(proc), entry->d_name) == getpid())
			children[count++] = (pid_t)strtol(entry->d_name, NULL, 10);
	closedir(proc);
	while (count > 0)
		kill(children[--count], signal);
}

static void signal_all(bool everyone, int signal)
{
	if (everyone)
		kill(-1, signal);
	else
		signal_children(signal);
}

bool reaper_reap_all(void)
{
	siginfo_t info;

	do {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) < 0)
			return false;
	} while (info.si_pid != 0);
	return true;
}

void reaper_terminate_all(bool everyone)
{
	signal_all(everyone, SIGTERM);
}

void reaper_kill_all(bool everyone)
{
	uint64_t deadline = loop_now() + KILLING;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	while (loop_now() < deadline) {
		struct timespec pause = {.tv_nsec = 100 * LOOP_MILLISECOND};

		/* Again each time: what a killed process leaves behind becomes ours only now. */
		signal_all(everyone, SIGKILL);
		if (!reaper_reap_all())
			return;
		sigtimedwait(&signals, NULL, &pause);
	}
}
