/* fork, exec, and a wait for the end of the process: not for that of its output, which others may hold open. */
#include "lib/run_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"

/* What is kept of the output; the rest is read and forgotten. */
struct output {
	int pipe;
	char text[256];
	size_t used;
};

static _Noreturn void execute(const struct program *program, int pipe)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	/* A job that is cancelled takes it along. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(program->input < 0 ? null : program->input, STDIN_FILENO);
	dup2(program->output < 0 ? pipe : program->output, STDOUT_FILENO);
	dup2(pipe, STDERR_FILENO);
	execve(program->path, program->arguments, program->environment ? program->environment : environ);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(126);
}

static void read_output(struct output *output)
{
	char text[512];
	ssize_t count;

	while ((count = read(output->pipe, text, sizeof(text))) > 0) {
		size_t room = sizeof(output->text) - 1 - output->used;
		size_t kept = (size_t)count < room ? (size_t)count : room;

		memcpy(output->text + output->used, text, kept);
		output->used += kept;
	}
	/* Closed, or not to be read: not to be polled either. */
	if (count == 0 || errno != EAGAIN)
		fd_close(&output->pipe);
}

/* False where the time is over. */
static bool wait_for(int process, struct output *output, uint64_t timeout)
{
	uint64_t deadline = loop_now() + timeout, now;

	while ((now = loop_now()) < deadline) {
		struct pollfd waiting[] = {{.fd = process, .events = POLLIN}, {.fd = output->pipe, .events = POLLIN}};

		poll(waiting, array_size(waiting), (int)((deadline - now) / LOOP_MILLISECOND) + 1);
		if (waiting[1].revents)
			read_output(output);
		if (waiting[0].revents)
			return true;
	}
	return false;
}

/* What was printed as one line: the lines with something in them, one after the other. */
static void join_lines(char *text)
{
	char *to = text;

	for (const char *from = text; *from;) {
		size_t length = strcspn(from, "\r\n");

		if (length > 0 && to > text)
			*to++ = ' ';
		memmove(to, from, length);
		to += length;
		from += length + strspn(from + length, "\r\n");
	}
	*to = '\0';
}

static int judge(const char *program, int status, struct output *output, struct error *error)
{
	join_lines(output->text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return error_set(error, EIO, "%s was killed by signal %d", program, WTERMSIG(status));
	if (*output->text)
		return error_set(error, EIO, "%s: %s", program, output->text);
	return error_set(error, EIO, "%s ended with status %d", program, WEXITSTATUS(status));
}

int run_program(char *const arguments[], uint64_t timeout, struct error *error)
{
	return run_program_on(arguments, -1, -1, timeout, error);
}

int run_program_on(char *const arguments[], int input, int output, uint64_t timeout, struct error *error)
{
	const struct program program = {
		.path = arguments[0],
		.arguments = arguments,
		.input = input,
		.output = output,
		.timeout = timeout,
	};

	return run_program_as(&program, error);
}

int run_program_as(const struct program *program, struct error *error)
{
	cleanup_close int process = -1, theirs = -1;
	struct output output = {.pipe = -1};
	int ends[2], status = 0;
	bool ended;
	pid_t pid;

	if (access(program->path, X_OK) < 0)
		return error_errno(error, errno, "%s", program->path);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, errno, "make a pipe");
	output.pipe = ends[0];
	theirs = ends[1];
	fd_set_blocking(output.pipe, false);
	/* No handlers of pthread_atfork(3): they are in memory that a container's process hasn't any more. */
	pid = _Fork();
	if (pid == 0)
		execute(program, theirs);
	if (pid > 0)
		process = (int)syscall(SYS_pidfd_open, pid, 0);
	status = pid < 0 || process < 0 ? -errno : 0;
	/* A group of its own, here too as the child may not have come to it: what it has started ends with it. */
	if (pid > 0)
		setpgid(pid, pid);
	fd_close(&theirs);
	ended = status == 0 && wait_for(process, &output, program->timeout);
	if (pid > 0 && !ended)
		kill(-pid, SIGKILL);
	if (ended && output.pipe >= 0)
		read_output(&output);
	fd_close(&output.pipe);
	if (status < 0 && pid < 0)
		return error_errno(error, -status, "run %s", program->path);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		return error_set(error, ETIMEDOUT, "%s took longer than %u s", program->path,
				 (unsigned)(program->timeout / LOOP_SECOND));
	return judge(program->path, status, &output, error);
}
