/* The fields one after the other. What is missing leaves zeros; what has the wrong type is an error. */
#include "box/extras.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"

/* The first failure of a reading. */
struct reading {
	struct arena *arena;
	struct error *error;
	int status;
};

static void refuse(struct reading *reading, const char *name, const char *why)
{
	if (reading->status == 0)
		reading->status = error_set(reading->error, EINVAL, "config.json: %s: %s", name, why);
}

static const json_t *get(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_null(value) ? NULL : value;
}

static const char *text(struct reading *reading, const json_t *object, const char *name)
{
	const json_t *value = get(object, name);

	if (value && !json_is_string(value))
		refuse(reading, name, "no text");
	return json_string_value(value);
}

/* A whole number (which the parser may have made a real: oci/config.c); `given` may be NULL. */
static int64_t number(struct reading *reading, const json_t *object, const char *name, double least, double most,
		      bool *given)
{
	const json_t *value = get(object, name);
	double real = json_number_value(value);

	if (given)
		*given = value != NULL;
	if (value && (!json_is_number(value) || real < least || real > most)) {
		refuse(reading, name, "a number that can't be");
		return 0;
	}
	return json_is_integer(value) ? json_integer_value(value) : (int64_t)real;
}

static uint32_t number32(struct reading *reading, const json_t *object, const char *name, bool *given)
{
	return (uint32_t)number(reading, object, name, 0, UINT32_MAX, given);
}

static uint64_t number64(struct reading *reading, const json_t *object, const char *name, bool *given)
{
	return (uint64_t)number(reading, object, name, 0, (double)(INT64_MAX / 2), given);
}

static void check_truth(struct reading *reading, const json_t *object, const char *name)
{
	const json_t *value = get(object, name);

	if (value && !json_is_boolean(value))
		refuse(reading, name, "neither true nor false");
}

/* An array with as many elements as a list or an object has; NULL for none. */
static void *array_for(struct reading *reading, const json_t *list, size_t size, size_t *count)
{
	size_t wanted = json_is_array(list) ? json_array_size(list) : json_object_size(list);
	void *array = wanted > 0 ? arena_array(reading->arena, wanted, size) : NULL;

	*count = 0;
	if (wanted > 0 && !array && reading->status == 0)
		reading->status = error_errno(reading->error, ENOMEM, "config.json");
	return array;
}

static const char *const *texts(struct reading *reading, const json_t *object, const char *name, size_t *count)
{
	const json_t *list = get(object, name);
	const char **array = array_for(reading, list, sizeof(*array), count);

	if (list && !json_is_array(list))
		refuse(reading, name, "no list");
	for (size_t i = 0; array && i < json_array_size(list); i++) {
		array[(*count)++] = json_string_value(json_array_get(list, i));
		if (!array[i])
			refuse(reading, name, "no list of texts");
	}
	return array;
}

/* Process -------------------------------------------------------------------------------------------------------- */

static void read_scheduler(struct reading *reading, struct plan_scheduler_extras *scheduler, const json_t *object)
{
	if (!object)
		return;
	scheduler->policy = text(reading, object, "policy");
	if (!scheduler->policy)
		refuse(reading, "process.scheduler", "no policy");
	scheduler->nice = (int32_t)number(reading, object, "nice", INT32_MIN, INT32_MAX, NULL);
	scheduler->priority = (int32_t)number(reading, object, "priority", INT32_MIN, INT32_MAX, NULL);
	scheduler->flags = texts(reading, object, "flags", &scheduler->flag_count);
	scheduler->runtime = number64(reading, object, "runtime", NULL);
	scheduler->deadline = number64(reading, object, "deadline", NULL);
	scheduler->period = number64(reading, object, "period", NULL);
}

static void read_process(struct reading *reading, struct plan_process_extras *extras, const json_t *process)
{
	const json_t *priority = get(process, "ioPriority"), *affinity = get(process, "execCPUAffinity");

	extras->umask = number32(reading, get(process, "user"), "umask", &extras->umask_given);
	extras->oom_score_kept = !get(process, "oomScoreAdj");
	read_scheduler(reading, &extras->scheduler, get(process, "scheduler"));
	if (priority) {
		extras->io_class = text(reading, priority, "class");
		if (!extras->io_class)
			refuse(reading, "process.ioPriority", "no class");
		extras->io_priority = (int32_t)number(reading, priority, "priority", INT32_MIN, INT32_MAX, NULL);
	}
	extras->cpus_initial = text(reading, affinity, "initial");
	extras->cpus_final = text(reading, affinity, "final");
}

int extras_read_process(struct plan_process_extras *extras, const json_t *process, struct arena *arena,
			struct error *error)
{
	struct reading reading = {.arena = arena, .error = error};

