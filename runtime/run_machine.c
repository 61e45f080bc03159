/* From a directory to a guest that answers. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "health_service.pb-c.h"
#include "lib/cleanup.h"
#include "runtime/run_private.h"

/* Under KVM a guest is ready in less than a second: one that hasn't said a word by then never will. */
#define SIGN_OF_LIFE (10 * LOOP_SECOND)

static int start_machine(struct run *run, struct error *error)
{
	struct vmm_options options = {
		.program = run->locations.vmm,
		.type = run->options->machine,
		.kernel = run->locations.kernel,
		.image = &run->image,
		.directory = &run->directory,
		.accel = run->accel,
		.memory = run->options->memory,
		.cpus = run->options->cpus,
		.debug_console = run->options->debug_console,
		.verbose = run->options->verbose,
	};
	int status = composition_devices(&run->composition, &options, error);

	if (status == 0)
		status = composition_share(&run->composition, &run->loop, &run->directory, error);
	if (status == 0)
		status = machine_start(&run->machine, &run->loop, run->locations.proxy, &options, error);
	if (status == 0)
		timeline_note(&run->timeline, "VM %s started (%s, %s, %llu MiB, %u CPU%s)", run->directory.name,
			      run->options->machine->name, accel_name(run->accel), (unsigned long long)(run->options->memory / MEBIBYTE),
			      run->options->cpus, run->options->cpus > 1 ? "s" : "");
	return status;
}

struct life_watch {
	struct run *run;
	struct loop_timer timer;
};

static void no_sign_of_life(struct loop_timer *timer)
{
	struct run *run = container_of(timer, struct life_watch, timer)->run;

	if (machine_console_used(&run->machine))
		return;
	run->silent = true;
	run->cancelled = true;
}

static int explain_timeout(const struct run *run, struct error *error)
{
	char line[256];

	machine_console_line(&run->machine, line, sizeof(line));
	return error_set(error, ETIMEDOUT, "the VM isn't ready after %u s (--timeout)%s%s", run->options->timeout,
			 *line ? "; its console: " : ", and its console is empty", line);
}

/* Waits for the agent. It may take the whole --timeout, but under a KVM that we chose it must show itself sooner. */
static int await_agent(struct run *run, struct error *error)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
	struct life_watch watch = {.run = run};
	int status = session_open(&run->session, &run->loop, run->directory.path, &run->machine, &run->cancelled,
				  error);

	if (status < 0)
		return status;
	if (run->accel == ACCEL_KVM && run->options->accel == ACCEL_AUTO)
		loop_timer_set(&run->loop, &watch.timer, SIGN_OF_LIFE, no_sign_of_life);
	status = session_call_service(&run->session, &grpc__health__descriptor, "Check", &request.base,
				      run->options->timeout * LOOP_SECOND, error);
	loop_timer_clear(&run->loop, &watch.timer);
	return status == -ETIMEDOUT ? explain_timeout(run, error) : status;
}

/* Whether a KVM of our own choice is to blame: the guest never wrote to its console. */
static bool kvm_failed(const struct run *run)
{
	if (run->accel != ACCEL_KVM || run->options->accel != ACCEL_AUTO)
		return false;
	return run->silent || (run->machine.ended && !machine_console_used(&run->machine));
}

static int start_and_await(struct run *run, struct error *error)
{
	int status = start_machine(run, error);

	return status < 0 ? status : await_agent(run, error);
}

int run_boot(struct run *run, struct error *error)
{
	int status = composition_make(&run->composition, &run->loop, &run->directory, &run->cancelled, &run->timeline,
				      error);

	if (status == 0)
		status = start_and_await(run, error);
	if (status < 0 && kvm_failed(run)) {
		timeline_tell(&run->timeline, "%s under KVM: starting it again under TCG",
			     run->silent ? "no sign of life from the guest in 10 s" : "the VM ended at once");
		session_close(&run->session);
		machine_stop(&run->machine);
		run->cancelled = run->silent = false;
		run->accel = ACCEL_TCG;
		status = start_and_await(run, error);
	}
	if (status == 0)
		timeline_note(&run->timeline, "the agent answers");
	return status;
}
