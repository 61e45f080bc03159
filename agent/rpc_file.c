/* CopyFile. */
#include <errno.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/copy_file.h"
#include "agent/job.h"
#include "agent/rpc.h"
#include "lib/cleanup.h"

#define COPY_TIMEOUT (60 * LOOP_SECOND)

struct copying {
	struct job job;
	struct ttrpc_call *call;
};

static int work(const void *argument, struct job_result *result)
{
	return copy_file(argument, &result->error);
}

static void copied(struct job *job, struct job_result *result)
{
	rpc_finish(container_of(job, struct copying, job)->call, &result->error);
}

static void copy_cancelled(struct ttrpc_call *call)
{
	struct copying *copying = call->handler_data;

	job_cancel(&copying->job);
}

/* Copies what the job reads into memory that it has. */
static int fill(struct copy_file *copy, struct arena *arena, const Grpc__CopyFileRequest *request, struct error *error)
{
	void *data = arena_alloc(arena, request->data.len);

	*copy = (struct copy_file){
		.path = arena_strdup(arena, request->path),
		.size = request->file_size,
		.mode = request->file_mode,
		.directory_mode = request->dir_mode,
		.uid = (uid_t)request->uid,
		.gid = (gid_t)request->gid,
		.offset = request->offset,
		.data = data,
		.length = request->data.len,
	};
	if (!copy->path || !data)
		return error_errno(error, ENOMEM, "CopyFile");
	if (request->data.len > 0)
		memcpy(data, request->data.data, request->data.len);
	return copy_file_check(copy, error);
}

void rpc_copy_file(struct ttrpc_call *call)
{
	struct copying *copying = arena_alloc(&call->arena, sizeof(*copying));
	struct copy_file copy;
	struct arena arena;
	struct error error;
	int status;

	arena_init(&arena, ARENA_FORK, 2 * TTRPC_BODY_MAX);
	status = copying ? fill(&copy, &arena, (const void *)call->request, &error) :
			   error_errno(&error, ENOMEM, "CopyFile");
	if (status == 0)
		status = job_start(&copying->job, call->server->loop, "copy a file", COPY_TIMEOUT, work, &copy, copied,
				   &error);
	arena_free(&arena);
	if (status < 0) {
		rpc_fail(call, &error);
		return;
	}
	copying->call = call;
	call->handler_data = copying;
	call->cancelled = copy_cancelled;
}
