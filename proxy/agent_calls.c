/* The table of methods, and the list of open calls. */
#include "proxy/agent_calls.h"

#include <stdlib.h>
#include <string.h>

/* What isn't here is issued once. WriteStdin, SignalProcess and what makes, changes or removes anything are among that: a second
 * one would do it twice, or find that it was done and fail. nacre.Guest's calls hang on the connection that they came by. */
static const struct {
	const char *service, *method;
	unsigned int kind;
} methods[] = {
	/* Questions, whose answer is a state of the guest's. */
	{"grpc.Health", "Check", AGENT_CALL_AGAIN},
	{"grpc.Health", "Version", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "GetGuestDetails", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "GetIPTables", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "GetMetrics", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "GetVolumeStats", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "ListInterfaces", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "ListRoutes", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "StatsContainer", AGENT_CALL_AGAIN},
	/* An exit, or an event, is given back where its answer got no further than the agent's socket. */
	{"grpc.AgentService", "WaitProcess", AGENT_CALL_AGAIN},
	{"grpc.AgentService", "GetOOMEvent", AGENT_CALL_AGAIN},
	/* With their offset exactly what was cut. Of an agent without offsets an answer that was on its way is lost, and nothing
	 * else: the container's output goes on, where failing the read would end it for the client. */
	{"grpc.AgentService", "ReadStdout", AGENT_CALL_AGAIN | AGENT_CALL_STDOUT},
	{"grpc.AgentService", "ReadStderr", AGENT_CALL_AGAIN | AGENT_CALL_STDERR},
	/* What ends or begins a process's count of bytes. */
	{"grpc.AgentService", "CreateContainer", AGENT_CALL_PROCESS},
	{"grpc.AgentService", "ExecProcess", AGENT_CALL_PROCESS},
	{"nacre.Guest", "ExecTool", AGENT_CALL_PROCESS},
	{"grpc.AgentService", "RemoveContainer", AGENT_CALL_REMOVE},
};

enum agent_call_kind agent_call_kind(const struct envelope_request *request)
{
	for (size_t i = 0; i < array_size(methods); i++)
		if (slice_is(request->method, methods[i].method) && slice_is(request->service, methods[i].service))
			return methods[i].kind;
	return AGENT_CALL_ONCE;
}

void agent_calls_init(struct agent_calls *calls)
{
	*calls = (struct agent_calls){0};
	list_init(&calls->open);
}

void agent_calls_free(struct agent_calls *calls)
{
	while (!list_empty(&calls->open))
		agent_calls_remove(calls, container_of(calls->open.next, struct agent_call, link));
}

struct agent_call *agent_calls_add(struct agent_calls *calls, uint32_t stream, struct slice method, struct slice frame)
{
	bool keep = frame.length > 0 && frame.length <= AGENT_CALLS_REQUEST && calls->kept < AGENT_CALLS_KEPT;
	struct agent_call *call;
	size_t length = method.length < sizeof(call->method) - 1 ? method.length : sizeof(call->method) - 1;

	call = calls->count < AGENT_CALLS_MAX ? calloc(1, sizeof(*call) + (keep ? frame.length : 0)) : NULL;
	if (!call)
		return NULL;
	call->stream = stream;
	if (length > 0)
		memcpy(call->method, method.bytes, length);
	if (keep) {
		call->length = frame.length;
		memcpy(call->frame, frame.bytes, frame.length);
		calls->kept++;
	}
	list_append(&calls->open, &call->link);
	calls->count++;
	return call;
}

struct agent_call *agent_calls_find(const struct agent_calls *calls, uint32_t stream)
{
	for (struct list *link = calls->open.next; link != &calls->open; link = link->next) {
		struct agent_call *call = container_of(link, struct agent_call, link);

		if (call->stream == stream)
			return call;
	}
	return NULL;
}

void agent_calls_remove(struct agent_calls *calls, struct agent_call *call)
{
	if (call->length > 0)
		calls->kept--;
	calls->count--;
	list_remove(&call->link);
	free(call);
}
