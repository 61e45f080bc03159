/* nacre kill: sends containers' first processes a signal. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"
#include "runtime/exit_status.h"
#include "runtime/signal_name.h"
#include "runtime/timeline.h"

static int kill_one(const char *name, void *data, struct error *error)
{
	const int *number = data;
	struct run_directory directory;
	struct control control;
	int status = run_directory_open(&directory, name, error);

	if (status < 0)
		return status;
	status = control_open(&control, &directory, error);
	if (status == 0) {
		status = control_signal(&control, *number, error);
		if (status < 0)
			error_wrap(error, "%s", name);
	}
	control_close(&control);
	run_directory_close(&directory);
	if (status == 0)
		puts(name);
	return status;
}

int command_kill(int argc, const char *argv[])
{
	char *text = NULL;
	const struct poptOption table[] = {
		{"signal", 's', POPT_ARG_STRING, &text, 0, "name or number (default: KILL)", "SIGNAL"},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;
	struct error error;
	int number = SIGKILL;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] NAME...", 1, COMMAND_ANY)) {
		if (text)
			number = signal_parse(text, &error);
		if (number < 0) {
			timeline_say("--signal: %s", error.text);
			line.status = EXIT_FAULT;
		} else {
			line.status = command_for_each(&line, kill_one, &number);
		}
	}
	command_line_free(&line);
	free(text);
	return line.status;
}
