/* Processes: launch, streams, exit. */
#define LOG_SUBSYSTEM "process"
#include "agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/container.h"
#include "agent/rpc.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

/* How long a grandchild may hold the output open after the process itself has gone (behaviour.md, ReadStdout). */
#define GRACE (500 * LOOP_MILLISECOND)
/* How long the connections of its streams may take to arrive (behaviour.md section 9). */
#define ARRIVAL (300 * LOOP_MILLISECOND)
/* How long a process whose holder has gone may take to end by itself. */
#define HANGUP (5 * LOOP_SECOND)
/* How long output that nobody has read outlives the answer to WaitProcess. */
#define LINGER (30 * LOOP_SECOND)

static struct agent *agent_of(const struct process *process)
{
	return process->container->sandbox->agent;
}

struct process *process_new(struct container *container, const char *exec_id)
{
	struct process *process = calloc(1, sizeof(*process));
	struct process **link = &container->processes;

	if (!process)
		return NULL;
	process->exec_id = strdup(exec_id);
	if (!process->exec_id) {
		free(process);
		return NULL;
	}
	process->container = container;
	process->pidfd = -1;
	process->report.fd = -1;
	input_open(&process->stdin_stream, &agent_of(process)->loop, -1, -1, false);
	output_open(&process->stdout_stream, &agent_of(process)->loop, -1, -1, NULL);
	output_open(&process->stderr_stream, &agent_of(process)->loop, -1, -1, NULL);
	while (*link)
		link = &(*link)->next;
	*link = process;
	return process;
}

/* The exit is told --------------------------------------------------------------------------------------------- */

/* Another WaitProcess is to find what this one didn't get. */
static void exit_lost(struct queued_call *entry)
{
	((struct process *)entry->owner)->waited = false;
}

static void answer_wait(struct process *process)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;

	response.status = process->status;
	process->waited = true;
	ttrpc_call_reply(call_queue_take_kept(&process->waits, &process->told, exit_lost), &response.base);
}

static void linger_expired(struct loop_timer *timer)
{
	struct process *process = container_of(timer, struct process, linger);

	/* Whoever is attached takes the time that it takes. */
	if (process->stdout_stream.attached || process->stderr_stream.attached)
		loop_timer_set(&agent_of(process)->loop, timer, LINGER, linger_expired);
	else
		process_free(process);
}

static bool drained(const struct process *process)
{
	return output_drained(&process->stdout_stream) && output_drained(&process->stderr_stream);
}

static bool ends_told(const struct process *process)
{
	return process->stdout_stream.end_told && process->stderr_stream.end_told;
}

/* An exec whose exit has been told goes once the end of its output has been told as well, or after a while; its pipes go
 * as soon as they are empty. A container's first process stays with its container. From a timer, as the caller is still
 * using it. */
static void forget_when_done(struct process *process)
{
	bool done = process->waited && !process->told && drained(process) && ends_told(process);

	if ((!process->waited && !process->unattended) || process == process->container->init)
		return;
	loop_timer_set(&agent_of(process)->loop, &process->linger, done ? 0 : LINGER, linger_expired);
}

bool process_settled(const struct process *process)
{
	return !process_alive(process) && !process->waits && drained(process) && ends_told(process);
}

static bool exit_is_final(const struct process *process)
{
	return process->state == PROCESS_EXITED && (process->by_calls || drained(process));
}

static void tell_exit(struct process *process)
{
	if (!exit_is_final(process))
		return;
	while (process->waits)
		answer_wait(process);
	if (process->waited) {
		output_settle(&process->stdout_stream);
		output_settle(&process->stderr_stream);
	}
	forget_when_done(process);
}

void process_output_read(struct process *process)
{
	if (process->waited)
		forget_when_done(process);
}

/* Holding ------------------------------------------------------------------------------------------------------- */

/* A process leads a session and a process group of its own; as long as it isn't reaped that number is no other's. */
static void signal_group(const struct process *process, int signal)
{
	if (process_alive(process) && kill(-process->pid, signal) < 0)
		log_debug("signal %d to the group of %s: %s", signal, process->exec_id, strerror(errno));
}

static void hangup_expired(struct loop_timer *timer)
{
	signal_group(container_of(timer, struct process, hangup), SIGKILL);
}

static void hang_up(struct process *process)
{
	log_debug("%s/%s is hung up", process->container->id, process->exec_id);
	signal_group(process, SIGHUP);
	signal_group(process, SIGCONT);
	loop_timer_set(&agent_of(process)->loop, &process->hangup, HANGUP, hangup_expired);
}

static void holder_left(void *owner)
{
	struct process *process = owner;

	if (process->holds || process->state == PROCESS_EXITED)
		return;
	process->hung_up = true;
	if (process->state == PROCESS_RUNNING)
		hang_up(process);
}

void process_hold(struct process *process, struct ttrpc_call *call)
{
	if (process->state == PROCESS_EXITED)
		ttrpc_call_reply(call, NULL);
	else
		call_queue_add(&process->holds, call, process, holder_left);
}

