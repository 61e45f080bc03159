/* The terminal is opened by the caller, never waiting for a carrier, so that what is wrong with it can be said. */
#define LOG_SUBSYSTEM "init"
#include "init/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/shell.h"

pid_t shell_start(const char *device, struct error *error)
{
	cleanup_close int terminal = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	pid_t pid;

	if (terminal < 0)
		return error_errno(error, errno, "open %s for a shell", device);
	if (!isatty(terminal))
		return error_set(error, ENOTTY, "a shell on %s: it is no terminal", device);
	pid = fork();
	if (pid == 0)
		shell_become(terminal);
	return pid < 0 ? error_errno(error, errno, "start a shell") : pid;
}

/* Reaps whoever has ended; true where the shell was among them. */
static bool shell_ended(pid_t shell, int *status)
{
	bool found = false;
	int other;
	pid_t pid;

	while (!found && (pid = waitpid(-1, &other, WNOHANG | __WALL)) > 0)
		found = pid == shell;
	*status = found && WIFEXITED(other) ? WEXITSTATUS(other) : 0;
	return found;
}

void shell_rescue(void)
{
	struct error error;
	pid_t shell;
	int status;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	shell = shell_start("/dev/console", &error);
	if (shell < 0) {
		log_error("%s", error.text);
		return;
	}
	log_error("a rescue shell: the guest ends when it does");
	while (!shell_ended(shell, &status))
		if (sigwaitinfo(&signals, NULL) != SIGCHLD)
			return;
	if (status == SHELL_UNAVAILABLE)
		log_error("there is no shell in this image");
}
