/* nacre rm: removes containers that have ended. */
#include <errno.h>
#include <stdio.h>

#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"

/* A monitor that doesn't end its machine in this time is killed. */
#define PATIENCE_MILLISECONDS 15000

/* Ends the machine, whatever it does. */
static int end(const struct run_directory *directory, struct error *error)
{
	struct control control;
	int status = control_open(&control, directory, error);

	if (status == 0)
		status = control_end(&control, error);
	if (status == 0)
		status = control_await(&control, PATIENCE_MILLISECONDS, error);
	if (status == -ETIMEDOUT) {
		control_kill(&control);
		status = control_await(&control, -1, error);
	}
	control_close(&control);
	if (status == 0)
		run_directory_await_end(directory);
	return status == -ESRCH ? 0 : status;
}

static int remove_one(const char *name, void *data, struct error *error)
{
	const int *force = data;
	struct run_directory directory;
	int status = run_directory_open(&directory, name, error);

	if (status < 0)
		return status;
	if (*force)
		status = end(&directory, error);
	if (status == 0)
		status = run_directory_discard(&directory, error);
	run_directory_close(&directory);
	if (status == 0)
		puts(name);
	return status;
}

int command_rm(int argc, const char *argv[])
{
	int force = 0;
	const struct poptOption table[] = {
		{"force", 'f', POPT_ARG_NONE, &force, 0, "end it first, where it runs", NULL},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] NAME...", 1, COMMAND_ANY))
		line.status = command_for_each(&line, remove_one, &force);
	command_line_free(&line);
	return line.status;
}
