/* The streams of a process, by calls; and giving one to a connection (AttachStream of proto/guest.proto). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/attached_stream.h"
#include "agent/rpc.h"
#include "guest.pb-c.h"

/* The offset that the caller's metadata name. False where they name none that is one: then the call has been answered. */
static bool find_offset(struct ttrpc_call *call, uint64_t *offset)
{
	const char *text = ttrpc_call_metadata(call, "nacre-offset");
	char *end;

	*offset = OUTPUT_NEXT;
	if (!text)
		return true;
	errno = 0;
	*offset = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *offset != OUTPUT_NEXT)
		return true;
	ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "nacre-offset: '%.80s' is no offset", text);
	return false;
}

static void read_output(struct process *process, struct output *output, struct ttrpc_call *call)
{
	uint64_t offset;

	if (!find_offset(call, &offset))
		return;
	output_read(output, call, ((const Grpc__ReadStreamRequest *)call->request)->len, offset);
	process_output_read(process);
}

void rpc_read_stdout(struct ttrpc_call *call)
{
	const Grpc__ReadStreamRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (process)
		read_output(process, &process->stdout_stream, call);
}

/* A terminal has one stream, which both calls read; two callers that each count the bytes would get them twice. */
void rpc_read_stderr(struct ttrpc_call *call)
{
	const Grpc__ReadStreamRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (process && process->terminal && ttrpc_call_metadata(call, "nacre-offset"))
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "a terminal's offsets are ReadStdout's");
	else if (process)
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

/* Why the request's stream can't be attached: the status, with *reason; or TTRPC_OK. */
static enum ttrpc_code refuse_attaching(const struct process *process, const Nacre__AttachStreamRequest *request,
					const struct output *output, const char **reason)
{
	bool by_calls = output ? output->by_calls : process->stdin_stream.by_calls;

	*reason = "the process has no such stream";
	if ((unsigned)request->stream > NACRE__STREAM__STDERR)
		return TTRPC_NOT_FOUND;
	if (request->stream == NACRE__STREAM__STDERR && process->terminal)
		return TTRPC_NOT_FOUND;
	if (!process->by_calls && by_calls)
		return TTRPC_NOT_FOUND;
	*reason = "the process isn't made yet";
	if (process->state == PROCESS_LAUNCHING)
		return TTRPC_FAILED_PRECONDITION;
	*reason = "the stream has a connection of its own";
	if (!by_calls)
		return TTRPC_FAILED_PRECONDITION;
	*reason = "the offset is beyond what has been sent";
	if (output && request->offset > output->position + buffer_length(&output->left))
		return TTRPC_FAILED_PRECONDITION;
	return TTRPC_OK;
}

void rpc_attach_stream(struct ttrpc_call *call)
{
	const Nacre__AttachStreamRequest *request = (const void *)call->request;
	Nacre__AttachStreamResponse response = NACRE__ATTACH_STREAM_RESPONSE__INIT;
	struct agent *agent = call->server->context;
	struct output *output = NULL;
	struct process *process;
	enum ttrpc_code code;
	const char *reason;
	int connection, status;

	/* The connection was opened before, but may still wait in the socket's queue. Others that do may be all that a process
	 * has waited for, so it's looked for behind that. */
	listener_drain(&agent->streams);
	stream_ports_look(&agent->stream_ports);
	process = rpc_find_process(call, request->container_id, request->exec_id);
	if (!process)
		return;
	if (request->stream != NACRE__STREAM__STDIN)
		output = request->stream == NACRE__STREAM__STDERR ? &process->stderr_stream : &process->stdout_stream;
	code = refuse_attaching(process, request, output, &reason);
	if (code != TTRPC_OK) {
		ttrpc_call_fail(call, code, "%s", reason);
		return;
	}
	connection = stream_ports_claim(&agent->stream_ports, request->port);
	if (connection < 0) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, "no connection has come from port %u", request->port);
		return;
	}
	status = output ? output_attach(output, connection, request->offset)
			: input_attach(&process->stdin_stream, connection);
	if (status < 0) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "attach a stream: %s", strerror(-status));
		return;
	}
	response.offset = output ? output->position : process->stdin_stream.position;
	response.ended = !(output ? output->attached : process->stdin_stream.attached);
	ttrpc_call_reply(call, &response.base);
}