static void answer_holds(struct process *process)
{
	while (process->holds)
		ttrpc_call_reply(call_queue_take(&process->holds), NULL);
}

void process_unhold(struct process *process)
{
	process->unattended = true;
	input_abandon(&process->stdin_stream);
	answer_holds(process);
}

static void grace_expired(struct loop_timer *timer)
{
	struct process *process = container_of(timer, struct process, grace);

	output_finish(&process->stdout_stream);
	output_finish(&process->stderr_stream);
	tell_exit(process);
}

static void stdout_ended(struct output *output)
{
	tell_exit(container_of(output, struct process, stdout_stream));
}

static void stderr_ended(struct output *output)
{
	tell_exit(container_of(output, struct process, stderr_stream));
}

void process_exited(struct process *process, int status)
{
	process->state = PROCESS_EXITED;
	process->status = status;
	log_debug("%s/%s exited with %d", process->container->id, process->exec_id, status);
	answer_holds(process);
	oom_look(&process->container->oom);
	if (!drained(process))
		loop_timer_set(&agent_of(process)->loop, &process->grace, GRACE, grace_expired);
	tell_exit(process);
	container_process_exited(process->container, process);
}

void process_wait(struct process *process, struct ttrpc_call *call)
{
	if (call_queue_add(&process->waits, call, process, NULL))
		tell_exit(process);
}

/* Launching ---------------------------------------------------------------------------------------------------- */

static void close_launch(struct process *process)
{
	loop_remove(&agent_of(process)->loop, &process->report);
	if (process->launch_open)
		launch_destroy(&process->launch);
	process->launch_open = false;
}

/* A pty has come: both directions go over it. */
static void open_terminal(struct process *process)
{
	struct loop *loop = &agent_of(process)->loop;
	int master = take_fd(&process->launch.terminal);
	/* Each direction watches an fd of its own, as an epoll set holds one only once. */
	int writer = fcntl(master, F_DUPFD_CLOEXEC, 3);

	fd_set_blocking(master, false);
	input_open(&process->stdin_stream, loop, writer, take_fd(&process->stdin_stream.socket), true);
	output_open(&process->stdout_stream, loop, master, take_fd(&process->stdout_stream.socket), stdout_ended);
}

/* The caller's status tells what is wrong with the command (NOT_FOUND, PERMISSION_DENIED) from what is wrong with the
 * container, whatever errno that met. */
static struct error failure_of(const struct launch *launch)
{
	struct error failure = launch->failure;

	if (launch->failure_class == LAUNCH_NOT_FOUND)
		failure.number = ENOENT;
	else if (launch->failure_class == LAUNCH_PERMISSION)
		failure.number = EACCES;
	else if (failure.number == ENOENT || failure.number == EACCES)
		failure.number = EIO;
	return failure;
}

static void report_ready(struct loop_source *source, uint32_t events)
{
	struct process *process = container_of(source, struct process, report);
	struct error failure;

	(void)events;
	switch (launch_receive(&process->launch)) {
	case LAUNCH_PROCESS:
		process->pid = process->launch.pid;
		process->pidfd = take_fd(&process->launch.pidfd);
		container_process_made(process->container, process);
		break;
	case LAUNCH_TERMINAL:
		open_terminal(process);
		break;
	case LAUNCH_ASSEMBLED:
		container_process_assembled(process->container, process);
		break;
	case LAUNCH_READY:
		process->state = process->state == PROCESS_LAUNCHING ? PROCESS_CREATED : process->state;
		process->launched(process, NULL);
		break;
	case LAUNCH_EXECED:
		process->state = process->state == PROCESS_CREATED ? PROCESS_RUNNING : process->state;
		close_launch(process);
		if (process->hung_up)
			hang_up(process);
		process->launched(process, NULL);
		break;
	case LAUNCH_FAILED:
		failure = failure_of(&process->launch);
		close_launch(process);
		process->launched(process, &failure);
		break;
	}
}

/* A pipe whose one end is the workload's (left in *theirs) and whose other end is ours. -1 where there is none. */
static int make_pipe(int *theirs, bool they_read, int size)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	if (size > 0)
		fcntl(ends[0], F_SETPIPE_SZ, size);
	*theirs = ends[!they_read];
	fd_set_blocking(ends[they_read], false);
	return ends[they_read];
}

