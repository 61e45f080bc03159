/* Limits that config.json can name and the protocol can't: processor bursts and idleness, RDMA, and any file of cgroup
 * v2 by its name. See OCI config-linux.md "CPU", "RDMA", "Unified". */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/cgroup_parts.h"
#include "agent/container/plan_extras.h"

#define FILE_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."

size_t cgroup_extras_count(const struct plan_resource_extras *extras)
{
	size_t count = extras->rdma_count;

	for (size_t i = 0; i < extras->unified_count; i++) {
		count++;
		for (const char *value = extras->unified[i].value; *value; value++)
			count += *value == '\n';
	}
	return count;
}

static void collect_rdma(struct cgroup_collector *collector, const struct plan_rdma *rdma)
{
	char handles[32] = "", objects[32] = "";

	if (!*rdma->device || strpbrk(rdma->device, " \t\n="))
		cgroup_collect_failure(collector, "\"%.64s\" is no name of an RDMA device", rdma->device);
	if (rdma->handles_given)
		snprintf(handles, sizeof(handles), " hca_handle=%" PRIu32, rdma->handles);
	if (rdma->objects_given)
		snprintf(objects, sizeof(objects), " hca_object=%" PRIu32, rdma->objects);
	if (*handles || *objects)
		cgroup_collect(collector, CGROUP_REQUIRED, "rdma", "rdma.max", "%s%s%s", rdma->device, handles,
			       objects);
}

/* A controller's file: "memory.high". Not the cgroup's own, which freeze, kill and move. */
static bool is_controller_file(const char *file)
{
	const char *dot = strchr(file, '.');

	return dot && dot != file && dot[1] && !file[strspn(file, FILE_CHARACTERS)] && !strstr(file, "..") &&
	       strncmp(file, "cgroup.", strlen("cgroup.")) != 0;
}

/* The kernel takes one line a write. */
static void collect_file(struct cgroup_collector *collector, const struct plan_unified *unified)
{
	const char *controller, *line = unified->value;

	if (!is_controller_file(unified->file)) {
		cgroup_collect_failure(collector, "\"%.64s\" is no file of a cgroup controller", unified->file);
		return;
	}
	controller = arena_printf(collector->arena, "%.*s", (int)strcspn(unified->file, "."), unified->file);
	while (controller && *line) {
		int length = (int)strcspn(line, "\n");

		cgroup_collect(collector, CGROUP_REQUIRED, controller, unified->file, "%.*s", length, line);
		line += length;
		line += *line == '\n';
	}
	if (!controller)
		collector->status = error_set(collector->error, ENOMEM, "the resource limits are too many");
}

void cgroup_collect_extras(struct cgroup_collector *collector, bool unified)
{
	const struct plan_resource_extras *extras = collector->extras;

	if (extras->cpu_idle_given && (extras->cpu_idle < 0 || extras->cpu_idle > 1))
		cgroup_collect_failure(collector, "cpu.idle is 0 or 1, and not %" PRId64, extras->cpu_idle);
	if (extras->cpu_idle_given)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", "cpu.idle", "%" PRId64, extras->cpu_idle);
	if (extras->cpu_burst_given)
		cgroup_collect(collector, CGROUP_REQUIRED, "cpu", unified ? "cpu.max.burst" : "cpu.cfs_burst_us",
			       "%" PRIu64, extras->cpu_burst);
	for (size_t i = 0; i < extras->rdma_count; i++)
		collect_rdma(collector, &extras->rdma[i]);
	if (extras->unified_count > 0 && !unified)
		cgroup_collect_failure(collector, "files of cgroup v2 (\"unified\") can't be set on v1");
	for (size_t i = 0; i < extras->unified_count; i++)
		collect_file(collector, &extras->unified[i]);
}
