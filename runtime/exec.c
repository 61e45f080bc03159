/* The order of things in `nacre exec`. It talks to the agent itself, as the container's monitor does. */
#include "runtime/exec.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/client.h"
#include "runtime/exec_process.h"
#include "runtime/exit_status.h"
#include "runtime/process_calls.h"
#include "runtime/signals.h"
#include "runtime/stdio_streams.h"
#include "runtime/terminal.h"
#include "runtime/timeline.h"

#define REQUEST_LIMIT (8u << 20)

struct exec {
	const struct exec_options *options;
	struct run_directory directory;
	struct loop loop;
	struct signals signals;
	struct session session;
	struct stdio_streams streams;
	struct terminal terminal;
	struct detach_keys keys;
	char id[32];
	enum ttrpc_code code; /* of ExecProcess */
	bool answered;	      /* so it is */
	bool running, cancelled, waited, exited, lost, left;
	int exit_code;
	int interrupted;   /* the signal by which we were told to end, or 0 */
	unsigned insisted; /* SIGINT and SIGTERM that the command was sent */
	struct error error;
};

/* Signals and keys ------------------------------------------------------------------------------------------------- */

static struct process_id process_of(struct exec *exec)
{
	return (struct process_id){&exec->session, exec->directory.name, exec->id};
}

static void resize(struct exec *exec)
{
	struct process_id process = process_of(exec);
	unsigned rows, columns;

	if (exec->running && exec->options->terminal && terminal_size(&rows, &columns))
		process_resize(&process, rows, columns);
}

static void forward(struct exec *exec, int number)
{
	struct process_id process = process_of(exec);

	process_signal(&process, number, NULL, NULL);
}

static void signalled(struct signals *signals, int number)
{
	struct exec *exec = container_of(signals, struct exec, signals);
	bool insisted = (number == SIGINT || number == SIGTERM) && ++exec->insisted >= SIGNALS_INSISTED;

	if (number == SIGCONT)
		terminal_again(&exec->terminal);
	if (number == SIGCONT || number == SIGWINCH) {
		resize(exec);
	} else if (exec->running && !exec->options->terminal && !insisted) {
		forward(exec, number);
	} else {
		exec->interrupted = number;
		exec->cancelled = true;
	}
}

static void typed(struct stdio *stdio, const void *bytes, size_t length)
{
	struct exec *exec = container_of(stdio, struct exec, streams.stdio);
	uint8_t passed[INLET_CHUNK + DETACH_KEYS_MOST];
	size_t count;

	if (length == 0) {
		streams_input(&exec->streams.streams, NULL, 0);
		return;
	}
	exec->left = detach_keys_filter(&exec->keys, bytes, length, passed, &count);
	for (size_t done = 0, part; done < count; done += part) {
		part = count - done < STREAMS_CHUNK ? count - done : STREAMS_CHUNK;
		streams_input(&exec->streams.streams, passed + done, part);
	}
}

/* The start -------------------------------------------------------------------------------------------------------- */

static void name_it(struct exec *exec)
{
	uint32_t number = 0;

	(void)!getrandom(&number, sizeof(number), 0);
	snprintf(exec->id, sizeof(exec->id), "exec-%d-%08x", (int)getpid(), number);
}

/* Whoever waits in the loop looks after each step. */
static void streams_changed(void *data)
{
	(void)data;
}

/* A command that is left alone has no streams: one connection is announced, for stdout, and closed when the command runs,
 * so that its output goes nowhere, and the other two are /dev/null. None at all would mean calls, and pipes that fill
 * up. */
static int open_streams(struct exec *exec, uint32_t ports[3], int *lone, struct error *error)
{
	const struct exec_options *options = exec->options;
	const struct streams_options streams = {
		.loop = &exec->loop,
		.container = exec->directory.name,
		.exec = exec->id,
		.interactive = options->interactive,
		.terminal = options->terminal,
		.io = options->io,
		.changed = streams_changed,
		.data = exec,
	};
	int status;

	if (options->detached) {
		*lone = proxy_connect_port(exec->directory.path, STREAMS_PORT, &ports[1], error);
		return *lone < 0 ? *lone : 0;
	}
	status = stdio_streams_open(&exec->streams, &streams, exec->directory.path, error);
	memcpy(ports, exec->streams.streams.ports, sizeof(exec->streams.streams.ports));
	if (options->interactive && options->terminal)
		exec->streams.stdio.arrived = typed;
	return status;
}

static void exec_answered(void *data, const struct ttrpc_result *result)
{
	struct exec *exec = data;

	exec->answered = true;
	exec->code = result->code;
	if (result->code != TTRPC_OK)
		error_set(&exec->error, EREMOTEIO, "%s", result->message);
}

/* The agent's refusal of a command is the command's fault; a container that has ended meanwhile is none. */
static int status_of_refusal(enum ttrpc_code code)
{
	return code == TTRPC_FAILED_PRECONDITION ? EXIT_NO_CONTAINER : process_refusal_status(code);
}

