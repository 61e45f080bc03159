/* The monitor, and how it is asked. */
#include "box/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/container/launch.h"
#include "box/box.h"
#include "box/container.h"
#include "box/listener.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define WAITERS_MAX 64
#define FREEZE_TIME 10000 /* milliseconds */

/* What goes back, for a creation as for a request. */
struct answer {
	int value;	    /* not negative, or -errno */
	int failure_status; /* where the command is what is wrong */
	char text[ERROR_TEXT_SIZE];
};

struct monitor {
	struct state *state;
	struct box_container container;
	struct launch launch;
	int signals;  /* a signalfd: SIGCHLD */
	int listener;
	int waiters[WAITERS_MAX];
	size_t waiter_count;
};

static int status_of(enum launch_class class)
{
	return class == LAUNCH_NOT_FOUND ? 127 : class == LAUNCH_PERMISSION ? 126 : 125;
}

static void send_answer(int socket, int value, int failure_status, const struct error *error)
{
	struct answer answer = {.value = value, .failure_status = failure_status};

	if (value < 0)
		snprintf(answer.text, sizeof(answer.text), "%s", error->text);
	/* Whoever has gone doesn't want it any more. */
	send(socket, &answer, sizeof(answer), MSG_NOSIGNAL);
}

static int receive_answer(int socket, int *failure_status, struct error *error)
{
	struct answer answer;
	ssize_t length = recv(socket, &answer, sizeof(answer), 0);

	if (length != sizeof(answer))
		return error_set(error, EIO, "the container's monitor has died");
	if (failure_status)
		*failure_status = answer.failure_status;
	return answer.value < 0 ? error_set(error, -answer.value, "%s", answer.text) : answer.value;
}

/* The end of the process --------------------------------------------------------------------------------------- */

static void save(struct monitor *monitor)
{
	struct error error;

	if (state_write(monitor->state, &error) < 0)
		box_warn(error.text);
}

static void process_ended(struct monitor *monitor, int status)
{
	struct state *state = monitor->state;

	state->exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	state->status = STATE_STOPPED;
	save(monitor);
	for (size_t i = 0; i < monitor->waiter_count; i++) {
		send_answer(monitor->waiters[i], state->exit_status, 0, NULL);
		close(monitor->waiters[i]);
	}
	monitor->waiter_count = 0;
}

static void reap(struct monitor *monitor)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(monitor->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == monitor->state->pid)
			process_ended(monitor, status);
}

/* Creation ----------------------------------------------------------------------------------------------------- */

/* The hooks enter the container's namespaces, so they are run by a child. */
static int run_creation_hooks(struct monitor *monitor, const struct plan *plan, struct error *error)
{
	const struct launch *launch = &monitor->launch;
	struct hooks_target target = launch_hooks_target(launch);
	struct error result = {0};
	int ends[2], status;
	pid_t child;

	target.pidfd = launch->own_pids ? launch->pidfd : launch->helper_pidfd;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, errno, "make a pipe");
	child = fork();
	if (child == 0) {
		hooks_run_creation(&plan->hooks, &target, &result);
		fd_write_all(ends[1], &result, sizeof(result));
		_exit(0);
	}
	close(ends[1]);
	status = fd_read_all(ends[0], &result, sizeof(result)) == sizeof(result) ? 0 : -EIO;
	close(ends[0]);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	if (status < 0)
		return error_set(error, EIO, "the process for hooks has died");
	if (result.number)
		*error = result;
	return -result.number;
}

static int send_terminal(struct monitor *monitor, int console, struct error *error)
{
	static const char name[] = "/dev/ptmx";
	int status = console < 0 ? -EINVAL : fd_send(console, name, sizeof(name), &monitor->launch.terminal, 1);

	fd_close(&monitor->launch.terminal);
	return status < 0 ? error_errno(error, -status, "pass the terminal on") : 0;
}

static int take_event(struct monitor *monitor, const struct plan *plan, const struct monitor_options *options, int event,
		      struct error *error)
{
	struct state *state = monitor->state;
	int status = 0;

	switch (event) {
	case LAUNCH_PROCESS:
		state->pid = monitor->launch.pid;
		state->began = state_process_began(state->pid);
		save(monitor);
		break;
	case LAUNCH_TERMINAL:
		status = send_terminal(monitor, options->console, error);
		break;
	case LAUNCH_ASSEMBLED:
		status = run_creation_hooks(monitor, plan, error);
		if (status == 0)
			launch_go_on(&monitor->launch); /* one that has died says so itself */
		break;
	case LAUNCH_FAILED:
		*error = monitor->launch.failure;
		status = -error->number;
		break;
	}
	return status;
}

