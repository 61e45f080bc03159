/* GetVolumeStats, ResizeVolume, UpdateEphemeralMounts, RemoveStaleVirtiofsShareMounts. */
#include <errno.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"
#include "agent/storage_list.h"
#include "agent/volume.h"

#define LOOK_TIMEOUT (10 * LOOP_SECOND)
#define CHANGE_TIMEOUT (60 * LOOP_SECOND)
#define PLAN_MEMORY (1u << 20)

struct resize {
	const char *path;
	uint64_t size, timeout;
};

/* Copies a path for a job. NULL, with the call answered, where there is no memory. */
static const char *keep_path(struct ttrpc_call *call, struct arena *arena, const char *path)
{
	const char *copy;

	arena_init(arena, ARENA_FORK, PLAN_MEMORY);
	copy = arena_strdup(arena, path);
	if (!copy)
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "volume_guest_path is too long");
	return copy;
}

static int stats_work(const void *path, struct job_result *result)
{
	Grpc__VolumeUsage bytes = GRPC__VOLUME_USAGE__INIT, inodes = GRPC__VOLUME_USAGE__INIT, *usage[] = {&bytes, &inodes};
	Grpc__VolumeCondition condition = GRPC__VOLUME_CONDITION__INIT;
	Grpc__VolumeStatsResponse response = GRPC__VOLUME_STATS_RESPONSE__INIT;
	struct statfs stats;
	int status = volume_stats(path, &stats, &result->error);

	if (status < 0)
		return status;
	bytes.unit = GRPC__VOLUME_USAGE__UNIT__BYTES;
	bytes.total = stats.f_blocks * (uint64_t)stats.f_bsize;
	bytes.available = stats.f_bfree * (uint64_t)stats.f_bsize;
	inodes.unit = GRPC__VOLUME_USAGE__UNIT__INODES;
	inodes.total = stats.f_files;
	inodes.available = stats.f_ffree;
	for (int i = 0; i < 2; i++)
		usage[i]->used = usage[i]->total - usage[i]->available;
	condition.message = "OK";
	response.usage = usage;
	response.n_usage = 2;
	response.volume_condition = &condition;
	return rpc_job_answer(result, &response.base);
}

void rpc_get_volume_stats(struct ttrpc_call *call)
{
	const Grpc__VolumeStatsRequest *request = (const void *)call->request;
	struct arena arena;
	const char *path = keep_path(call, &arena, request->volume_guest_path);

	if (path)
		rpc_run_job(call, "look at a volume", LOOK_TIMEOUT, stats_work, path);
	arena_free(&arena);
}

static int resize_work(const void *argument, struct job_result *result)
{
	const struct resize *resize = argument;

	return volume_resize(resize->path, resize->size, resize->timeout, &result->error);
}

void rpc_resize_volume(struct ttrpc_call *call)
{
	const Grpc__ResizeVolumeRequest *request = (const void *)call->request;
	const struct agent *agent = call->server->context;
	struct arena arena;
	struct resize resize = {
		.path = keep_path(call, &arena, request->volume_guest_path),
		.size = request->size,
		.timeout = agent->config.hotplug_timeout,
	};

	if (resize.path)
		rpc_run_job(call, "resize a volume", CHANGE_TIMEOUT, resize_work, &resize);
	arena_free(&arena);
}

/* What is there already is mounted anew where its options say "remount", and otherwise left as it is; nothing is to be done
 * for one without options. */
void rpc_update_ephemeral_mounts(struct ttrpc_call *call)
{
	const Grpc__UpdateEphemeralMountsRequest *request = (const void *)call->request;
	struct storage_uses none = {0};
	struct storage_list list;
	size_t count = 0;
	struct arena arena;
	struct error error;

	for (size_t i = 0; i < request->n_storages; i++) {
		const char *driver = request->storages[i]->driver;

		if (strcmp(driver, "ephemeral") != 0) {
			ttrpc_call_fail(call, TTRPC_INTERNAL, "Unsupported storage type for syncing mounts %.80s. Only "
					"ephemeral storage update is supported", driver);
			return;
		}
		if (request->storages[i]->n_options > 0)
			request->storages[count++] = request->storages[i];
	}
	arena_init(&arena, ARENA_FORK, PLAN_MEMORY);
	if (storage_list_plan(&list, &arena, &none, "", request->storages, count, 0, &error) < 0) {
		rpc_fail(call, &error);
	} else {
		storage_list_forget(&none, request->storages, count, true);
		rpc_run_job(call, "update storages", CHANGE_TIMEOUT, storage_list_mount, &list);
	}
	arena_free(&arena);
}

static int touch_work(const void *nothing, struct job_result *result)
{
	(void)nothing;
	return volume_touch_shared(&result->error);
}

void rpc_remove_stale_virtiofs_share_mounts(struct ttrpc_call *call)
{
	rpc_run_job(call, "look at the shares", LOOK_TIMEOUT, touch_work, NULL);
}
