/* GetIPTables, SetIPTables: the guest's own iptables-save and iptables-restore, of either family, run by a job. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/run_program.h"

#define TOOL_TIMEOUT (30 * LOOP_SECOND)
#define JOB_TIMEOUT (TOOL_TIMEOUT + 5 * LOOP_SECOND)
#define LOCK_SECONDS "5" /* that restore waits for whoever else changes the tables */
#define ARENA_LIMIT (TTRPC_BODY_MAX + (64u << 10))

struct tables {
	bool ipv6, set;
	const uint8_t *data; /* for restore */
	size_t size;
};

static int find_tool(const struct tables *tables, char path[PATH_MAX], struct error *error)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin"};
	char name[32];

	snprintf(name, sizeof(name), "ip%stables-%s", tables->ipv6 ? "6" : "", tables->set ? "restore" : "save");
	for (size_t i = 0; i < array_size(folders); i++) {
		snprintf(path, PATH_MAX, "%s/%s", folders[i], name);
		if (access(path, X_OK) == 0)
			return 0;
	}
	return error_set(error, ENOPKG, "the guest image has no %s (in /usr/sbin or /sbin)", name);
}

/* The answer's `data`, which is the same in both answers. */
static int answer_output(int output, struct job_result *result)
{
	Grpc__GetIPTablesResponse response = GRPC__GET_IPTABLES_RESPONSE__INIT;
	cleanup_free uint8_t *data = NULL;
	struct stat status;

	if (fstat(output, &status) < 0)
		return error_errno(&result->error, errno, "look at the tables");
	if (status.st_size > TTRPC_BODY_MAX)
		return error_set(&result->error, ENOMEM, "the tables are larger than an answer may be");
	data = malloc((size_t)status.st_size + 1);
	if (!data || pread(output, data, (size_t)status.st_size, 0) != status.st_size)
		return error_errno(&result->error, data ? EIO : ENOMEM, "read the tables");
	response.data.data = data;
	response.data.len = (size_t)status.st_size;
	return rpc_job_answer(result, &response.base);
}

static int run_tool(const void *argument, struct job_result *result)
{
	const struct tables *tables = argument;
	char path[PATH_MAX];
	char *arguments[] = {path, tables->set ? (char *)"--wait" : NULL, (char *)LOCK_SECONDS, NULL};
	cleanup_close int input = memfd_create("tables", MFD_CLOEXEC), output = memfd_create("tables", MFD_CLOEXEC);
	int status = find_tool(tables, path, &result->error);

	if (status < 0)
		return status;
	if (input < 0 || output < 0)
		return error_errno(&result->error, errno, "memory for the tables");
	status = fd_write_all(input, tables->data, tables->size);
	if (status < 0 || lseek(input, 0, SEEK_SET) < 0)
		return error_errno(&result->error, status < 0 ? -status : errno, "memory for the tables");
	status = run_program_on(arguments, input, output, TOOL_TIMEOUT, &result->error);
	return status < 0 ? status : answer_output(output, result);
}

void rpc_get_iptables(struct ttrpc_call *call)
{
	const Grpc__GetIPTablesRequest *request = (const void *)call->request;
	const struct tables tables = {.ipv6 = request->is_ipv6};

	rpc_run_job(call, "save the packet filter's tables", JOB_TIMEOUT, run_tool, &tables);
}

void rpc_set_iptables(struct ttrpc_call *call)
{
	const Grpc__SetIPTablesRequest *request = (const void *)call->request;
	struct tables tables = {.ipv6 = request->is_ipv6, .set = true, .size = request->data.len};
	struct error error;
	struct arena arena;
	uint8_t *copy;

	/* A request's own memory isn't there for a child. */
	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	copy = arena_alloc(&arena, tables.size + 1);
	tables.data = copy;
	if (copy) {
		if (tables.size > 0)
			memcpy(copy, request->data.data, tables.size);
		rpc_run_job(call, "restore the packet filter's tables", JOB_TIMEOUT, run_tool, &tables);
	} else {
		error_errno(&error, ENOMEM, "the tables");
		rpc_fail(call, &error);
	}
	arena_free(&arena);
}
