/* nacre wait: waits for containers to end, and prints their exit statuses. */
#include <errno.h>
#include <stdio.h>

#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"
#include "runtime/record.h"

/* That of one which has ended. */
static int read_exit_code(const char *name, int *code, struct error *error)
{
	struct record record;
	int status = record_open(&record, name, error);

	*code = record.exit_code;
	if (status == 0 && record.state != RECORD_EXITED)
		status = error_set(error, ESRCH, "the monitor of %s has died", name);
	record_close(&record);
	return status;
}

static int wait_for(const char *name, void *data, struct error *error)
{
	struct run_directory directory;
	struct control control;
	int code, status = run_directory_open(&directory, name, error);

	(void)data;
	if (status < 0)
		return status;
	status = control_open(&control, &directory, error);
	if (status == 0)
		status = control_await(&control, -1, error);
	code = control.exit_code;
	if (status == -ESRCH || (status == 0 && !control.ended))
		status = read_exit_code(name, &code, error);
	else if (status == 0 && code < 0)
		status = error_set(error, ESRCH, "the container %s has never run", name);
	control_close(&control);
	run_directory_close(&directory);
	if (status == 0)
		printf("%d\n", code);
	fflush(stdout);
	return status;
}

int command_wait(int argc, const char *argv[])
{
	static const struct poptOption table[] = {COMMAND_HELP, POPT_TABLEEND};
	struct command_line line;

	if (command_line_read(&line, argc, argv, table, "NAME...", 1, COMMAND_ANY))
		line.status = command_for_each(&line, wait_for, NULL);
	command_line_free(&line);
	return line.status;
}
