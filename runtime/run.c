/* What is done by `nacre run` itself: checks, and a front end. */
#include "runtime/run.h"

#include <errno.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/attach.h"
#include "runtime/monitor.h"
#include "runtime/stdio.h"
#include "runtime/terminal.h"

/* What can be found wrong before anything is made. */
static int check(struct run *run, struct error *error)
{
	const struct run_options *options = run->options;
	int status;

	if (options->terminal && options->interactive && !options->detached && !isatty(STDIN_FILENO))
		return error_set(error, ENOTTY, "the input device is not a TTY");
	status = composition_open(&run->composition, options, error);
	if (status == 0)
		status = locate_all(&run->locations, options->machine->kernel, options->kernel, options->image, error);
	if (status == 0)
		status = image_open(&run->image, run->locations.image, error);
	if (status == 0)
		status = accel_choose(options->accel, &accel_machine, &run->accel, error);
	return status;
}

int run(const struct run_options *options)
{
	struct run run = {
		.options = options, .directory = {.base = -1, .fd = -1, .lock = -1}, .log = {.fd = -1}};
	struct detach_keys keys;
	const struct attach_options front = {
		.keys = &keys, .starter = !options->detached, .detached = options->detached};
	struct error error = {0};
	int result, socket;

	stdio_fill_descriptors();
	timeline_start(&run.timeline, options->verbose);
	terminal_size(&run.rows, &run.columns);
	result = detach_keys_parse(&keys, options->keys, &error);
	if (result == 0)
		result = check(&run, &error);
	if (result == 0)
		result = monitor_start(&run, &socket, &error);
	composition_close(&run.composition);
	if (result >= 0)
		return attach(socket, &front, EXIT_FAULT);
	timeline_say("%s", error.text);
	return EXIT_FAULT;
}
