/* OnlineCPUMem, MemHotplugByProbe: what has been plugged in. */
#include <errno.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/online.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"

#define ONLINE_TIMEOUT (60 * LOOP_SECOND)
#define ARENA_LIMIT (4u << 20)

/* A container's cgroup, and the processors that it is to have ("": all). */
struct cpuset {
	struct cgroup cgroup;
	const char *own;
};

struct online {
	uint32_t cpus; /* 0: they stay as they are */
	bool memory;
	struct cgroup_tree cgroups;
	struct cpuset *cpusets;
	size_t cpuset_count;
};

static const char *own_cpus(const struct container *container)
{
	const Grpc__LinuxResources *resources = container->resources;

	return resources && resources->cpu ? resources->cpu->cpus : "";
}

/* For the job, which has no part of the containers' memory. */
static int collect_cpusets(struct online *online, struct arena *arena, const struct sandbox *sandbox,
			   struct error *error)
{
	size_t count = 0;

	online->cgroups = sandbox->cgroups;
	for (const struct container *container = sandbox->containers; container; container = container->next)
		count++;
	online->cpusets = arena_array(arena, count, sizeof(*online->cpusets));
	if (!online->cpusets)
		return error_errno(error, ENOMEM, "the containers' processors");
	for (const struct container *container = sandbox->containers; container; container = container->next) {
		struct cpuset *cpuset = &online->cpusets[online->cpuset_count];

		if (container->state == CONTAINER_CREATING || container->state == CONTAINER_REMOVING ||
		    container->state == CONTAINER_FAILED)
			continue;
		cpuset->cgroup = container->cgroup;
		cpuset->cgroup.tree = &online->cgroups;
		cpuset->own = arena_strdup(arena, own_cpus(container));
		if (!cpuset->own)
			return error_errno(error, ENOMEM, "the containers' processors");
		online->cpuset_count++;
	}
	return 0;
}

static int spread_cpus(const struct online *online, struct error *error)
{
	char guest[ONLINE_CPUS_SIZE];
	int status = online_cpu_list(guest, error);

	for (size_t i = 0; i < online->cpuset_count && status == 0; i++)
		status = cgroup_spread_cpus(&online->cpusets[i].cgroup, guest, online->cpusets[i].own, error);
	return status;
}

static int bring_online(const void *argument, struct job_result *result)
{
	const struct online *online = argument;
	int status = online->cpus > 0 ? online_cpus(online->cpus, &result->error) : 0;

	if (status == 0 && online->memory)
		status = online_memory(&result->error);
	if (status == 0 && online->cpus > 0)
		status = spread_cpus(online, &result->error);
	return status;
}

void rpc_online_cpu_mem(struct ttrpc_call *call)
{
	const Grpc__OnlineCPUMemRequest *request = (const void *)call->request;
	const struct agent *agent = call->server->context;
	struct online online = {.cpus = request->nb_cpus, .memory = !request->cpu_only};
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	if (collect_cpusets(&online, &arena, &agent->sandbox, &error) < 0)
		rpc_fail(call, &error);
	else
		rpc_run_job(call, "bring processors and memory online", ONLINE_TIMEOUT, bring_online, &online);
	arena_free(&arena);
}

/* MemHotplugByProbe -------------------------------------------------------------------------------------------- */

struct addresses {
	const uint64_t *list;
	size_t count;
};

static int probe(const void *argument, struct job_result *result)
{
	const struct addresses *addresses = argument;

	return online_probe_memory(ONLINE_MEMORY_PROBE, addresses->list, addresses->count, &result->error);
}

void rpc_mem_hotplug_by_probe(struct ttrpc_call *call)
{
	const Grpc__MemHotplugByProbeRequest *request = (const void *)call->request;
	struct addresses addresses = {.count = request->n_memhotplugprobeaddr};
	uint64_t *list;
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	list = arena_array(&arena, addresses.count + 1, sizeof(*list));
	addresses.list = list;
	if (list) {
		for (size_t i = 0; i < addresses.count; i++)
			list[i] = request->memhotplugprobeaddr[i];
		rpc_run_job(call, "probe memory", ONLINE_TIMEOUT, probe, &addresses);
	} else {
		error_errno(&error, ENOMEM, "the addresses");
		rpc_fail(call, &error);
	}
	arena_free(&arena);
}
