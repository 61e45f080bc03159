/* Jobs: fork, work, report, end. */
#include "agent/job.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

static void end_child(struct job *job)
{
	loop_timer_clear(job->loop, &job->deadline);
	loop_remove(job->loop, &job->source);
	fd_close(&job->report);
	kill(job->pid, SIGKILL);
	while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
		;
	job->pid = 0;
}

static void finish(struct job *job, struct job_result *result)
{
	end_child(job);
	job->done(job, result);
}

static void report_ready(struct loop_source *source, uint32_t events)
{
	struct job *job = container_of(source, struct job, source);
	struct job_result result = {0};
	ssize_t length;

	(void)events;
	result.fd_count = JOB_FDS_MAX;
	length = fd_receive(job->report, &result.error, sizeof(result.error), result.fds, &result.fd_count);
	if (length != (ssize_t)sizeof(result.error)) {
		while (length > 0 && result.fd_count > 0)
			close(result.fds[--result.fd_count]);
		error_set(&result.error, EIO, "%s: the job died", job->what);
		result.cut = true;
	}
	result.error.text[sizeof(result.error.text) - 1] = '\0';
	finish(job, &result);
}

static void deadline_passed(struct loop_timer *timer)
{
	struct job *job = container_of(timer, struct job, deadline);
	struct job_result result = {.cut = true};

	error_set(&result.error, ETIMEDOUT, "%s: not done in time", job->what);
	finish(job, &result);
}

static _Noreturn void child(int report, int (*work)(const void *argument, struct job_result *result),
			    const void *argument)
{
	struct job_result result = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* A connection that the agent closes meanwhile must not stay open here. */
	syscall(SYS_close_range, 3U, (unsigned)report - 1, 0);
	syscall(SYS_close_range, (unsigned)report + 1, ~0U, 0);
	signal(SIGPIPE, SIG_DFL);
	if (work(argument, &result) < 0 && result.error.number == 0)
		error_set(&result.error, EIO, "failed");
	fd_send(report, &result.error, sizeof(result.error), result.fds, result.fd_count);
	_exit(0);
}

int job_start(struct job *job, struct loop *loop, const char *what, uint64_t timeout,
	      int (*work)(const void *argument, struct job_result *result), const void *argument,
	      void (*done)(struct job *job, struct job_result *result), struct error *error)
{
	int ends[2], status;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "%s: socketpair", what);
	*job = (struct job){.loop = loop, .report = ends[0], .done = done, .what = what, .source.fd = -1};
	status = loop_add(loop, &job->source, ends[0], EPOLLIN, report_ready);
	if (status == 0) {
		pid = fork();
		/* `job` itself may be in a request's memory, which the child doesn't have. */
		if (pid == 0)
			child(ends[1], work, argument);
		status = pid < 0 ? -errno : 0;
	}
	close(ends[1]);
	if (status < 0) {
		loop_remove(loop, &job->source);
		close(ends[0]);
		return error_errno(error, -status, "%s: start a job", what);
	}
	job->pid = pid;
	loop_timer_set(loop, &job->deadline, timeout, deadline_passed);
	return 0;
}

void job_cancel(struct job *job)
{
	if (job->pid > 0)
		end_child(job);
}
