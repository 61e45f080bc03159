/* ExecProcess, SignalProcess, WaitProcess, TtyWinResize. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"
#include "lib/cleanup.h"

void rpc_exec(struct ttrpc_call *call, struct container *container, const char *exec_id, const Grpc__Process *process,
	      const char *tool, struct stream_numbers numbers)
{
	struct exec_description *exec = arena_alloc(&call->arena, sizeof(*exec));

	if (!exec) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	if (*exec_id == '\0') {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the request has no exec id");
		return;
	}
	*exec = (struct exec_description){.id = exec_id, .process = process, .tool = tool, .numbers = numbers};
	container_exec(container, call, exec);
}

void rpc_exec_process(struct ttrpc_call *call)
{
	const Grpc__ExecProcessRequest *request = (const void *)call->request;
	struct container *container = rpc_find_container(call, request->container_id);

	if (container)
		rpc_exec(call, container, request->exec_id, request->process, NULL,
			 (struct stream_numbers){request->stdin_port, request->stdout_port, request->stderr_port});
}

void rpc_signal_process(struct ttrpc_call *call)
{
	const Grpc__SignalProcessRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);
	struct error error;
	int signal, status;

	if (!process)
		return;
	signal = (int)request->signal;
	if (request->signal > (uint32_t)SIGRTMAX) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "%u is no signal", request->signal);
		return;
	}
	/* A container's SIGKILL is for all of it (behaviour.md, SignalProcess), and so is that of the first process of a
	 * paused one, which v1's freezer would keep from dying. */
	if (signal == SIGKILL && process->container->cgroup.tree &&
	    (*request->exec_id == '\0' || (process == process->container->init && process->container->paused))) {
		container_change(process->container, call);
		return;
	}
	status = signal == SIGTERM ? process_terminate(process, &error) : process_signal(process, signal, &error);
	if (status < 0)
		rpc_fail(call, &error);
	else
		ttrpc_call_reply(call, NULL);
}

void rpc_wait_process(struct ttrpc_call *call)
{
	const Grpc__WaitProcessRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (!process)
		return;
	if (process->waited)
		ttrpc_call_fail(call, TTRPC_NOT_FOUND, "process not found: its exit has been told already");
	else
		process_wait(process, call);
}

void rpc_tty_win_resize(struct ttrpc_call *call)
{
	const Grpc__TtyWinResizeRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);
	struct winsize size = {0};

	if (!process)
		return;
	if (request->row > USHRT_MAX || request->column > USHRT_MAX) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "no terminal has %u rows and %u columns", request->row,
				request->column);
		return;
	}
	size.ws_row = (unsigned short)request->row;
	size.ws_col = (unsigned short)request->column;
	if (!process->terminal || process->stdout_stream.fd < 0) {
		ttrpc_call_fail(call, TTRPC_UNAVAILABLE, "no tty");
		return;
	}
	if (ioctl(process->stdout_stream.fd, TIOCSWINSZ, &size) < 0) {
		ttrpc_call_fail(call, TTRPC_INTERNAL, "set the window size: %s", strerror(errno));
		return;
	}
	ttrpc_call_reply(call, NULL);
}
