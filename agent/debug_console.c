/* The children, and what they do: fork, copy, wait. */
#define LOG_SUBSYSTEM "debug_console"
#include "agent/debug_console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/shell.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define CONSOLE "/dev/console"
#define PAUSE LOOP_SECOND /* between one shell on the console and the next */

/* Copying ------------------------------------------------------------------------------------------------------ */

/* One way of the two. */
struct flow {
	struct pollfd *from, *to;
	size_t start, end;
	char data[4096];
};

/* What has to be waited for. */
static void flow_want(struct flow *flow)
{
	if (flow->start < flow->end)
		flow->to->events |= POLLOUT;
	else
		flow->from->events |= POLLIN;
}

/* Takes in what is there and hands on what is taken, neither of which waits. False at the end. */
static bool flow_move(struct flow *flow)
{
	ssize_t count;

	if (flow->start == flow->end && flow->from->revents) {
		count = read(flow->from->fd, flow->data, sizeof(flow->data));
		if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		flow->start = 0;
		flow->end = count > 0 ? (size_t)count : 0;
	}
	if (flow->start == flow->end)
		return true;
	count = write(flow->to->fd, flow->data + flow->start, flow->end - flow->start);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR;
	flow->start += (size_t)count;
	return true;
}

/* Until the peer or the shell has ended, and in that case its last words have gone. */
static void copy(int connection, int master, int shell)
{
	struct pollfd waiting[] = {{.fd = connection}, {.fd = master}, {.fd = shell, .events = POLLIN}};
	struct flow in = {.from = &waiting[0], .to = &waiting[1]}, out = {.from = &waiting[1], .to = &waiting[0]};

	for (;;) {
		bool ended = waiting[2].fd < 0;

		waiting[0].events = waiting[1].events = 0;
		flow_want(&in);
		flow_want(&out);
		/* A terminal that nothing is wanted of may be hung up, which would be said again and again. */
		waiting[1].fd = waiting[1].events ? master : -1;
		if (poll(waiting, array_size(waiting), ended && out.start == out.end ? 0 : -1) < 0 && errno != EINTR)
			return;
		if (waiting[0].revents & (POLLHUP | POLLERR))
			return;
		if (ended && out.start == out.end && !(waiting[1].revents & POLLIN))
			return;
		if (waiting[2].revents)
			waiting[2].fd = -1;
		if (!flow_move(&in) || !flow_move(&out))
			return;
	}
}

/* The children ------------------------------------------------------------------------------------------------- */

/* Opens a terminal: `*slave` is the shell's end. 0 or -errno. */
static int open_terminal(int *master, int *slave)
{
	int locked = 0;

	*master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (*master < 0 || ioctl(*master, TIOCSPTLCK, &locked) < 0)
		return -errno;
	*slave = ioctl(*master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return *slave < 0 ? -errno : 0;
}

static _Noreturn void serve_connection(int connection)
{
	int master = -1, slave = -1, shell = -1, status = open_terminal(&master, &slave);
	pid_t pid = status == 0 ? fork() : -1;

	if (pid == 0)
		shell_become(slave);
	if (pid > 0)
		shell = (int)syscall(SYS_pidfd_open, pid, 0);
	if (shell < 0) {
		log_error("a shell for a connection: %s", strerror(status < 0 ? -status : errno));
		_exit(1);
	}
	close(slave);
	copy(connection, master, shell);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SHELL_UNAVAILABLE)
		dprintf(connection, "there is no shell in this guest\r\n");
	_exit(0);
}

static _Noreturn void serve_console(void)
{
	int terminal = open(CONSOLE, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (terminal >= 0 && isatty(terminal))
		shell_become(terminal);
	log_error("a shell on " CONSOLE ": %s", terminal < 0 ? strerror(errno) : "it is no terminal");
	_exit(SHELL_UNAVAILABLE);
}

static _Noreturn void child(int connection)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (connection < 0)
		serve_console();
	fd_close_others(3, &connection, 1);
	serve_connection(connection);
}

/* The agent ---------------------------------------------------------------------------------------------------- */

static void next_due(struct loop_timer *timer)
{
	debug_console_on_terminal(container_of(timer, struct debug_console, next));
}

static void shell_ended(struct loop_source *source, uint32_t events)
{
	struct debug_shell *shell = container_of(source, struct debug_shell, ended);
	struct debug_console *console = shell->console;
	int fd = source->fd, status = 0;
	bool on_terminal = shell == &console->shells[0];

	(void)events;
	loop_remove(console->loop, source);
	close(fd);
	while (waitpid(shell->pid, &status, 0) < 0 && errno == EINTR)
		;
	shell->pid = 0;
	if (on_terminal && WIFEXITED(status) && WEXITSTATUS(status) == SHELL_UNAVAILABLE)
		log_warning("there is no shell for the console");
	else if (on_terminal)
		loop_timer_set(console->loop, &console->next, PAUSE, next_due);
}

/* Starts a child. 0 or -errno. */
static int start(struct debug_console *console, struct debug_shell *shell, int connection)
{
	pid_t pid = fork();
	int fd, status;

	if (pid == 0)
		child(connection);
	if (pid < 0)
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	status = fd < 0 ? -errno : loop_add(console->loop, &shell->ended, fd, EPOLLIN, shell_ended);
	if (status < 0) {
		fd_close(&fd);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return status;
	}
	shell->console = console;
	shell->pid = pid;
	return 0;
}

void debug_console_init(struct debug_console *console, struct loop *loop)
{
	*console = (struct debug_console){.loop = loop};
}

void debug_console_accept(struct debug_console *console, int fd)
{
	int status = -EMFILE;

	/* The first one is the console's own. */
	for (size_t i = 1; i < DEBUG_SHELLS_MAX; i++) {
		if (console->shells[i].pid == 0) {
			status = start(console, &console->shells[i], fd);
			break;
		}
	}
	if (status < 0)
		log_error("a shell for a connection: %s", strerror(-status));
	close(fd);
}

void debug_console_on_terminal(struct debug_console *console)
{
	int status = start(console, &console->shells[0], -1);

	if (status < 0)
		log_error("a shell on " CONSOLE ": %s", strerror(-status));
}
