/* The service nacre.Guest: ExecTool, HoldProcess, ReleaseProcess. See proto/guest.proto. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"
#include "guest.pb-c.h"
#include "lib/cleanup.h"

/* All that the container itself may have. */
static Grpc__LinuxCapabilities *capabilities_of(const Grpc__Process *owner, struct arena *arena)
{
	Grpc__LinuxCapabilities *sets = arena_alloc(arena, sizeof(*sets));
	const Grpc__LinuxCapabilities *given = owner ? owner->capabilities : NULL;

	if (!sets)
		return NULL;
	grpc__linux_capabilities__init(sets);
	if (!given)
		return sets;
	sets->bounding = sets->effective = sets->permitted = given->bounding;
	sets->n_bounding = sets->n_effective = sets->n_permitted = given->n_bounding;
	return sets;
}

/* Root of the container in a session without a terminal. NULL without memory. */
static Grpc__Process *describe(const Nacre__ExecToolRequest *request, const Grpc__Process *owner, struct arena *arena)
{
	Grpc__Process *process = arena_alloc(arena, sizeof(*process));
	Grpc__User *user = arena_alloc(arena, sizeof(*user));
	char **arguments = arena_array(arena, request->n_arguments + 1, sizeof(*arguments));

	if (!process || !user || !arguments)
		return NULL;
	grpc__process__init(process);
	grpc__user__init(user);
	arguments[0] = request->tool;
	for (size_t i = 0; i < request->n_arguments; i++)
		arguments[i + 1] = request->arguments[i];
	process->args = arguments;
	process->n_args = request->n_arguments + 1;
	process->cwd = request->directory;
	process->user = user;
	process->nonewprivileges = owner && owner->nonewprivileges;
	process->capabilities = capabilities_of(owner, arena);
	return process->capabilities ? process : NULL;
}

void rpc_exec_tool(struct ttrpc_call *call)
{
	const Nacre__ExecToolRequest *request = (const void *)call->request;
	struct container *container = rpc_find_container(call, request->container_id);
	Grpc__Process *process;

	if (!container)
		return;
	process = describe(request, container->request->oci->process, &call->arena);
	if (!process)
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		rpc_exec(call, container, request->exec_id, process, request->tool,
			 (struct stream_numbers){request->stdin_port, request->stdout_port, request->stderr_port});
}

void rpc_hold_process(struct ttrpc_call *call)
{
	const Nacre__ProcessRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (process)
		process_hold(process, call);
}

void rpc_release_process(struct ttrpc_call *call)
{
	const Nacre__ProcessRequest *request = (const void *)call->request;
	struct process *process = rpc_find_process(call, request->container_id, request->exec_id);

	if (!process)
		return;
	process_unhold(process);
	ttrpc_call_reply(call, NULL);
}
