/* nacre-box create and run. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/kernel.h"
#include "box/box.h"
#include "box/console.h"
#include "box/container.h"
#include "box/delete.h"
#include "box/descriptors.h"
#include "box/monitor.h"
#include "lib/cleanup.h"
#include "lib/path.h"

struct creation {
	char *bundle, *pid_file, *console_socket;
	int preserve_fds, detach, keep, ignored;
};

#define CREATION_OPTIONS(creation)                                                                              \
	{"bundle", 'b', POPT_ARG_STRING, &(creation).bundle, 0, "the bundle (default: this folder)", "DIR"},     \
	{"pid-file", 0, POPT_ARG_STRING, &(creation).pid_file, 0, "write the process's pid there", "FILE"},       \
	{"console-socket", 0, POPT_ARG_STRING, &(creation).console_socket, 0,                                  \
	 "a Unix socket that gets the terminal's master end", "PATH"},                                           \
	{"preserve-fds", 0, POPT_ARG_INT, &(creation).preserve_fds, 0, "pass N descriptors on, from 3", "N"},     \
	{"no-pivot", 0, POPT_ARG_NONE, &(creation).ignored, 0, "ignored", NULL},                                \
	{"no-new-keyring", 0, POPT_ARG_NONE, &(creation).ignored, 0, "ignored", NULL}

static int absolute(const char *path, char result[PATH_MAX], struct error *error)
{
	char here[PATH_MAX];

	if (!path)
		return 0;
	if (!getcwd(here, sizeof(here)))
		return error_errno(error, errno, "this folder");
	if (snprintf(result, PATH_MAX, "%s%s%s", *path == '/' ? "" : here, *path == '/' ? "" : "/", path) >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "%s", path);
	return 0;
}

static int make_folder(const struct state *state, struct error *error)
{
	if (mkdir(box_settings.root, 0711) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make %s", box_settings.root);
	if (mkdir(state->folder, 0711) < 0)
		return errno == EEXIST ? error_set(error, EEXIST, "container %s exists already", state->id) :
					 error_errno(error, errno, "make %s", state->folder);
	return 0;
}

/* What is in the file from now on changes nothing. */
static int copy_config(const struct state *state, struct error *error)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];
	cleanup_free char *text = NULL;
	int status;

	snprintf(from, sizeof(from), "%s/config.json", state->bundle);
	snprintf(to, sizeof(to), "%s/config.json", state->folder);
	status = box_read_file(from, &text, error);
	return status < 0 ? status : box_write_file(to, text, error);
}

/* The state has annotations before there is a monitor. */
static int read_annotations(struct state *state, struct error *error)
{
	char config[PATH_MAX + 16];
	json_error_t fault;
	json_t *document;

	snprintf(config, sizeof(config), "%s/config.json", state->folder);
	document = json_load_file(config, JSON_DECODE_INT_AS_REAL, &fault);
	if (!document)
		return error_set(error, EINVAL, "config.json, line %d: %s", fault.line, fault.text);
	state->annotations = json_incref(json_object_get(document, "annotations"));
	json_decref(document);
	return 0;
}

static int create(const struct creation *creation, int console, const char *id, struct state *state, int *failure_status,
		  struct error *error)
{
	char pid_file[PATH_MAX];
	const struct monitor_options options = {
		.pid_file = creation->pid_file ? pid_file : NULL,
		.preserved_fds = (unsigned)creation->preserve_fds,
		.console = console,
	};
	int status = state_name(state, id, error);

	*failure_status = BOX_FAILED;
	if (status == 0)
		status = absolute(creation->pid_file, pid_file, error);
	if (status == 0 && !realpath(creation->bundle ? creation->bundle : ".", state->bundle))
		status = error_errno(error, errno, "bundle %s", creation->bundle);
	if (status == 0)
		status = make_folder(state, error);
	if (status < 0)
		return status;
	status = copy_config(state, error);
	if (status == 0)
		status = read_annotations(state, error);
	if (status == 0)
		status = monitor_start(state, &options, failure_status, error);
	if (status < 0)
		path_remove_tree(AT_FDCWD, state->folder, NULL);
	return status;
}

static void creation_free(struct creation *creation)
{
	free(creation->bundle);
	free(creation->pid_file);
	free(creation->console_socket);
}

