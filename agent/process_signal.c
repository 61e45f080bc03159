/* Signals to one process, by its pidfd. */
#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

int process_signal(struct process *process, int signal, struct error *error)
{
	if (process->pidfd < 0 || process->state == PROCESS_EXITED)
		return 0;
	if (syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0) < 0 && errno != ESRCH)
		return error_errno(error, errno, "send signal %d to %s", signal, process->exec_id);
	return 0;
}

/* Whether the process does anything about a signal: blocks, ignores or catches it (proc(5), SigBlk and fellows). */
static bool minds_signal(pid_t pid, int signal)
{
	static const char *const keys[] = {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"};
	char path[32], text[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) < 0)
		return true;
	for (size_t i = 0; i < array_size(keys); i++) {
		const char *found = strstr(text, keys[i]);

		if (found && strtoull(found + strlen(keys[i]), NULL, 16) >> (signal - 1) & 1)
			return true;
	}
	return false;
}

int process_terminate(struct process *process, struct error *error)
{
	bool first = process == process->container->init && process_alive(process);

	return process_signal(process, first && !minds_signal(process->pid, SIGTERM) ? SIGKILL : SIGTERM, error);
}