/* One that others are in is theirs: undoing this creation would end them. */
static int check_cgroup(const struct monitor *monitor, struct error *error)
{
	size_t count = 0;
	int status = cgroup_processes(&monitor->container.cgroup, NULL, &count, error);

	if (status == 0 && count > 0)
		return error_set(error, EBUSY, "cgroup %s is in use", monitor->container.cgroup.path);
	return status;
}

static int launch_container(struct monitor *monitor, const struct monitor_options *options, struct error *error)
{
	const struct launch_options streams = {.stdio = {0, 1, 2}, .own_child = true};
	struct plan plan;
	int event, status;

	monitor->container.extras.process.preserved_fds = options->preserved_fds;
	status = box_container_plan(&monitor->container, monitor->state, &plan, error);

	if (status == 0 && plan.process.terminal && options->console < 0)
		status = error_set(error, EINVAL, "a terminal needs --console-socket");
	if (status == 0 && !plan.process.terminal && options->console >= 0)
		status = error_set(error, EINVAL, "--console-socket is for a process with a terminal");
	if (status == 0)
		status = check_cgroup(monitor, error);
	if (status == 0)
		status = launch_start(&monitor->launch, &plan, &streams, error);
	if (status < 0)
		return status;
	do {
		event = listener_next_event(&monitor->launch, monitor->state, error);
		status = event < 0 ? event : take_event(monitor, &plan, options, event, error);
	} while (status == 0 && event != LAUNCH_READY);
	return status;
}

/* Undoes a creation in which something has been launched. What is said is why it has failed. */
static void undo(struct monitor *monitor)
{
	struct hooks hooks;
	struct error error;

	launch_destroy(&monitor->launch);
	if (box_container_undo(&monitor->container, &error) < 0)
		box_warn(error.text);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	if (box_container_plan_hooks(&monitor->container, monitor->state, &hooks, &error) == 0)
		hooks_run_each(&hooks, HOOK_POSTSTOP, 0, box_hook_failed);
}

static int write_pid_file(const struct monitor *monitor, const char *path, struct error *error)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", monitor->state->pid);
	return path ? box_write_file(path, text, error) : 0;
}

static int listen_on(struct monitor *monitor, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};

	/* The name of a socket is short: from inside the folder. */
	if (chdir(monitor->state->folder) < 0)
		return error_errno(error, errno, "go to %s", monitor->state->folder);
	monitor->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (monitor->listener < 0 || bind(monitor->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(monitor->listener, WAITERS_MAX) < 0)
		return error_errno(error, errno, "listen for commands");
	return 0;
}

static int isolate(struct monitor *monitor, struct error *error)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	monitor->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	setsid();
	if (monitor->signals < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(error, errno, "make the monitor's namespace");
	return 0;
}

static int create(struct monitor *monitor, const struct monitor_options *options, struct error *error)
{
	char config[PATH_MAX + 16];
	int status = isolate(monitor, error);

	snprintf(config, sizeof(config), "%s/config.json", monitor->state->folder);
	if (status == 0)
		status = box_container_load(&monitor->container, monitor->state, config, error);
	if (status == 0)
		status = listen_on(monitor, error);
	if (status < 0)
		return status;
	snprintf(monitor->state->cgroup, sizeof(monitor->state->cgroup), "%s", monitor->container.cgroup.path);
	monitor->state->created = time(NULL);
	status = state_write(monitor->state, error);
	if (status < 0)
		return status;
	status = launch_container(monitor, options, error);
	if (status == 0)
		status = write_pid_file(monitor, options->pid_file, error);
	monitor->state->status = STATE_CREATED;
	if (status == 0)
		status = state_write(monitor->state, error);
	if (status < 0 && monitor->launch.helper_pid > 0)
		undo(monitor);
	return status;
}

/* Requests ----------------------------------------------------------------------------------------------------- */

static void run_start_hooks(struct monitor *monitor)
{
	struct hooks hooks;
	struct error error;

	if (box_container_plan_hooks(&monitor->container, monitor->state, &hooks, &error) < 0)
		box_warn(error.text);
	else
		hooks_run_each(&hooks, HOOK_POSTSTART, monitor->state->pid, box_hook_failed);
}

static int start(struct monitor *monitor, int *failure_status, struct error *error)
{
	struct state *state = monitor->state;
	int event;

	if (state->status != STATE_CREATED)
		return error_set(error, EINVAL, "container %s can't be started: it is %s", state->id,
				 state_status_name(state->status));
	if (launch_release(&monitor->launch) < 0)
		return error_set(error, ESRCH, "container %s can't be started: its process has gone", state->id);
	event = listener_next_event(&monitor->launch, state, error);
	if (event < 0) {
		/* It would go on without its listener. */
		kill(state->pid, SIGKILL);
		return event;
	}
	if (event == LAUNCH_FAILED) {
		*error = monitor->launch.failure;
		*failure_status = status_of(monitor->launch.failure_class);
		return -error->number;
	}
	state->status = STATE_RUNNING;
	save(monitor);
	run_start_hooks(monitor);
	return 0;
}

