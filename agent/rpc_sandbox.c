/* CreateSandbox and DestroySandbox. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"

void rpc_create_sandbox(struct ttrpc_call *call)
{
	struct agent *agent = call->server->context;

	sandbox_create(&agent->sandbox, call, (const void *)call->request);
}

void rpc_destroy_sandbox(struct ttrpc_call *call)
{
	struct agent *agent = call->server->context;

	sandbox_destroy(&agent->sandbox, call);
}
