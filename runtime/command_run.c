/* nacre run: boots a VM and runs a container in it. */
#include "runtime/command.h"
#include "runtime/exit_status.h"
#include "runtime/run.h"
#include "runtime/timeline.h"

int command_run(int argc, const char *argv[])
{
	struct run_options options;
	struct error error;
	int status = 0;

	if (run_options_parse(&options, argc, argv, &error) < 0) {
		timeline_say("%s", error.text);
		status = EXIT_FAULT;
	} else if (!options.help) {
		status = run(&options);
	}
	run_options_free(&options);
	return status;
}