static int change_pause(struct monitor *monitor, bool pause, struct error *error)
{
	struct state *state = monitor->state;
	int status;

	if (pause ? state->status != STATE_CREATED && state->status != STATE_RUNNING : state->status != STATE_PAUSED)
		return error_set(error, EINVAL, "container %s is %s", state->id, state_status_name(state->status));
	status = pause ? cgroup_pause(&monitor->container.cgroup, FREEZE_TIME, error) :
			 cgroup_resume(&monitor->container.cgroup, error);
	if (status < 0)
		return status;
	state->status = pause ? STATE_PAUSED : monitor->launch.released ? STATE_RUNNING : STATE_CREATED;
	save(monitor);
	return 0;
}

/* Takes the connection over. False where the monitor is to end. */
static bool serve(struct monitor *monitor, int connection)
{
	struct error error = {0};
	char request = 0;
	int value, failure_status = 125;

	if (recv(connection, &request, 1, 0) != 1)
		request = 0;
	switch (request) {
	case MONITOR_START:
		value = start(monitor, &failure_status, &error);
		break;
	case MONITOR_PAUSE:
	case MONITOR_RESUME:
		value = change_pause(monitor, request == MONITOR_PAUSE, &error);
		break;
	case MONITOR_WAIT:
		value = monitor->state->exit_status;
		if (monitor->state->status == STATE_STOPPED)
			break;
		if (monitor->waiter_count < WAITERS_MAX) {
			monitor->waiters[monitor->waiter_count++] = connection;
			return true;
		}
		value = error_set(&error, EBUSY, "too many wait for container %s", monitor->state->id);
		break;
	case MONITOR_QUIT:
		if (monitor->state->status == STATE_STOPPED)
			return false;
		value = error_set(&error, EBUSY, "container %s is %s", monitor->state->id,
				  state_status_name(monitor->state->status));
		break;
	default:
		value = error_set(&error, EPROTO, "an unknown request");
	}
	send_answer(connection, value, failure_status, &error);
	close(connection);
	return true;
}

static void serve_all(struct monitor *monitor)
{
	struct pollfd waiting[] = {{.fd = monitor->signals, .events = POLLIN}, {.fd = monitor->listener, .events = POLLIN}};
	bool going_on = true;

	while (going_on) {
		poll(waiting, array_size(waiting), -1);
		/* The end of the process first: whoever asks is to hear of it. */
		reap(monitor);
		if (waiting[1].revents) {
			int connection = accept4(monitor->listener, NULL, NULL, SOCK_CLOEXEC);

			going_on = connection < 0 || serve(monitor, connection);
		}
	}
}

/* The container's own: whoever reads from them is to see their end. */
static void leave_streams(unsigned preserved_fds)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	for (unsigned i = 0; i < preserved_fds; i++)
		close(3 + (int)i);
	fd_close(&null);
}

static _Noreturn void monitor_main(struct state *state, const struct monitor_options *options, int result)
{
	struct monitor monitor = {.state = state, .listener = -1, .signals = -1};
	struct error error = {0};
	int status = create(&monitor, options, &error);
	int failure_status = status_of(monitor.launch.failure_class);

	send_answer(result, status, failure_status, &error);
	close(result);
	if (status < 0)
		_exit(1);
	leave_streams(options->preserved_fds);
	serve_all(&monitor);
	_exit(0);
}

/* From outside --------------------------------------------------------------------------------------------------- */

int monitor_start(struct state *state, const struct monitor_options *options, int *failure_status, struct error *error)
{
	int ends[2], status;
	pid_t pid;

	*failure_status = 125;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "make a socket");
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		monitor_main(state, options, ends[1]);
	}
	close(ends[1]);
	status = pid < 0 ? error_errno(error, errno, "make a monitor") : receive_answer(ends[0], failure_status, error);
	close(ends[0]);
	if (pid > 0 && status < 0)
		waitpid(pid, NULL, 0);
	return status;
}

int monitor_ask(const struct state *state, enum monitor_request request, int *failure_status, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_close int folder = open(state->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char word = (char)request;

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket", folder);
	if (folder < 0 || connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "reach the monitor of container %s", state->id);
	if (send(connection, &word, 1, MSG_NOSIGNAL) != 1)
		return error_errno(error, errno, "ask the monitor of container %s", state->id);
	if (request == MONITOR_QUIT) {
		/* Its end is the answer, unless it says why not. */
		struct answer answer;

		return recv(connection, &answer, sizeof(answer), 0) == sizeof(answer) ?
			       error_set(error, EBUSY, "%s", answer.text) :
			       0;
	}
	return receive_answer(connection, failure_status, error);
}