/* Opens the streams over pipes. `theirs` are the workload's ends: the caller's to close, also after an error. */
static int open_pipes(struct process *process, int connections[3], int theirs[3], struct error *error)
{
	struct loop *loop = &agent_of(process)->loop;
	int size = (int)agent_of(process)->config.container_pipe_size;
	int ours[3] = {-1, -1, -1};

	for (int i = 0; i < 3; i++) {
		if (!process->by_calls && connections[i] < 0)
			continue; /* absent: /dev/null */
		ours[i] = make_pipe(&theirs[i], i == 0, i == 0 ? 0 : size);
		if (ours[i] < 0) {
			int number = -ours[i];

			while (i-- > 0)
				fd_close(&ours[i]);
			return error_errno(error, number, "make the pipes of a process");
		}
	}
	input_open(&process->stdin_stream, loop, ours[0], take_fd(&connections[0]), false);
	output_open(&process->stdout_stream, loop, ours[1], take_fd(&connections[1]), stdout_ended);
	output_open(&process->stderr_stream, loop, ours[2], take_fd(&connections[2]), stderr_ended);
	return 0;
}

static void launch_when_arrived(struct process *process)
{
	loop_timer_clear(&agent_of(process)->loop, &process->arrival);
	process->arrived(process);
}

static void arrival_expired(struct loop_timer *timer)
{
	launch_when_arrived(container_of(timer, struct process, arrival));
}

static bool all_arrived(const struct process *process)
{
	const struct stream_ports *ports = &agent_of(process)->stream_ports;
	const struct stream_numbers *numbers = &process->numbers;

	return (numbers->in == 0 || stream_ports_has(ports, numbers->in)) &&
	       (numbers->out == 0 || stream_ports_has(ports, numbers->out)) &&
	       (numbers->err == 0 || stream_ports_has(ports, numbers->err));
}

void process_await_streams(struct process *process, void (*arrived)(struct process *process))
{
	const struct stream_numbers *numbers = &process->numbers;
	struct agent *agent = agent_of(process);

	process->arrived = arrived;
	process->by_calls = numbers->in == 0 && numbers->out == 0 && numbers->err == 0;
	/* What the host has connected already may still wait in the socket's queue. */
	if (!process->by_calls)
		listener_drain(&agent->streams);
	if (all_arrived(process))
		arrived(process);
	else
		loop_timer_set(&agent->loop, &process->arrival, ARRIVAL, arrival_expired);
}

void process_stream_arrived(struct process *process)
{
	if (process->arrival.deadline && all_arrived(process))
		launch_when_arrived(process);
}

static void claim_connections(struct process *process, int connections[3])
{
	struct stream_ports *ports = &agent_of(process)->stream_ports;

	connections[0] = stream_ports_claim(ports, process->numbers.in);
	connections[1] = stream_ports_claim(ports, process->numbers.out);
	connections[2] = stream_ports_claim(ports, process->numbers.err);
}

int process_launch(struct process *process, const struct plan *plan,
		   void (*launched)(struct process *process, const struct error *error), struct error *error)
{
	struct launch_options options = {.stdio = {-1, -1, -1}};
	int connections[3], status = 0;

	process->launch_time = loop_now();
	process->terminal = plan->process.terminal;
	process->launched = launched;
	claim_connections(process, connections);
	if (process->terminal) {
		/* They wait in the streams until the pty is there. */
		process->stdin_stream.socket = take_fd(&connections[0]);
		process->stdout_stream.socket = take_fd(&connections[1]);
	} else {
		status = open_pipes(process, connections, options.stdio, error);
	}
	if (status == 0)
		status = launch_start(&process->launch, plan, &options, error);
	for (int i = 0; i < 3; i++) {
		fd_close(&options.stdio[i]);
		fd_close(&connections[i]);
	}
	if (status < 0)
		return status;
	process->launch_open = true;
	status = loop_add(&agent_of(process)->loop, &process->report, process->launch.report_fd, EPOLLIN, report_ready);
	return status < 0 ? error_errno(error, -status, "watch a launch") : 0;
}

int process_release(struct process *process, struct error *error)
{
	int status = launch_release(&process->launch);

	return status < 0 ? error_errno(error, -status, "start %s", process->exec_id) : 0;
}

void process_abandon(struct process *process, const struct error *reason)
{
	struct ttrpc_call *call = take_pointer(&process->call);

	/* One that still waits for its connections is never launched. */
	loop_timer_clear(&agent_of(process)->loop, &process->arrival);
	close_launch(process);
	if (call)
		rpc_fail(call, reason);
	input_close(&process->stdin_stream);
	output_close(&process->stdout_stream);
	output_close(&process->stderr_stream);
}

void process_free(struct process *process)
{
	struct loop *loop = &agent_of(process)->loop;
	struct process **link = &process->container->processes;
	struct error gone;

	while (*link != process)
		link = &(*link)->next;
	*link = process->next;
	error_set(&gone, EIO, "the process is gone");
	process_abandon(process, &gone);
	call_queue_forget(&process->told);
	while (process->waits)
		ttrpc_call_fail(call_queue_take(&process->waits), TTRPC_INTERNAL, "Invalid container id");
	loop_timer_clear(loop, &process->grace);
	loop_timer_clear(loop, &process->linger);
	answer_holds(process);
	loop_timer_clear(loop, &process->hangup);
	fd_close(&process->pidfd);
	free(process->exec_id);
	free(process);
}
