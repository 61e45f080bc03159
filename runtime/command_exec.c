/* nacre exec: runs a further command in a container. */
#include "runtime/command.h"
#include "runtime/exec.h"
#include "runtime/exit_status.h"
#include "runtime/timeline.h"

int command_exec(int argc, const char *argv[])
{
	struct exec_options options;
	struct error error;
	int status = 0;

	if (exec_options_parse(&options, argc, argv, &error) < 0) {
		timeline_say("%s", error.text);
		status = EXIT_FAULT;
	} else if (!options.help) {
		status = exec_run(&options);
	}
	exec_options_free(&options);
	return status;
}
