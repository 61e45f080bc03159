/* The agent's side of a launch: clones the helper, and reads what it reports. Nothing here blocks. */
#include "agent/container/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "agent/container/report.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

/* Signals stay blocked until the helper has put the agent's handlers away. */
static pid_t clone_helper(const struct launch_options *options, bool direct, int *pidfd)
{
	unsigned long flags = (options->own_child ? SIGCHLD : CLONE_PARENT) | (direct ? CLONE_NEWPID : 0);
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = kernel_clone(flags, pidfd);
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int launch_start(struct launch *launch, const struct plan *plan, const struct launch_options *options,
		 struct error *error)
{
	int sockets[2];

	*launch = (struct launch){
		.report_fd = -1,
		.exec = plan->exec,
		.own_pids = plan->namespaces[PLAN_PID].mode == PLAN_NAMESPACE_NEW,
		.own_users = plan->namespaces[PLAN_USER].mode == PLAN_NAMESPACE_NEW,
		.terminal_due = plan->process.terminal,
		.direct = helper_is_workload(plan),
		.helper_pidfd = -1,
		.pidfd = -1,
		.pid_namespace = -1,
		.procfs = -1,
		.terminal = -1,
		.seccomp_listener = -1,
	};
	helper_learn_signals();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return error_errno(error, errno, "make a socket for the helper");
	launch->helper_pid = clone_helper(options, launch->direct, &launch->helper_pidfd);
	if (launch->helper_pid == 0)
		helper_main(plan, sockets[1], options->stdio);
	close(sockets[1]);
	if (launch->helper_pid < 0) {
		close(sockets[0]);
		return error_errno(error, errno, "make a helper process");
	}
	launch->report_fd = sockets[0];
	fd_set_blocking(launch->report_fd, false);
	return 0;
}

static int end(struct launch *launch, enum launch_event event)
{
	launch->over = true;
	return event;
}

/* A failure in our own words: the helper could not give one. */
static int fail(struct launch *launch, const char *reason)
{
	error_set(&launch->failure, EIO, "%s", reason);
	launch->failure_class = LAUNCH_OTHER;
	return end(launch, LAUNCH_FAILED);
}

/* One line, printable: it may have been written by the container. */
static int take_failure(struct launch *launch, struct report *report)
{
	int number = report->failure_number;

	report->text[sizeof(report->text) - 1] = '\0';
	for (char *byte = report->text; *byte; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			*byte = '?';
	error_set(&launch->failure, number > 0 && number < 4096 ? number : EIO, "%s", report->text);
	launch->failure_class = report->failure_class <= LAUNCH_CGROUP_USED ? report->failure_class : LAUNCH_OTHER;
	return end(launch, LAUNCH_FAILED);
}

static int keep_fd(int *slot, int fds[], size_t index)
{
	if (*slot >= 0)
		return -EPROTO;
	*slot = take_fd(&fds[index]);
	return 0;
}

/* Once, and only where one was asked for: its caller makes streams of it. */
static int take_terminal(struct launch *launch, int fds[], size_t count)
{
	if (count != 1 || !launch->terminal_due)
		return -EPROTO;
	launch->terminal_due = false;
	return keep_fd(&launch->terminal, fds, 0);
}

/* The helper is the process: what it says of itself is only that it is. */
static int take_helper(struct launch *launch, int fds[], size_t count)
{
	if (launch->pid != 0 || count > 1)
		return -EPROTO;
	launch->pid = launch->helper_pid;
	launch->pidfd = fcntl(launch->helper_pidfd, F_DUPFD_CLOEXEC, 3);
	if (launch->pidfd < 0)
		return -EPROTO;
	return count > 0 ? keep_fd(&launch->pid_namespace, fds, 0) : 0;
}

static int take_process(struct launch *launch, const struct report *report, int fds[], size_t count)
{
	if (launch->pid != 0 || report->pid <= 0 || count < 1 || count > REPORT_PROCESS_FDS)
		return -EPROTO;
	launch->pid = report->pid;
	if (count > REPORT_PID_NAMESPACE)
		keep_fd(&launch->pid_namespace, fds, REPORT_PID_NAMESPACE);
	return keep_fd(&launch->pidfd, fds, REPORT_PIDFD);
}

/* 0 for what the caller isn't told, an event, or -EPROTO. */
static int take_report(struct launch *launch, struct report *report, int fds[], size_t count)
{
	int status;

	switch (report->type) {
	case LAUNCH_PROCESS:
		status = launch->direct ? take_helper(launch, fds, count) : take_process(launch, report, fds, count);
		return status < 0 ? status : LAUNCH_PROCESS;
	case REPORT_PROCFS:
		return count == 1 ? keep_fd(&launch->procfs, fds, 0) : -EPROTO;
	case LAUNCH_TERMINAL:
		status = take_terminal(launch, fds, count);
		return status < 0 ? status : LAUNCH_TERMINAL;
	case LAUNCH_LISTENER:
		status = count == 1 ? keep_fd(&launch->seccomp_listener, fds, 0) : -EPROTO;
		return status < 0 ? status : LAUNCH_LISTENER;
	case LAUNCH_ASSEMBLED:
		if (count > 0 || launch->assembled || launch->ready)
			return -EPROTO;
		launch->assembled = true;
		return LAUNCH_ASSEMBLED;
	case LAUNCH_READY:
		if (count > 0 || launch->ready || launch->pid == 0)
			return -EPROTO;
		launch->ready = true;
		return LAUNCH_READY;
	case LAUNCH_FAILED:
		return count == 0 ? take_failure(launch, report) : -EPROTO;
	default:
		return -EPROTO;
	}
}

static int receive_one(struct launch *launch)
{
	struct report report;
	int fds[REPORT_PROCESS_FDS] = {-1, -1};
	size_t count = array_size(fds);
	ssize_t length = fd_receive(launch->report_fd, &report, sizeof(report), fds, &count);
	int event;

	if (length == -EAGAIN)
		return -EAGAIN;
	/* The socket is closed by execve, or by the end of everybody who had it, maybe with the word to go on unread. */
	if (length == -ECONNRESET)
		length = 0;
	if (length == 0 && launch->ready)
		return end(launch, LAUNCH_EXECED);
	if (length == 0)
		return fail(launch, "the container's process has died while it was set up");
	event = length == sizeof(report) ? take_report(launch, &report, fds, count) : -EPROTO;
	for (size_t i = 0; i < count; i++)
		fd_close(&fds[i]);
	return event == -EPROTO ? fail(launch, "the container's process reports nonsense") : event;
}

int launch_receive(struct launch *launch)
{
	int event = 0;

	while (event == 0)
		event = launch->over ? -EAGAIN : receive_one(launch);
	return event;
}

static int send_word(const struct launch *launch)
{
	return send(launch->report_fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -EPIPE;
}

struct hooks_target launch_hooks_target(const struct launch *launch)
{
	return (struct hooks_target){
		.pid = launch->own_pids ? launch->pid : launch->helper_pid,
		.own_pids = launch->own_pids,
		.own_users = launch->own_users,
	};
}

int launch_go_on(struct launch *launch)
{
	return send_word(launch);
}

int launch_release(struct launch *launch)
{
	int status = send_word(launch);

	launch->released = status == 0;
	return status;
}

void launch_destroy(struct launch *launch)
{
	if (!launch->ready)
		kernel_pidfd_send_signal(launch->helper_pidfd, SIGKILL);
	if (!launch->released && launch->pidfd >= 0)
		kernel_pidfd_send_signal(launch->pidfd, SIGKILL);
	fd_close(&launch->report_fd);
	fd_close(&launch->helper_pidfd);
	fd_close(&launch->pidfd);
	fd_close(&launch->pid_namespace);
	fd_close(&launch->procfs);
	fd_close(&launch->terminal);
	fd_close(&launch->seccomp_listener);
	launch->over = true;
}

int launch_keep_procfs(struct launch *launch, const char *path, struct error *error)
{
	cleanup_close int target = -1;

	if (launch->procfs < 0)
		return error_set(error, ENOENT, "the launch has no procfs");
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make %s", path);
	target = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || kernel_move_mount(launch->procfs, target) < 0)
		return error_errno(error, errno, "mount the shared procfs at %s", path);
	fd_close(&launch->procfs);
	return 0;
}
