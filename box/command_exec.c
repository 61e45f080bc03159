/* nacre-box exec: joins a container, and is the parent of the process there. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/kernel.h"
#include "agent/container/launch.h"
#include "box/box.h"
#include "box/console.h"
#include "box/container.h"
#include "box/listener.h"
#include "box/descriptors.h"
#include "box/extras.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "oci/config.h"

#define ENVIRONMENT_MAX 1024

struct execution {
	char *process, *cwd, *user, *pid_file, *console_socket;
	char **environment; /* added to the container's; NULL: none */
	int terminal, detach, preserve_fds, no_new_privileges;
};

static int parse_user(const char *text, Grpc__User *user, struct error *error)
{
	char rest;
	int count = sscanf(text, "%u:%u%c", &user->uid, &user->gid, &rest);

	return count == 1 || count == 2 ? 0 : error_set(error, EINVAL, "--user '%.40s' isn't UID[:GID]", text);
}

static char **append(struct arena *arena, char **list, size_t *count, char **more)
{
	char **all;
	size_t added = 0;

	while (more && more[added])
		added++;
	all = arena_array(arena, *count + added + 1, sizeof(*all));
	for (size_t i = 0; all && i < *count; i++)
		all[i] = list[i];
	for (size_t i = 0; all && i < added; i++)
		all[*count + i] = more[i];
	*count += added;
	return all;
}

/* The container's own process, changed by the options. */
static int make_process(const struct execution *execution, struct box_container *container, const char **arguments,
			Grpc__Process **process, struct error *error)
{
	Grpc__Process *made = arena_alloc(&container->arena, sizeof(*made));
	Grpc__User *user = arena_alloc(&container->arena, sizeof(*user));

	if (!made || !user)
		return error_errno(error, ENOMEM, "exec");
	*made = *container->spec->process;
	grpc__user__init(user);
	if (made->user)
		*user = *made->user;
	made->user = user;
	made->args = (char **)arguments;
	for (made->n_args = 0; arguments[made->n_args]; made->n_args++)
		;
	made->terminal = execution->terminal != 0;
	if (execution->no_new_privileges)
		made->nonewprivileges = true;
	if (execution->cwd)
		made->cwd = execution->cwd;
	made->env = append(&container->arena, made->env, &made->n_env, execution->environment);
	*process = made;
	return execution->user ? parse_user(execution->user, user, error) : 0;
}

static int read_process(const char *path, struct box_container *container, Grpc__Process **process,
			struct plan_process_extras *extras, struct error *error)
{
	cleanup_free char *text = NULL;
	json_t *document = NULL;
	int status = box_read_file(path, &text, error);

	if (status == 0)
		status = config_parse(text, &document, error);
	if (status == 0)
		status = config_read_process(document, &container->arena, process, error);
	if (status == 0)
		status = extras_read_process(extras, document, &container->arena, error);
	/* The extras' texts are the document's: it goes with the process. */
	return status < 0 ? error_wrap(error, "--process") : 0;
}

/* In the foreground: the terminal goes to our own; otherwise over the socket. Takes `console`. */
static int pass_terminal(struct launch *launch, int console, struct error *error)
{
	static const char name[] = "/dev/ptmx";
	int status = fd_send(console, name, sizeof(name), &launch->terminal, 1);

	fd_close(&launch->terminal);
	return status < 0 ? error_errno(error, -status, "pass the terminal on") : 0;
}

/* Until the command runs. */
static int drive(struct launch *launch, const struct state *state, int console, struct error *error)
{
	int event, status = 0;

	while (status == 0) {
		event = listener_next_event(launch, state, error);
		switch (event) {
		case LAUNCH_TERMINAL:
			status = pass_terminal(launch, console, error);
			break;
		case LAUNCH_READY:
			launch_release(launch); /* one that has died says so itself */
			break;
		case LAUNCH_EXECED:
			return 0;
		case LAUNCH_FAILED:
			*error = launch->failure;
			return -error->number;
		default:
			status = event < 0 ? event : 0;
		}
	}
	/* A released one would go on without its listener. */
	if (launch->pidfd >= 0)
		kernel_pidfd_send_signal(launch->pidfd, SIGKILL);
	return status;
}

static int exit_status_of(const struct launch *launch)
{
	return launch->failure_class == LAUNCH_NOT_FOUND ? 127 : launch->failure_class == LAUNCH_PERMISSION ? 126 : 125;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int write_pid_file(const char *path, pid_t pid, struct error *error)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return path ? box_write_file(path, text, error) : 0;
}

/* The streams are ours, but for a terminal: `console` is where that goes, and `relayed` where it comes back from, or -1. */
static int execute(const struct execution *execution, const struct state *state, const struct plan *plan, int console,
		   int relayed)
{
	const struct launch_options streams = {.stdio = {0, 1, 2}, .own_child = true};
	struct launch launch;
	struct error error;
	int exit_status = 0, status = launch_start(&launch, plan, &streams, &error);

	if (status < 0)
		return box_fail(&error);
	status = drive(&launch, state, console, &error);
	if (status == 0)
		status = write_pid_file(execution->pid_file, launch.pid, &error);
	if (status == 0 && relayed >= 0 && console_relay(relayed, launch.pidfd, &error) < 0)
		box_warn(error.text);
	if (status < 0) {
		box_fail(&error);
		exit_status = exit_status_of(&launch);
	} else if (!execution->detach) {
		exit_status = wait_for(launch.pid);
	}
	launch_destroy(&launch);
	wait_for(launch.helper_pid);
	return exit_status;
}