	*extras = (struct plan_process_extras){0};
	read_process(&reading, extras, process);
	return reading.status;
}

/* Linux ---------------------------------------------------------------------------------------------------------- */

static void read_unified(struct reading *reading, struct plan_resource_extras *extras, json_t *object)
{
	struct plan_unified *list = array_for(reading, object, sizeof(*list), &extras->unified_count);
	const char *key;
	json_t *value;

	extras->unified = list;
	if (!list)
		return;
	json_object_foreach(object, key, value) {
		if (!json_is_string(value))
			refuse(reading, "linux.resources.unified", "no text");
		list[extras->unified_count++] = (struct plan_unified){key, json_string_value(value)};
	}
}

static void read_rdma(struct reading *reading, struct plan_resource_extras *extras, json_t *object)
{
	struct plan_rdma *list = array_for(reading, object, sizeof(*list), &extras->rdma_count);
	const char *key;
	json_t *value;

	extras->rdma = list;
	if (!list)
		return;
	json_object_foreach(object, key, value) {
		struct plan_rdma *entry = &list[extras->rdma_count++];

		entry->device = key;
		entry->handles = number32(reading, value, "hcaHandles", &entry->handles_given);
		entry->objects = number32(reading, value, "hcaObjects", &entry->objects_given);
	}
}

static void read_resources(struct reading *reading, struct plan_resource_extras *extras, const json_t *resources)
{
	const json_t *cpu = get(resources, "cpu");

	extras->cpu_idle = number(reading, cpu, "idle", INT32_MIN, INT32_MAX, &extras->cpu_idle_given);
	extras->cpu_burst = number64(reading, cpu, "burst", &extras->cpu_burst_given);
	/* Of updates, and there are none. */
	check_truth(reading, get(resources, "memory"), "checkBeforeUpdate");
	read_unified(reading, extras, json_object_get(resources, "unified"));
	read_rdma(reading, extras, json_object_get(resources, "rdma"));
}

static void read_offsets(struct reading *reading, struct plan_extras *extras, json_t *object)
{
	struct plan_time_offset *list = array_for(reading, object, sizeof(*list), &extras->time_offset_count);
	const char *key;
	json_t *value;

	extras->time_offsets = list;
	if (!list)
		return;
	json_object_foreach(object, key, value) {
		struct plan_time_offset *offset = &list[extras->time_offset_count++];

		offset->clock = key;
		offset->seconds = number(reading, value, "secs", -1e15, 1e15, NULL);
		offset->nanoseconds = number32(reading, value, "nanosecs", NULL);
	}
}

static const struct plan_mapping *mappings(struct reading *reading, const json_t *list, size_t *count)
{
	struct plan_mapping *array = array_for(reading, list, sizeof(*array), count);

	for (size_t i = 0; array && i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);

		array[(*count)++] = (struct plan_mapping){
			.inside = number32(reading, entry, "containerID", NULL),
			.outside = number32(reading, entry, "hostID", NULL),
			.count = number32(reading, entry, "size", NULL),
		};
	}
	return array;
}

static void read_mounts(struct reading *reading, struct plan_extras *extras, const json_t *mounts)
{
	size_t count;
	struct plan_mount_extras *list = array_for(reading, mounts, sizeof(*list), &count);

	for (size_t i = 0; list && i < json_array_size(mounts); i++) {
		const json_t *mount = json_array_get(mounts, i);

		list[i].uid_mappings = mappings(reading, get(mount, "uidMappings"), &list[i].uid_mapping_count);
		list[i].gid_mappings = mappings(reading, get(mount, "gidMappings"), &list[i].gid_mapping_count);
	}
	extras->mounts = list;
}

int extras_read(struct plan_extras *extras, const json_t *document, struct arena *arena, struct error *error)
{
	const json_t *linux = get(document, "linux"), *seccomp = get(linux, "seccomp");
	const json_t *personality = get(linux, "personality");
	struct reading reading = {.arena = arena, .error = error};

	*extras = (struct plan_extras){.namespaces_literal = true};
	read_process(&reading, &extras->process, get(document, "process"));
	read_resources(&reading, &extras->resources, get(linux, "resources"));
	read_offsets(&reading, extras, json_object_get(linux, "timeOffsets"));
	extras->domainname = text(&reading, document, "domainname");
	if (personality) {
		extras->personality = text(&reading, personality, "domain");
		if (!extras->personality)
			refuse(&reading, "linux.personality", "no domain");
		extras->personality_flag_count = json_array_size(get(personality, "flags"));
	}
	read_mounts(&reading, extras, get(document, "mounts"));
	extras->seccomp_errno = number32(&reading, seccomp, "defaultErrnoRet", &extras->seccomp_errno_given);
	extras->seccomp_listener = text(&reading, seccomp, "listenerPath") != NULL;
	return reading.status;
}
