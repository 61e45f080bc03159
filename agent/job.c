/* Jobs: fork, work, report, end. */
#include "agent/job.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

static void stop_watching(struct job *job)
{
	loop_timer_clear(job->loop, &job->deadline);
	loop_remove(job->loop, &job->source);
	fd_close(&job->report);
}

/* A child that was killed. Where it is in the middle of an I/O that nothing interrupts, it lives as long as that does. */
struct remains {
	struct loop *loop;
	struct loop_source source; /* a pidfd */
	pid_t pid;
};

static void ended(struct loop_source *source, uint32_t events)
{
	struct remains *remains = container_of(source, struct remains, source);
	int pidfd = source->fd;

	(void)events;
	if (waitpid(remains->pid, NULL, WNOHANG) == 0)
		return;
	loop_remove(remains->loop, source);
	close(pidfd);
	free(remains);
}

/* Waits for a killed child on the loop; without the memory for that, at once. */
static void bury(struct loop *loop, pid_t pid)
{
	struct remains *remains = calloc(1, sizeof(*remains));
	int pidfd = remains ? kernel_pidfd_open(pid) : -1;

	if (pidfd >= 0) {
		remains->loop = loop;
		remains->pid = pid;
		if (loop_add(loop, &remains->source, pidfd, EPOLLIN, ended) == 0)
			return;
		close(pidfd);
	}
	free(remains);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* A child of ours that hasn't been waited for yet keeps its pid. */
static bool lives(pid_t pid)
{
	siginfo_t info = {0};

	return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

bool job_idle(const struct job *job)
{
	return job->pid == 0 && !lives(job->killed);
}

/* The next job waits for it (job_start()), as it may undo what this one is about. One that waits itself has done nothing. */
static void kill_child(struct job *job)
{
	pid_t pid = job->pid;

	stop_watching(job);
	kill(pid, SIGKILL);
	if (!lives(job->killed))
		job->killed = pid;
	job->pid = 0;
	bury(job->loop, pid);
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
	/* It has reported, or died: it is about to end. */
	stop_watching(job);
	kill(job->pid, SIGKILL);
	while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
		;
	job->pid = 0;
	job->done(job, &result);
}

static void deadline_passed(struct loop_timer *timer)
{
	struct job *job = container_of(timer, struct job, deadline);
	struct job_result result = {.cut = true};

	/* It hasn't begun. */
	if (lives(job->killed)) {
		loop_timer_set(job->loop, &job->deadline, job->timeout, deadline_passed);
		return;
	}
	error_set(&result.error, ETIMEDOUT, "%s: not done in time", job->what);
	kill_child(job);
	job->done(job, &result);
}

static _Noreturn void child(int report, int before, int kept, int (*work)(const void *argument, struct job_result *result),
			    const void *argument)
{
	struct pollfd killed = {.fd = before, .events = POLLIN};
	struct job_result result = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (before >= 0 && poll(&killed, 1, -1) < 0 && errno == EINTR)
		;
	/* A connection that the agent closes meanwhile must not stay open here. */
	fd_close_others(3, (const int[]){report, kept}, 2);
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
	return job_start_keeping(job, loop, what, timeout, work, argument, -1, done, error);
}

int job_start_keeping(struct job *job, struct loop *loop, const char *what, uint64_t timeout,
		      int (*work)(const void *argument, struct job_result *result), const void *argument, int kept,
		      void (*done)(struct job *job, struct job_result *result), struct error *error)
{
	pid_t killed = lives(job->killed) ? job->killed : 0;
	cleanup_close int before = killed ? kernel_pidfd_open(killed) : -1;
	int ends[2], status;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "%s: socketpair", what);
	*job = (struct job){.loop = loop, .report = ends[0], .done = done, .what = what, .source.fd = -1,
			    .killed = killed, .timeout = timeout};
	status = loop_add(loop, &job->source, ends[0], EPOLLIN, report_ready);
	if (status == 0) {
		pid = fork();
		/* `job` itself may be in a request's memory, which the child doesn't have. */
		if (pid == 0)
			child(ends[1], before, kept, work, argument);
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
		kill_child(job);
}
