/* Calls which a job answers. The answer comes back packed, in a memfd: it may be larger than a socket takes at once. */
#include "agent/rpc_job.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/rpc.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

struct rpc_job {
	struct job job;
	struct ttrpc_call *call;
	void (*answer)(struct ttrpc_call *call); /* NULL: as the job says */
};

int rpc_job_answer(struct job_result *result, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	cleanup_close int memory = memfd_create("answer", MFD_CLOEXEC);
	cleanup_free uint8_t *bytes = malloc(size + 1);
	int status;

	if (memory < 0 || !bytes)
		return error_errno(&result->error, memory < 0 ? errno : ENOMEM, "make the answer");
	protobuf_c_message_pack(message, bytes);
	status = fd_write_all(memory, bytes, size);
	if (status < 0)
		return error_errno(&result->error, -status, "make the answer");
	result->fds[result->fd_count++] = take_fd(&memory);
	return 0;
}

ProtobufCMessage *rpc_job_unpack(const ProtobufCMessageDescriptor *type, struct arena *arena, int memory)
{
	struct stat status;
	uint8_t *bytes;

	if (fstat(memory, &status) < 0 || status.st_size > TTRPC_BODY_MAX)
		return NULL;
	bytes = arena_alloc(arena, (size_t)status.st_size + 1);
	if (!bytes || pread(memory, bytes, (size_t)status.st_size, 0) != status.st_size)
		return NULL;
	return protobuf_c_message_unpack(type, &arena->allocator, (size_t)status.st_size, bytes);
}

static void answer(const struct rpc_job *job, const struct job_result *result)
{
	struct ttrpc_call *call = job->call;
	ProtobufCMessage *response;

	if (!result->error.number && job->answer) {
		job->answer(call);
		return;
	}
	if (result->error.number || result->fd_count == 0) {
		rpc_finish(call, &result->error);
		return;
	}
	response = rpc_job_unpack(call->output, &call->arena, result->fds[0]);
	if (response)
		ttrpc_call_reply(call, response);
	else
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "the answer takes too much memory");
}

static void job_done(struct job *job, struct job_result *result)
{
	struct rpc_job *own = container_of(job, struct rpc_job, job);

	own->call->cancelled = NULL;
	answer(own, result);
	while (result->fd_count > 0)
		close(result->fds[--result->fd_count]);
}

static void call_cancelled(struct ttrpc_call *call)
{
	struct rpc_job *job = call->handler_data;

	job_cancel(&job->job);
}

void rpc_run_job_then(struct ttrpc_call *call, const char *what, uint64_t timeout,
		      int (*work)(const void *argument, struct job_result *result), const void *argument,
		      void (*answer)(struct ttrpc_call *call))
{
	struct rpc_job *job = arena_alloc(&call->arena, sizeof(*job));
	struct error error;
	int status = job ? 0 : error_errno(&error, ENOMEM, "%s", what);

	if (status == 0) {
		*job = (struct rpc_job){.call = call, .answer = answer};
		status = job_start(&job->job, call->server->loop, what, timeout, work, argument, job_done, &error);
	}
	if (status < 0) {
		rpc_fail(call, &error);
		return;
	}
	call->handler_data = job;
	call->cancelled = call_cancelled;
}

void rpc_run_job(struct ttrpc_call *call, const char *what, uint64_t timeout,
		 int (*work)(const void *argument, struct job_result *result), const void *argument)
{
	rpc_run_job_then(call, what, timeout, work, argument, NULL);
}