static int send_request(struct exec *exec, const Grpc__ExecProcessRequest *request, int *status, struct error *error)
{
	int result = session_start(&exec->session, "ExecProcess", &request->base, exec_answered, exec);
	struct process_id process = process_of(exec);

	/* Right behind the call that makes it, so that there is no moment at which we could go and leave it. */
	if (result == 0 && !exec->options->detached)
		result = process_hold(&process);
	if (result < 0)
		return error_errno(error, -result, "call ExecProcess");
	while (!exec->answered && !exec->cancelled)
		if (loop_step(&exec->loop) < 0)
			return error_errno(error, EIO, "event loop");
	if (!exec->answered)
		return error_set(error, ECANCELED, "interrupted");
	if (exec->code == TTRPC_OK)
		return 0;
	*status = status_of_refusal(exec->code);
	*error = exec->error;
	return -error->number;
}

static int start(struct exec *exec, struct arena *arena, int *status, struct error *error)
{
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	struct process_id process = process_of(exec);
	cleanup_close int lone = -1;
	uint32_t ports[3] = {0};
	int result;

	request.process = exec_process_build(exec->options, &exec->directory, &exec->session, arena, error);
	if (!request.process)
		return -error->number;
	result = open_streams(exec, ports, &lone, error);
	if (result < 0)
		return result;
	request.container_id = exec->directory.name;
	request.exec_id = exec->id;
	request.stdin_port = ports[0];
	request.stdout_port = ports[1];
	request.stderr_port = ports[2];
	result = send_request(exec, &request, status, error);
	if (result == 0 && exec->options->detached)
		process_release(&process);
	return result;
}

/* The end ---------------------------------------------------------------------------------------------------------- */

static void exit_told(void *data, int status, const char *message)
{
	struct exec *exec = data;

	exec->exited = status >= 0;
	exec->lost = !exec->exited;
	if (exec->exited)
		exec->exit_code = status;
	else
		error_set(&exec->error, EREMOTEIO, "%s", message);
}

static void ask_for_exit(struct exec *exec)
{
	if (exec->waited || !streams_ended(&exec->streams.streams))
		return;
	exec->waited = true;
	stdio_streams_wait(&exec->streams, exit_told);
}

static int explain_end(struct exec *exec, int *status, struct error *error)
{
	int number = stdio_streams_broken(&exec->streams);

	if (exec->cancelled)
		return error_set(error, ECANCELED, "interrupted");
	if (number == EPIPE)
		*status = EXIT_BY_SIGNAL + SIGPIPE;
	if (number)
		return error_errno(error, number, "write the command's output");
	*status = EXIT_BY_SIGNAL + SIGKILL;
	return error_set(error, EIO, "%s has ended: %s", exec->directory.name, exec->error.text);
}

static int await_exit(struct exec *exec, int *status, struct error *error)
{
	int result = stdio_streams_start(&exec->streams, &exec->session, error);
	struct process_id process = process_of(exec);

	if (result < 0)
		return result;
	while (!exec->cancelled && !exec->lost && !exec->left && !stdio_streams_broken(&exec->streams)) {
		ask_for_exit(exec);
		if (exec->exited && stdio_streams_written(&exec->streams))
			return exec->exit_code & 0xff;
		if (loop_step(&exec->loop) < 0)
			return error_errno(error, EIO, "event loop");
	}
	if (!exec->left)
		return explain_end(exec, status, error);
	process_release(&process);
	return 0;
}

static int run_all(struct exec *exec, int *status, struct error *error)
{
	struct arena arena;
	int result;

	if (exec->options->terminal && exec->options->interactive && !isatty(STDIN_FILENO))
		return error_set(error, ENOTTY, "the input device is not a TTY");
	*status = EXIT_NO_CONTAINER;
	result = run_directory_open(&exec->directory, exec->options->name, error);
	if (result == 0 && !run_directory_alive(&exec->directory))
		result = error_set(error, ESRCH, "container %s is not running", exec->directory.name);
	if (result == 0)
		result = session_open(&exec->session, &exec->loop, exec->directory.path, NULL, &exec->cancelled, error);
	if (result < 0)
		return result;
	*status = EXIT_FAULT;
	name_it(exec);
	arena_init(&arena, ARENA_FORK, REQUEST_LIMIT);
	result = start(exec, &arena, status, error);
	arena_free(&arena);
	if (result < 0 || exec->options->detached)
		return result;
	exec->running = true;
	if (exec->options->terminal && exec->options->interactive)
		result = terminal_make_raw(&exec->terminal, STDIN_FILENO, error);
	resize(exec);
	return result < 0 ? result : await_exit(exec, status, error);
}

int exec_run(const struct exec_options *options)
{
	struct exec exec = {
		.options = options,
		.directory = {.base = -1, .fd = -1, .lock = -1},
		.keys = options->keys,
		.terminal = {.fd = -1},
	};
	struct error error = {0};
	int result, status = EXIT_FAULT;

	stdio_fill_descriptors();
	result = loop_init(&exec.loop);
	if (result == 0)
		result = signals_open(&exec.signals, &exec.loop, signalled);
	if (result < 0)
		error_errno(&error, -result, "event loop");
	else
		result = run_all(&exec, &status, &error);
	terminal_restore(&exec.terminal);
	session_close(&exec.session);
	if (exec.streams.streams.options.loop)
		stdio_streams_close(&exec.streams);
	signals_close(&exec.signals);
	loop_destroy(&exec.loop);
	run_directory_close(&exec.directory);
	if (exec.interrupted)
		return EXIT_BY_SIGNAL + exec.interrupted;
	if (result >= 0)
		return result;
	if (error.number != EPIPE || status == EXIT_FAULT)
		timeline_say("%s", error.text);
	return status;
}
