/* StatsContainer. Cgroup files are read by a job, which hands the packed answer back in a memfd. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/job.h"
#include "agent/rpc.h"
#include "agent/stats.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define STATS_TIMEOUT (10 * LOOP_SECOND)
#define STATS_MEMORY (4u << 20)

struct reading {
	struct job job;
	struct ttrpc_call *call;
};

static int pack_to_memory(const ProtobufCMessage *message, struct job_result *result)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	cleanup_close int memory = memfd_create("stats", MFD_CLOEXEC);
	cleanup_free uint8_t *bytes = malloc(size + 1);
	int status;

	if (memory < 0 || !bytes)
		return error_errno(&result->error, memory < 0 ? errno : ENOMEM, "statistics");
	protobuf_c_message_pack(message, bytes);
	status = fd_write_all(memory, bytes, size);
	if (status < 0)
		return error_errno(&result->error, -status, "statistics");
	result->fds[result->fd_count++] = take_fd(&memory);
	return 0;
}

static int work(const void *argument, struct job_result *result)
{
	Grpc__StatsContainerResponse response = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	Grpc__CgroupStats stats;
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_FORK, STATS_MEMORY);
	status = stats_read(&stats, &arena, argument, &result->error);
	response.cgroup_stats = &stats;
	return status < 0 ? status : pack_to_memory(&response.base, result);
}

/* The answer as the job packed it; NULL where it can't be had. */
static ProtobufCMessage *unpack(struct ttrpc_call *call, int memory)
{
	struct stat status;
	uint8_t *bytes;

	if (fstat(memory, &status) < 0 || status.st_size > TTRPC_BODY_MAX)
		return NULL;
	bytes = arena_alloc(&call->arena, (size_t)status.st_size + 1);
	if (!bytes || pread(memory, bytes, (size_t)status.st_size, 0) != status.st_size)
		return NULL;
	return protobuf_c_message_unpack(&grpc__stats_container_response__descriptor, &call->arena.allocator,
					 (size_t)status.st_size, bytes);
}

static void read_done(struct job *job, struct job_result *result)
{
	struct ttrpc_call *call = container_of(job, struct reading, job)->call;
	ProtobufCMessage *response = NULL;

	call->cancelled = NULL;
	if (result->fd_count > 0)
		response = unpack(call, result->fds[0]);
	while (result->fd_count > 0)
		close(result->fds[--result->fd_count]);
	if (result->error.number)
		rpc_fail(call, &result->error);
	else if (!response)
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "statistics: out of memory");
	else
		ttrpc_call_reply(call, response);
}

static void reading_cancelled(struct ttrpc_call *call)
{
	struct reading *reading = call->handler_data;

	job_cancel(&reading->job);
}

void rpc_stats_container(struct ttrpc_call *call)
{
	const Grpc__StatsContainerRequest *request = (const void *)call->request;
	struct container *container = rpc_find_container(call, request->container_id);
	struct reading *reading;
	struct error error;
	int status;

	if (!container)
		return;
	reading = arena_alloc(&call->arena, sizeof(*reading));
	status = reading ? job_start(&reading->job, call->server->loop, "read statistics", STATS_TIMEOUT, work,
				     &container->cgroup, read_done, &error) :
			   error_errno(&error, ENOMEM, "StatsContainer");
	if (status < 0) {
		rpc_fail(call, &error);
		return;
	}
	reading->call = call;
	call->handler_data = reading;
	call->cancelled = reading_cancelled;
}