static int open_console(const struct execution *execution, bool terminal, int *console, int *relayed, struct error *error)
{
	int ends[2], status;

	if (!terminal)
		return execution->console_socket ?
			       error_set(error, EINVAL, "--console-socket is for a process with a terminal") :
			       0;
	if (execution->console_socket) {
		*console = console_connect(execution->console_socket, error);
		return *console < 0 ? *console : 0;
	}
	if (execution->detach)
		return error_set(error, EINVAL, "a terminal needs --console-socket");
	status = console_pair(ends, error);
	if (status == 0) {
		*relayed = ends[0];
		*console = ends[1];
	}
	return status;
}

static int prepare(const struct execution *execution, const struct state *state, const char **arguments,
		   struct box_container *container, int init, Grpc__Process **process, struct plan *plan,
		   struct error *error)
{
	struct plan_process_extras extras = container->extras.process;
	const struct plan_exec_parameters parameters = {
		.id = state->id,
		.init_pidfd = init,
		.init_pid = state->pid,
		.cgroup = &container->cgroup,
		.limits = &container->limits,
		.extras = &container->extras,
		.process_extras = &extras,
	};
	int status = execution->process ? read_process(execution->process, container, process, &extras, error) :
					  make_process(execution, container, arguments, process, error);

	extras.preserved_fds = (unsigned)execution->preserve_fds;
	return status < 0 ? status : plan_exec(plan, &container->arena, *process, container->spec, &parameters, error);
}

static int exec_in(const struct execution *execution, const char **arguments)
{
	cleanup_close int init = -1, console = -1, relayed = -1;
	struct box_container container = {0};
	struct state state = {0};
	char config[PATH_MAX + 16];
	Grpc__Process *process;
	struct error error;
	struct plan plan;
	int status = state_read(&state, arguments[0], &error);

	if (status == 0)
		status = check_descriptors(execution->preserve_fds, &error);
	if (status == 0)
		status = init = state_open_process(&state, &error);
	if (status >= 0 && state.status == STATE_PAUSED)
		status = error_set(&error, EBUSY, "container %s is paused", state.id);
	snprintf(config, sizeof(config), "%s/config.json", state.folder);
	if (status >= 0)
		status = box_container_load(&container, &state, config, &error);
	if (status == 0)
		status = prepare(execution, &state, arguments + 1, &container, init, &process, &plan, &error);
	if (status == 0)
		status = open_console(execution, process->terminal, &console, &relayed, &error);
	if (status == 0) {
		status = execute(execution, &state, &plan, console, relayed);
	} else {
		box_fail(&error);
		status = 125;
	}
	box_container_free(&container);
	state_free(&state);
	return status;
}

int command_exec(int argc, const char *argv[])
{
	struct execution execution = {0};
	const struct poptOption table[] = {
		{"process", 'p', POPT_ARG_STRING, &execution.process, 0, "a process object, as JSON", "FILE"},
		{"cwd", 0, POPT_ARG_STRING, &execution.cwd, 0, "working directory", "DIR"},
		{"env", 'e', POPT_ARG_ARGV, &execution.environment, 0, "a variable", "NAME=VALUE"},
		{"user", 'u', POPT_ARG_STRING, &execution.user, 0, "by number", "UID[:GID]"},
		{"tty", 't', POPT_ARG_NONE, &execution.terminal, 0, "on a terminal", NULL},
		{"detach", 'd', POPT_ARG_NONE, &execution.detach, 0, "don't wait", NULL},
		{"no-new-privs", 0, POPT_ARG_NONE, &execution.no_new_privileges, 0, "set no_new_privs", NULL},
		{"pid-file", 0, POPT_ARG_STRING, &execution.pid_file, 0, "write the process's pid there", "FILE"},
		{"console-socket", 0, POPT_ARG_STRING, &execution.console_socket, 0,
		 "a Unix socket that gets the terminal's master end", "PATH"},
		{"preserve-fds", 0, POPT_ARG_INT, &execution.preserve_fds, 0, "pass N descriptors on, from 3", "N"},
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	poptContext context;
	int status = 0;
	const char **arguments = box_line_read(&context, argc, argv, table, "[OPTION...] ID [COMMAND [ARGUMENT...]]", 1,
					       &status);

	if (arguments) {
		if (arguments[1] || execution.process) {
			status = exec_in(&execution, arguments);
		} else {
			fputs("nacre-box exec: neither a command nor --process\n", stderr);
			status = BOX_FAILED;
		}
	}
	free(execution.process);
	free(execution.cwd);
	free(execution.user);
	free(execution.pid_file);
	free(execution.console_socket);
	poptFreeContext(context);
	return status;
}
