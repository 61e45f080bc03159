/* From a guest that answers to a container's exit. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/process_calls.h"
#include "runtime/process_file.h"
#include "runtime/run_private.h"
#include "runtime/status.h"

#define SPEC_LIMIT (4u << 20)
#define ENTROPY_SIZE 64
#define VM_END_MILLISECONDS 1000
#define END_TIMEOUT (5 * LOOP_SECOND)

static int create_sandbox(struct run *run, struct error *error)
{
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_FORK, SPEC_LIMIT);
	request.sandbox_id = run->directory.name;
	request.hostname = run->directory.name;
	status = composition_sandbox(&run->composition, &request, &arena, error);
	if (status == 0)
		status = session_call(&run->session, "CreateSandbox", &request.base, SESSION_CALL_TIMEOUT, error);
	arena_free(&arena);
	return status < 0 ? error_wrap(error, "create the sandbox") : 0;
}

/* The guest has no clock finer than a second, and little entropy of its own. */
static int prepare_guest(struct run *run, struct error *error)
{
	Grpc__SetGuestDateTimeRequest date = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;
	Grpc__ReseedRandomDevRequest reseed = GRPC__RESEED_RANDOM_DEV_REQUEST__INIT;
	uint8_t entropy[ENTROPY_SIZE];
	struct timespec now;
	int status;

	clock_gettime(CLOCK_REALTIME, &now);
	date.sec = now.tv_sec;
	date.usec = now.tv_nsec / 1000;
	status = session_call(&run->session, "SetGuestDateTime", &date.base, SESSION_CALL_TIMEOUT, error);
	if (status < 0)
		return error_wrap(error, "set the guest's clock");
	if (getrandom(entropy, sizeof(entropy), 0) != (ssize_t)sizeof(entropy))
		return error_errno(error, errno, "getrandom");
	reseed.data.data = entropy;
	reseed.data.len = sizeof(entropy);
	status = session_call(&run->session, "ReseedRandomDev", &reseed.base, SESSION_CALL_TIMEOUT, error);
	explicit_bzero(entropy, sizeof(entropy));
	if (status < 0)
		return error_wrap(error, "give the guest entropy");
	status = composition_network(&run->composition, &run->session, error);
	return status < 0 ? status : create_sandbox(run, error);
}

/* To the log, and to whoever is attached; further output waits until all of these have taken it. */
static void streams_output(void *data, unsigned stream, const void *bytes, size_t length)
{
	struct run *run = data;

	output_log_write(&run->log, stream, bytes, length);
	clients_tell_output(&run->clients, stream, bytes, length);
	if (clients_pending(&run->clients) && !run->killed)
		for (unsigned i = 0; i < STREAMS_OUTPUTS; i++)
			streams_hold(&run->streams, i, true);
}

static void streams_wanted(void *data, bool wanted)
{
	struct run *run = data;

	run->input_wanted = wanted;
	if (wanted)
		run_feed(run);
}

static int open_streams(struct run *run, void (*changed)(void *data), struct error *error)
{
	const struct streams_options options = {
		.loop = &run->loop,
		.container = run->directory.name,
		.interactive = run->options->interactive,
		.terminal = run->options->terminal,
		.io = run->options->io,
		.output = streams_output,
		.wanted = streams_wanted,
		.changed = changed,
		.data = run,
	};

	return streams_open(&run->streams, &options, run->directory.path, error);
}

static int send_container(struct run *run, struct arena *arena, struct error *error)
{
	const struct composition_place place = {
		.name = run->directory.name,
		.before = run->image.type != NULL,
		.rows = run->rows,
		.columns = run->columns,
	};
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	int status = composition_container(&run->composition, &place, &request, arena, error);

	if (status < 0)
		return status;
	request.container_id = run->directory.name;
	request.exec_id = run->directory.name;
	request.stdin_port = run->streams.ports[0];
	request.stdout_port = run->streams.ports[1];
	request.stderr_port = run->streams.ports[2];
	if (process_file_write(&run->directory, request.oci->process, error) < 0)
		return -error->number;
	return session_call(&run->session, "CreateContainer", &request.base, SESSION_CALL_TIMEOUT, error);
}

