/* StatsContainer. */
#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"
#include "agent/stats.h"

#define STATS_TIMEOUT (10 * LOOP_SECOND)
#define STATS_MEMORY (4u << 20)

/* Cgroup files may wait for the kernel. */
static int read_stats(const void *argument, struct job_result *result)
{
	Grpc__StatsContainerResponse response = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	Grpc__CgroupStats stats;
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_FORK, STATS_MEMORY);
	status = stats_read(&stats, &arena, argument, &result->error);
	response.cgroup_stats = &stats;
	return status < 0 ? status : rpc_job_answer(result, &response.base);
}

void rpc_stats_container(struct ttrpc_call *call)
{
	const Grpc__StatsContainerRequest *request = (const void *)call->request;
	struct container *container = rpc_find_container(call, request->container_id);

	if (container)
		rpc_run_job(call, "read statistics", STATS_TIMEOUT, read_stats, &container->cgroup);
}
