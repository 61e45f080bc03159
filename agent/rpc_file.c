/* CopyFile. */
#include <errno.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/copy_file.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"

#define COPY_TIMEOUT (60 * LOOP_SECOND)

static int work(const void *argument, struct job_result *result)
{
	return copy_file(argument, &result->error);
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
	struct copy_file copy;
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, 2 * TTRPC_BODY_MAX);
	if (fill(&copy, &arena, (const void *)call->request, &error) < 0)
		rpc_fail(call, &error);
	else
		rpc_run_job(call, "copy a file", COPY_TIMEOUT, work, &copy);
	arena_free(&arena);
}
