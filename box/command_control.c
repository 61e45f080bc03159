/* nacre-box start, pause, resume, kill and delete. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/cgroup.h"
#include "agent/container/kernel.h"
#include "box/box.h"
#include "box/container.h"
#include "box/delete.h"
#include "box/monitor.h"
#include "lib/cleanup.h"
#include "runtime/signal_name.h"

/* Commands that are a request to the monitor. Where the container's command is what is wrong, the status is 126 or 127. */
static int ask(int argc, const char *argv[], enum monitor_request request)
{
	const struct poptOption table[] = {{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL}, POPT_TABLEEND};
	struct state state = {0};
	struct error error;
	poptContext context;
	int status = 0, failure_status = 0;
	const char **arguments = box_line_read(&context, argc, argv, table, "ID", 1, &status);

	if (arguments) {
		status = state_read(&state, arguments[0], &error);
		if (status == 0 && state.status == STATE_STOPPED)
			status = error_set(&error, ESRCH, "container %s has stopped", state.id);
		if (status == 0)
			status = monitor_ask(&state, request, &failure_status, &error);
		status = status < 0 ? box_fail(&error) : 0;
	}
	state_free(&state);
	poptFreeContext(context);
	return failure_status > 125 ? failure_status : status;
}

int command_start(int argc, const char *argv[])
{
	return ask(argc, argv, MONITOR_START);
}

int command_pause(int argc, const char *argv[])
{
	return ask(argc, argv, MONITOR_PAUSE);
}

int command_resume(int argc, const char *argv[])
{
	return ask(argc, argv, MONITOR_RESUME);
}

/* kill ----------------------------------------------------------------------------------------------------------- */

static int signal_all(const struct state *state, int number, struct error *error)
{
	struct cgroup_tree tree;
	struct cgroup cgroup = {0};
	int status = cgroup_tree_find(&tree, error);

	if (status == 0)
		status = cgroup_init(&cgroup, &tree, state->cgroup, state->id, error);
	return status < 0 ? status : cgroup_signal_all(&cgroup, number, error);
}

static int send_signal(const char *id, const char *name, bool all, struct error *error)
{
	struct state state = {0};
	int status = state_read(&state, id, error), number = signal_parse(name, error);
	cleanup_close int process = -1;

	if (status < 0 || number < 0) {
		state_free(&state);
		return status < 0 ? status : number;
	}
	if (all) {
		status = signal_all(&state, number, error);
	} else {
		status = process = state_open_process(&state, error);
		if (process >= 0 && kernel_pidfd_send_signal(process, number) < 0)
			status = error_errno(error, errno, "send signal %d to container %s", number, id);
	}
	state_free(&state);
	return status < 0 ? status : 0;
}

int command_kill(int argc, const char *argv[])
{
	int all = 0, status = 0;
	char *name = NULL;
	const struct poptOption table[] = {
		{"all", 'a', POPT_ARG_NONE, &all, 0, "to all of its processes", NULL},
		{"signal", 's', POPT_ARG_STRING, &name, 0, "name or number (default: TERM)", "SIGNAL"},
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	struct error error;
	poptContext context;
	const char **arguments = box_line_read(&context, argc, argv, table, "[OPTION...] ID [SIGNAL]", 1, &status);

	if (arguments) {
		const char *given = arguments[1] ? arguments[1] : name ? name : "TERM";

		status = send_signal(arguments[0], given, all, &error) < 0 ? box_fail(&error) : 0;
	}
	free(name);
	poptFreeContext(context);
	return status;
}

/* delete --------------------------------------------------------------------------------------------------------- */

/* Its monitor, if it is still there, goes, and with it what is mounted. */
static int end_monitor(const struct state *state, struct error *error)
{
	int status = monitor_ask(state, MONITOR_QUIT, NULL, error);

	return status == -EBUSY ? status : 0;
}

/* Kills it, and waits until its end is recorded. */
static void end_container(const struct state *state)
{
	cleanup_close int process = state_open_process(state, NULL);
	struct pollfd ended = {.fd = process, .events = POLLIN};

	if (process < 0 || kernel_pidfd_send_signal(process, SIGKILL) < 0)
		return;
	if (state->status == STATE_PAUSED)
		monitor_ask(state, MONITOR_RESUME, NULL, NULL);
	if (monitor_ask(state, MONITOR_WAIT, NULL, NULL) < 0)
		poll(&ended, 1, -1);
}

static int remove_container(const struct state *state, struct error *error)
{
	struct box_container container;
	char config[PATH_MAX + 16];
	int status;

	snprintf(config, sizeof(config), "%s/config.json", state->folder);
	status = box_container_load(&container, state, config, error);
	if (status == 0)
		status = end_monitor(state, error);
	if (status == 0)
		status = box_container_undo(&container, error);
	if (status == 0)
		status = box_container_remove(&container, state, error);
	box_container_free(&container);
	return status;
}

int box_delete(const char *id, bool force, struct error *error)
{
	struct state state = {0};
	int status = state_read(&state, id, error);

	if (status == 0 && state.status != STATE_STOPPED && !force)
		status = error_set(error, EBUSY, "container %s is %s", id, state_status_name(state.status));
	if (status == 0 && state.status != STATE_STOPPED)
		end_container(&state);
	if (status == 0)
		status = remove_container(&state, error);
	state_free(&state);
	return force && status == -ENOENT ? 0 : status;
}

int command_delete(int argc, const char *argv[])
{
	int force = 0, status = 0;
	const struct poptOption table[] = {
		{"force", 'f', POPT_ARG_NONE, &force, 0, "kill it where it hasn't stopped", NULL},
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	struct error error;
	poptContext context;
	const char **arguments = box_line_read(&context, argc, argv, table, "[OPTION...] ID", 1, &status);

	if (arguments)
		status = box_delete(arguments[0], force, &error) < 0 ? box_fail(&error) : 0;
	poptFreeContext(context);
	return status;
}
