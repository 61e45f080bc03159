/* The order of things in `nacre run`. */
#include "runtime/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/pack.h"
#include "runtime/run_private.h"
#include "runtime/status.h"

/* So that no file of ours becomes the descriptor 0, 1 or 2. */
static void fill_standard_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR);

	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDWR);
	fd_close(&fd);
}

static void signalled(struct signals *signals, int number)
{
	struct run *run = container_of(signals, struct run, signals);

	if (number == SIGCONT)
		terminal_again(&run->terminal);
	if (number == SIGCONT || number == SIGWINCH) {
		run_resize(run);
		return;
	}
	if (run->running && !run->options->terminal) {
		run_forward(run, number);
		return;
	}
	run->interrupted = number;
	run->cancelled = true;
}

/* What can be found wrong before anything is made. */
static int check(struct run *run, struct error *error)
{
	const struct run_options *options = run->options;
	int status;

	if (options->terminal && options->interactive && !isatty(STDIN_FILENO))
		return error_set(error, ENOTTY, "the input device is not a TTY");
	run->root = pack_open_root(options->root, error);
	if (run->root < 0)
		return run->root;
	status = user_resolve(&run->user, run->root, options->user, error);
	if (status == 0)
		status = locate_all(&run->locations, options->kernel, options->image, error);
	if (status == 0)
		status = accel_choose(options->accel, &accel_machine, &run->accel, error);
	return status;
}

/* Everything, with the exit status in *status where it returns negative. */
static int run_all(struct run *run, int *status, struct error *error)
{
	int result = check(run, error);

	*status = EXIT_FAULT;
	if (result == 0)
		result = run_directory_create(&run->directory, run->options->name, error);
	if (result == 0)
		result = status_write_config(&run->directory, run->options, &run->locations, error);
	if (result == 0)
		result = status_write(&run->directory, "creating", error);
	if (result == 0)
		result = run_boot(run, error);
	if (result < 0)
		return result;
	result = run_container(run, status, error);
	terminal_restore(&run->terminal);
	run->running = false;
	if (!run->cancelled && !run->machine.ended)
		run_finish(run);
	return result;
}

/* In this order: what is closed calls back into what comes later. */
static void release(struct run *run)
{
	terminal_restore(&run->terminal);
	session_close(&run->session);
	streams_close(&run->streams);
	machine_stop(&run->machine);
	child_kill(&run->packer);
	run_directory_remove(&run->directory);
	signals_close(&run->signals);
	loop_destroy(&run->loop);
	fd_close(&run->root);
}

int run(const struct run_options *options)
{
	struct run run = {.options = options, .root = -1, .directory = {.fd = -1}, .terminal = {.fd = -1}};
	struct error error = {0};
	int result, status = EXIT_FAULT;

	fill_standard_descriptors();
	timeline_start(&run.timeline, options->verbose);
	result = loop_init(&run.loop);
	if (result == 0)
		result = signals_open(&run.signals, &run.loop, signalled);
	if (result < 0)
		error_errno(&error, -result, "event loop");
	else
		result = run_all(&run, &status, &error);
	release(&run);
	timeline_note(&run.timeline, "cleaned up");
	if (run.interrupted)
		return EXIT_BY_SIGNAL + run.interrupted;
	if (result >= 0)
		return result;
	if (error.number != EPIPE || status == EXIT_FAULT)
		timeline_say("%s", error.text);
	return status;
}
