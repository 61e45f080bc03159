/* nacre attach: our terminal, or our streams, at a container that runs: by its monitor, or with --dir by the VM's proxy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/attach.h"
#include "runtime/attach_session.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"
#include "runtime/exit_status.h"
#include "runtime/target.h"
#include "runtime/timeline.h"

/* A connection that has said nothing yet. */
static int connect_monitor(const char *name, struct error *error)
{
	struct run_directory directory;
	int status = run_directory_open(&directory, name, error);

	if (status < 0)
		return status;
	status = control_connect(&directory, error);
	run_directory_close(&directory);
	return status;
}

static int parse_truth(const char *text, struct error *error)
{
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return *text == 't';
	return error_set(error, EINVAL, "--sig-proxy: '%s' is not true or false", text);
}

/* The exit status. */
static int attach_own(const char *name, const struct attach_options *options, struct error *error)
{
	int socket = connect_monitor(name, error);

	return socket < 0 ? COMMAND_FAILED : attach(socket, options, COMMAND_FAILED);
}

static int attach_other(const char *directory, const char **arguments, bool terminal, const struct attach_options *options,
			struct error *error)
{
	struct target target;
	int status = COMMAND_FAILED;

	if (target_open(&target, directory, arguments[0], error) == 0)
		status = attach_session(&target, arguments[1], terminal, options, COMMAND_FAILED);
	target_close(&target);
	return status;
}

int command_attach(int argc, const char *argv[])
{
	char *key_text = NULL, *signal_text = NULL, *directory = NULL;
	int no_stdin = 0, signals = 1, terminal = 0;
	const struct poptOption table[] = {
		{"detach-keys", 0, POPT_ARG_STRING, &key_text, 0, "to leave it (default: " DETACH_KEYS_DEFAULT ")",
		 "KEYS"},
		{"no-stdin", 0, POPT_ARG_NONE, &no_stdin, 0, "don't pass stdin on", NULL},
		{"sig-proxy", 0, POPT_ARG_STRING, &signal_text, 0, "pass signals on (default: true)", "true|false"},
		TARGET_OPTION(&directory),
		{"tty", 't', POPT_ARG_NONE, &terminal, 0, "with --dir: the process has a terminal", NULL},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct detach_keys keys;
	struct attach_options options = {.keys = &keys};
	struct command_line line;
	struct error error = {0};

	if (command_line_read(&line, argc, argv, table, "[OPTION...] NAME [EXEC]", 1, 2)) {
		if (!directory && line.arguments[1])
			signals = error_set(&error, EINVAL, "%s: EXEC goes with --dir alone", line.arguments[1]);
		else if (signal_text)
			signals = parse_truth(signal_text, &error);
		if (signals < 0 || detach_keys_parse(&keys, key_text, &error) < 0) {
			line.status = EXIT_FAULT;
		} else {
			options.no_stdin = no_stdin;
			options.no_signals = !signals;
			line.status = directory ? attach_other(directory, line.arguments, terminal, &options, &error)
						: attach_own(line.arguments[0], &options, &error);
		}
		if (error.number)
			timeline_say("%s", error.text);
	}
	command_line_free(&line);
	free(key_text);
	free(signal_text);
	free(directory);
	return line.status;
}