int command_create(int argc, const char *argv[])
{
	struct creation creation = {0};
	const struct poptOption table[] = {
		CREATION_OPTIONS(creation),
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	struct state state = {0};
	struct error error;
	poptContext context;
	int status = 0, failure_status;
	cleanup_close int console = -1;
	const char **arguments = box_line_read(&context, argc, argv, table, "[OPTION...] ID", 1, &status);

	if (arguments) {
		status = check_descriptors(creation.preserve_fds, &error);
		if (status == 0 && creation.console_socket)
			status = console = console_connect(creation.console_socket, &error);
		if (status >= 0)
			status = create(&creation, console, arguments[0], &state, &failure_status, &error);
		status = status < 0 ? box_fail(&error) : 0;
	}
	state_free(&state);
	creation_free(&creation);
	poptFreeContext(context);
	return status;
}

/* run ------------------------------------------------------------------------------------------------------------ */

/* A process that ends when the container's has, with its exit status. */
static pid_t start_waiting(const struct state *state)
{
	pid_t pid = fork();

	if (pid == 0) {
		int value = monitor_ask(state, MONITOR_WAIT, NULL, NULL);

		_exit(value < 0 ? 125 : value);
	}
	return pid;
}

/* Passes signals on until the one who waits has ended. */
static void pass_signals(const struct state *state, int signals, int waiting)
{
	struct pollfd events[] = {{.fd = signals, .events = POLLIN}, {.fd = waiting, .events = POLLIN}};
	cleanup_close int process = state_open_process(state, NULL);
	struct signalfd_siginfo info;

	do {
		poll(events, array_size(events), -1);
		if (events[0].revents && read(signals, &info, sizeof(info)) == sizeof(info) && process >= 0)
			kernel_pidfd_send_signal(process, (int)info.ssi_signo);
	} while (!events[1].revents);
}

static int block_signals(void)
{
	static const int passed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < array_size(passed); i++)
		sigaddset(&set, passed[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* In the foreground to the end. The container's exit status. */
static int attend(const struct state *state, int relayed, int signals)
{
	cleanup_close int ended = -1;
	struct error error;
	siginfo_t info = {0};
	pid_t pid = start_waiting(state);

	ended = kernel_pidfd_open(pid);
	if (relayed >= 0 && console_relay(relayed, ended, &error) < 0)
		box_warn(error.text);
	pass_signals(state, signals, ended);
	waitid(P_PID, (id_t)pid, &info, WEXITED);
	return info.si_status;
}

static int run(const struct creation *creation, int console, int relayed, const char *id)
{
	struct state state = {0};
	struct error error;
	int failure_status, signals = block_signals();
	int status = create(creation, console, id, &state, &failure_status, &error);

	if (status == 0) {
		status = monitor_ask(&state, MONITOR_START, &failure_status, &error);
		if (status == 0 && !creation->detach)
			failure_status = attend(&state, relayed, signals);
		if (status == 0 && creation->detach)
			failure_status = 0;
	}
	if (status < 0)
		box_fail(&error);
	state_free(&state);
	if (*state.folder && access(state.folder, F_OK) == 0 && !creation->keep && (status < 0 || !creation->detach) &&
	    box_delete(id, true, &error) < 0)
		box_fail(&error);
	return failure_status;
}

/* Whether the bundle's process has one, which is to be ours then. What is wrong with the file is said later. */
static bool wants_terminal(const char *bundle)
{
	char path[PATH_MAX];
	json_t *document;
	bool wanted;

	snprintf(path, sizeof(path), "%s/config.json", bundle ? bundle : ".");
	document = json_load_file(path, JSON_DECODE_INT_AS_REAL, NULL);
	wanted = json_is_true(json_object_get(json_object_get(document, "process"), "terminal"));
	json_decref(document);
	return wanted;
}

int command_run(int argc, const char *argv[])
{
	struct creation creation = {0};
	const struct poptOption table[] = {
		CREATION_OPTIONS(creation),
		{"detach", 'd', POPT_ARG_NONE, &creation.detach, 0, "don't wait", NULL},
		{"keep", 0, POPT_ARG_NONE, &creation.keep, 0, "don't delete", NULL},
		{"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL},
		POPT_TABLEEND,
	};
	struct error error;
	poptContext context;
	int status = 0, ends[2] = {-1, -1};
	const char **arguments = box_line_read(&context, argc, argv, table, "[OPTION...] ID", 1, &status);

	if (arguments) {
		status = check_descriptors(creation.preserve_fds, &error);
		if (status == 0 && creation.console_socket)
			status = ends[1] = console_connect(creation.console_socket, &error);
		else if (status == 0 && !creation.detach && wants_terminal(creation.bundle))
			status = console_pair(ends, &error);
		status = status < 0 ? box_fail(&error) : run(&creation, ends[1], ends[0], arguments[0]);
	}
	creation_free(&creation);
	poptFreeContext(context);
	return status;
}
