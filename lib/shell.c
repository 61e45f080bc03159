/* The shells that the Kata agent looks for, in its order. */
#include "lib/shell.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/supervision.h"

/* As if by a login, and not as something that is to survive when memory is short. */
static void leave_supervisor(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	fd_write_file(AT_FDCWD, "/sys/fs/cgroup/cgroup.procs", "0", NULL);
	fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "0", NULL);
	unsetenv(SUPERVISION_ROLE);
	unsetenv(SUPERVISION_GUEST);
	setenv("HOME", "/root", 1);
	setenv("TERM", "vt102", 0);
	if (chdir("/root") < 0 && chdir("/") < 0)
		_exit(1);
}

_Noreturn void shell_become(int terminal)
{
	static const char *const shells[] = {"/run/kata-extensions/devkit/bin/devkit-sh", "/bin/bash", "/bin/sh"};

	leave_supervisor();
	/* The terminal may be that of another session, as the console can be. */
	setsid();
	ioctl(terminal, TIOCSCTTY, 1);
	fd_set_blocking(terminal, true);
	for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; standard++)
		dup2(terminal, standard);
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
	for (size_t i = 0; i < array_size(shells); i++)
		execl(shells[i], "-sh", NULL);
	_exit(SHELL_UNAVAILABLE);
}
