/* GetDiagnosticData: what a container has written to its termination log, for a runtime without a shared file system.
 *
 * The file is one that the runtime has put there as a mount's source; but others may have written there since, so it is
 * reached through no symbolic link, has to be a regular file, and is read up to a bound. All in a job: a file system of the
 * host's may not answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "lib/utf8.h"

#define TERMINATION_PATH "io.kubernetes.container.terminationMessagePath"
#define READ_MAX 4096
#define READ_TIMEOUT (10 * LOOP_SECOND)
#define PLAN_MEMORY (1u << 20)

static int read_log(const void *argument, struct job_result *result)
{
	const char *path = argument;
	Grpc__GetDiagnosticDataResponse response = GRPC__GET_DIAGNOSTIC_DATA_RESPONSE__INIT;
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = path_open_beneath(root, path + strspn(path, "/"), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	char bytes[READ_MAX], text[UTF8_COPY_SIZE(READ_MAX)];
	struct stat status;
	ssize_t length = 0;

	if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)))
		return error_set(&result->error, EIO, "the termination log %s is no file", path);
	if (fd >= 0)
		length = fd_read_all(fd, bytes, sizeof(bytes));
	else if (fd != -ENOENT)
		length = fd;
	if (length < 0)
		return error_set(&result->error, EIO, "read the termination log %s: %s", path, strerror((int)-length));
	utf8_copy(text, bytes, (size_t)length);
	response.data = text;
	return rpc_job_answer(result, &response.base);
}

/* Where the container's termination log lies in the guest; NULL with `error`. */
static const char *find_log(const Grpc__Spec *spec, struct error *error)
{
	const char *destination = NULL;

	for (size_t i = 0; i < spec->n_annotations; i++)
		if (strcmp(spec->annotations[i]->key, TERMINATION_PATH) == 0)
			destination = spec->annotations[i]->value;
	for (size_t i = 0; destination && i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i]->destination, destination) == 0)
			return spec->mounts[i]->source;
	error_set(error, EIO, destination ? "no mount has the termination log %s" : "no annotation " TERMINATION_PATH "%s",
		  destination ? destination : "");
	return NULL;
}

void rpc_get_diagnostic_data(struct ttrpc_call *call)
{
	const Grpc__GetDiagnosticDataRequest *request = (const void *)call->request;
	struct agent *agent = call->server->context;
	struct container *container;
	struct error error = {.text = "out of memory"};
	struct arena arena;
	const char *path;

	if (strcmp(request->log_type, "termination_log") != 0) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "log_type \"%.64s\" is none that can be had",
				request->log_type);
		return;
	}
	container = sandbox_find_container(&agent->sandbox, request->container_id, &error);
	path = container ? find_log(container->request->oci, &error) : NULL;
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	path = path ? arena_strdup(&arena, path) : NULL;
	if (path)
		rpc_run_job(call, "read the termination log", READ_TIMEOUT, read_log, path);
	else
		ttrpc_call_fail(call, TTRPC_INTERNAL, "%s", error.text);
	arena_free(&arena);
}
