/* CreateContainer, StartContainer, UpdateContainer, PauseContainer, ResumeContainer, RemoveContainer. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"
#include "lib/cleanup.h"

/* How long processes may take to die where the caller sets no time. */
#define REMOVE_TIMEOUT (30 * LOOP_SECOND)

void rpc_create_container(struct ttrpc_call *call)
{
	struct agent *agent = call->server->context;

	container_create(&agent->sandbox, call, (const void *)call->request);
}

void rpc_start_container(struct ttrpc_call *call)
{
	const Grpc__StartContainerRequest *request = (const void *)call->request;
	struct container *container = rpc_find_container(call, request->container_id);

	if (container)
		container_start(container, call);
}

/* The three requests begin with the container's id alike. */
void rpc_change_container(struct ttrpc_call *call)
{
	const Grpc__UpdateContainerRequest *request = (const void *)call->request;
	struct container *container = rpc_find_container(call, request->container_id);

	if (!container)
		return;
	if (request->base.descriptor == &grpc__update_container_request__descriptor && !request->resources)
		ttrpc_call_reply(call, NULL);
	else
		container_change(container, call);
}

static void removed(struct container *container, const struct error *error)
{
	rpc_finish(take_pointer(&container->remove_call), error);
}

/* The removal goes on without its caller. */
static void remove_cancelled(struct ttrpc_call *call)
{
	struct container *container = call->handler_data;

	container->remove_call = NULL;
}

void rpc_remove_container(struct ttrpc_call *call)
{
	const Grpc__RemoveContainerRequest *request = (const void *)call->request;
	struct sandbox *sandbox = &((struct agent *)call->server->context)->sandbox;
	struct error error;
	struct container *container = sandbox_find_removable(sandbox, request->container_id, &error);

	if (!container && sandbox->stopping) {
		/* The stop removes what has ended, as whoever waited for that end is about to. */
		ttrpc_call_reply(call, NULL);
		return;
	}
	if (!container) {
		rpc_fail(call, &error);
		return;
	}
	container->remove_call = call;
	call->handler_data = container;
	call->cancelled = remove_cancelled;
	container_remove(container, request->timeout ? request->timeout * LOOP_SECOND : REMOVE_TIMEOUT, removed);
}
