/* StatsContainer, GetMetrics. */
#include <errno.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/metrics.h"
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

struct scrape {
	pid_t agent;
	uint64_t count;
};

static int read_metrics(const void *argument, struct job_result *result)
{
	const struct scrape *scrape = argument;
	Grpc__Metrics response = GRPC__METRICS__INIT;
	size_t size = 0;
	FILE *file = open_memstream(&response.metrics, &size);

	if (file) {
		metrics_write(file, scrape->agent, scrape->count);
		if (fclose(file) == 0)
			return rpc_job_answer(result, &response.base); /* the memory goes with the job */
	}
	return error_errno(&result->error, ENOMEM, "write the metrics");
}

void rpc_get_metrics(struct ttrpc_call *call)
{
	struct agent *agent = call->server->context;
	const struct scrape scrape = {.agent = getpid(), .count = ++agent->scrapes};

	rpc_run_job(call, "read the metrics", STATS_TIMEOUT, read_metrics, &scrape);
}
