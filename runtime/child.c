/* fork, exec, pidfd. */
#include "runtime/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

/* What all of them are. */
static bool settle(int input, int output, pid_t parent)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before that took effect */
		_exit(EXIT_FAILURE);
	setsid();
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return null >= 0 && dup2(input >= 0 ? input : null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
	       dup2(output, STDERR_FILENO) >= 0;
}

static void become(char *const argv[], int input, int output, int report, pid_t parent)
{
	int number;

	if (settle(input, output, parent))
		execvp(argv[0], argv);
	number = errno;
	if (write(report, &number, sizeof(number)) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

static int open_pidfd(struct child *child, struct error *error)
{
	int number;

	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd >= 0)
		return 0;
	number = errno;
	child_kill(child);
	return error_errno(error, number, "pidfd_open");
}

int child_start_reading(struct child *child, char *const argv[], int input, int output, struct error *error)
{
	cleanup_close int reader = -1, writer = -1;
	pid_t parent = getpid();
	int pipe[2], number;

	*child = (struct child){.pidfd = -1};
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return error_errno(error, errno, "pipe");
	reader = pipe[0];
	writer = pipe[1];
	child->pid = fork();
	if (child->pid < 0) {
		child->pid = 0;
		return error_errno(error, errno, "fork");
	}
	if (child->pid == 0)
		become(argv, input, output, writer, parent);
	fd_close(&writer);
	/* The end of file is the exec: it closes the child's end. */
	if (fd_read_all(reader, &number, sizeof(number)) == (ssize_t)sizeof(number)) {
		child_reap(child);
		return error_errno(error, number, "run %s", argv[0]);
	}
	return open_pidfd(child, error);
}

int child_start(struct child *child, char *const argv[], int output, struct error *error)
{
	return child_start_reading(child, argv, -1, output, error);
}

int child_start_function(struct child *child, int (*function)(void *data), void *data, int output,
			 struct error *error)
{
	pid_t parent = getpid();

	*child = (struct child){.pidfd = -1};
	child->pid = fork();
	if (child->pid < 0) {
		child->pid = 0;
		return error_errno(error, errno, "fork");
	}
	if (child->pid == 0)
		_exit(settle(-1, output, parent) ? function(data) : EXIT_FAILURE);
	return open_pidfd(child, error);
}

int child_reap(struct child *child)
{
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(child->pid, &status, 0);
	} while (pid < 0 && errno == EINTR);
	child->pid = 0;
	fd_close(&child->pidfd);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void child_kill(struct child *child)
{
	if (child->pid == 0)
		return;
	kill(child->pid, SIGKILL); /* not reaped yet: the number is still its own */
	child_reap(child);
}

bool child_ended(const struct child *child, int milliseconds)
{
	struct pollfd poller = {.fd = child->pidfd, .events = POLLIN};

	return poll(&poller, 1, milliseconds) > 0;
}
