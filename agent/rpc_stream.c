/* The streams of a process, by calls. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"

static void read_output(struct process *process, struct output *output, struct ttrpc_call *call)
{
	output_read(output, call, ((const Grpc__ReadStreamRequest *)call->request)->len);
	process_output_read(process);
}

void rpc_read_stdout(struct ttrpc_call *call)
{
	const Grpc__ReadStreamRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (process)
		read_output(process, &process->stdout_stream, call);
}

/* A terminal has one stream, which both calls read. */
void rpc_read_stderr(struct ttrpc_call *call)
{
	const Grpc__ReadStreamRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (process)
		read_output(process, process->terminal ? &process->stdout_stream : &process->stderr_stream, call);
}

void rpc_write_stdin(struct ttrpc_call *call)
{
	const Grpc__WriteStreamRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (process)
		input_write(&process->stdin_stream, call, request->data.data, request->data.len);
}

void rpc_close_stdin(struct ttrpc_call *call)
{
	const Grpc__CloseStdinRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	/* An empty write: it takes its turn behind the writes made before, and its answer is as empty as ours. */
	if (process)
		input_write(&process->stdin_stream, call, NULL, 0);
}