static int create_container(struct run *run, struct error *error)
{
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_FORK, SPEC_LIMIT);
	status = send_container(run, &arena, error);
	arena_free(&arena);
	return status;
}

static int start_container(struct run *run, struct error *error)
{
	Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;

	request.container_id = run->directory.name;
	return session_call(&run->session, "StartContainer", &request.base, SESSION_CALL_TIMEOUT, error);
}

/* The agent's refusal of a command is the command's fault, with docker's exit statuses. */
static int status_of_refusal(const struct run *run, int result)
{
	if (result != -EREMOTEIO)
		return EXIT_FAULT;
	return process_refusal_status(run->session.code);
}

static void exit_told(void *data, int status, const char *message)
{
	struct run *run = data;

	run->exited = status >= 0;
	run->lost = !run->exited;
	if (run->exited)
		run->exit_code = status;
	else
		error_set(&run->session.error, EREMOTEIO, "%s", message);
}

static void streams_changed(void *data)
{
	struct run *run = data;

	if (run->waited || !run->running || !streams_ended(&run->streams))
		return;
	run->waited = true;
	streams_wait(&run->streams, exit_told);
}

/* The connection and the VM end together, and the one may be noticed before the other. */
static bool machine_has_ended(struct run *run)
{
	if (!run->machine.ended && child_ended(&run->machine.proxy, VM_END_MILLISECONDS))
		loop_step(&run->loop);
	return run->machine.ended;
}

int run_container_await(struct run *run, struct error *error)
{
	const struct share *share = &run->composition.share;

	while (!run->cancelled && !run->machine.ended && !run->lost && !share->ended) {
		if (run->exited)
			return run->exit_code & 0xff;
		if (loop_step(&run->loop) < 0)
			return error_errno(error, EIO, "event loop");
	}
	if (run->cancelled)
		return error_set(error, ECANCELED, "interrupted");
	if (machine_has_ended(run))
		return machine_explain_end(&run->machine, error);
	if (share->ended)
		return share_explain_end(share, &run->directory, error);
	return error_set(error, EIO, "wait for the container: %s", run->session.error.text);
}

int run_container_start(struct run *run, int *status, struct error *error)
{
	int result;

	run->session.mends = run->options->io == IO_SESSIONS;
	result = prepare_guest(run, error);
	if (result == 0)
		result = open_streams(run, streams_changed, error);
	if (result < 0)
		return result;
	timeline_note(&run->timeline, "the sandbox is ready");
	result = create_container(run, error);
	if (result == 0)
		timeline_note(&run->timeline, "the container is created");
	if (result == 0)
		result = start_container(run, error);
	if (result < 0) {
		*status = status_of_refusal(run, result);
		return result;
	}
	timeline_note(&run->timeline, "the container runs");
	run->running = true;
	return 0;
}

static void end_expired(struct loop_timer *timer)
{
	(void)timer;
}

void run_finish(struct run *run)
{
	Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	Grpc__DestroySandboxRequest destroy = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
	struct loop_timer timer = {0};
	struct error error;

	remove.container_id = run->directory.name;
	if (session_call(&run->session, "RemoveContainer", &remove.base, END_TIMEOUT, &error) < 0)
		timeline_note(&run->timeline, "remove the container: %s", error.text);
	if (!run->machine.ended &&
	    session_call(&run->session, "DestroySandbox", &destroy.base, END_TIMEOUT, &error) < 0)
		timeline_note(&run->timeline, "destroy the sandbox: %s", error.text);
	/* The guest waits for its clients to be gone before it ends. */
	session_close(&run->session);
	loop_timer_set(&run->loop, &timer, END_TIMEOUT, end_expired);
	while (!run->machine.ended && !run->cancelled && timer.deadline != 0)
		if (loop_step(&run->loop) < 0)
			break;
	loop_timer_clear(&run->loop, &timer);
	timeline_note(&run->timeline, "the VM %s", run->machine.ended ? "has ended" : "is ended by force");
}
