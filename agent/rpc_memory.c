/* Memory: GetOOMEvent, and the calls to Kata's mem-agent, which isn't part of this agent (behaviour.md section 10). */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"

void rpc_get_oom_event(struct ttrpc_call *call)
{
	oom_read(&((struct agent *)call->server->context)->sandbox.oom_events, call);
}

void rpc_mem_agent(struct ttrpc_call *call)
{
	ttrpc_call_fail(call, TTRPC_INTERNAL, "mem-agent is disabled");
}
