/* Lists of storages. */
#include "agent/storage_list.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/storage/options.h"
#include "lib/cleanup.h"

/* Each is looked for among the others. */
#define STORAGES_MAX 1024

static const char *const *copy_texts(struct arena *arena, char **texts, size_t count)
{
	const char **copies = arena_array(arena, count + 1, sizeof(*copies));

	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = arena_strdup(arena, texts[i]);
		if (!copies[i])
			return NULL;
	}
	return copies;
}

static int copy_request(struct storage_request *request, struct arena *arena, const char *container_id,
			const Grpc__Storage *storage, uint64_t hotplug_timeout)
{
	*request = (struct storage_request){
		.driver = arena_strdup(arena, storage->driver),
		.source = arena_strdup(arena, storage->source),
		.fstype = arena_strdup(arena, storage->fstype),
		.mount_point = arena_strdup(arena, storage->mount_point),
		.options = copy_texts(arena, storage->options, storage->n_options),
		.option_count = storage->n_options,
		.driver_options = copy_texts(arena, storage->driver_options, storage->n_driver_options),
		.driver_option_count = storage->n_driver_options,
		.container_id = arena_strdup(arena, container_id),
		.hotplug_timeout = hotplug_timeout,
	};
	if (storage->fs_group) {
		request->fs_group_set = true;
		request->fs_group = storage->fs_group->group_id;
		request->fs_group_on_root_mismatch =
			storage->fs_group->group_change_policy == TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch;
	}
	return request->driver && request->source && request->fstype && request->mount_point && request->options &&
			       request->driver_options && request->container_id
		       ? 0
		       : -ENOMEM;
}

/* Multi-layer groups ------------------------------------------------------------------------------------------- */

static const char *const *words_of(const Grpc__Storage *storage)
{
	return (const char *const *)storage->options;
}

static bool is_member(const Grpc__Storage *storage)
{
	return multi_layer_is_member(storage->driver, words_of(storage), storage->n_options);
}

/* Where the whole group is mounted: at the upper layer's place, or else at the one of the first lower layer. */
static const char *group_mount_point(Grpc__Storage **storages, size_t count)
{
	const char *first = NULL;
	long lowest = LONG_MAX, number;

	for (size_t i = 0; i < count; i++) {
		const Grpc__Storage *storage = storages[i];

		if (!is_member(storage))
			continue;
		if (multi_layer_is_upper(storage->fstype, words_of(storage), storage->n_options))
			return storage->mount_point;
		if (options_number(words_of(storage), storage->n_options, MULTI_LAYER_PARTITION, 10, &number, NULL) < 0)
			number = -1;
		if (!first || number < lowest) {
			first = storage->mount_point;
			lowest = number;
		}
	}
	return first;
}

/* What the storage at `index` is counted by; NULL for one whose group has been counted already. */
static const char *key_of(Grpc__Storage **storages, size_t count, size_t index)
{
	if (!is_member(storages[index]))
		return storages[index]->mount_point;
	for (size_t i = 0; i < index; i++)
		if (is_member(storages[i]))
			return NULL;
	return group_mount_point(storages, count);
}

static int copy_group(struct storage_request *request, struct arena *arena, const char *container_id,
		      Grpc__Storage **storages, size_t count, uint64_t hotplug_timeout)
{
	struct storage_request *layers = arena_array(arena, count, sizeof(*layers));
	int status = 0;

	*request = (struct storage_request){
		.driver = MULTI_LAYER_DRIVER, .source = "", .fstype = "overlay", .layers = layers,
		.mount_point = arena_strdup(arena, group_mount_point(storages, count)),
		.container_id = arena_strdup(arena, container_id),
	};
	if (!layers || !request->mount_point || !request->container_id)
		return -ENOMEM;
	for (size_t i = 0; i < count && status == 0; i++)
		if (is_member(storages[i]))
			status = copy_request(&layers[request->layer_count++], arena, container_id, storages[i],
					      hotplug_timeout);
	return status;
}

/* Appends the storage at `index`, or the group that it stands for. */
static int append(struct storage_list *list, struct arena *arena, const char *container_id, Grpc__Storage **storages,
		  size_t count, size_t index, uint64_t hotplug_timeout)
{
	struct storage_request *request = &list->requests[list->count++];

	if (is_member(storages[index]))
		return copy_group(request, arena, container_id, storages, count, hotplug_timeout);
	return copy_request(request, arena, container_id, storages[index], hotplug_timeout);
}

/* Plans -------------------------------------------------------------------------------------------------------- */

static int start_list(struct storage_list *list, struct arena *arena, size_t count, struct error *error)
{
	*list = (struct storage_list){.requests = arena_array(arena, count, sizeof(*list->requests))};
	return list->requests ? 0 : error_errno(error, ENOMEM, "plan storages");
}

int storage_list_plan(struct storage_list *list, struct arena *arena, struct storage_uses *uses,
		      const char *container_id, Grpc__Storage **storages, size_t count, uint64_t hotplug_timeout,
		      struct error *error)
{
	int status = count > STORAGES_MAX ?
			     error_set(error, EINVAL, "%zu storages are more than %d", count, STORAGES_MAX) :
			     start_list(list, arena, count, error);
	size_t i;

	if (status < 0)
		return status;
	for (i = 0; i < count; i++) {
		const char *key = key_of(storages, count, i);

		status = key ? storage_uses_add(uses, key) : 0;
		if (status < 0)
			break;
		if (status > 0)
			status = append(list, arena, container_id, storages, count, i, hotplug_timeout);
		if (status < 0) {
			storage_uses_drop(uses, key);
			break;
		}
	}
	if (i == count)
		return 0;
	while (i-- > 0) {
		const char *key = key_of(storages, count, i);

		if (key)
			storage_uses_drop(uses, key);
	}
	return error_errno(error, -status, "plan storages");
}

static bool is_kept(const Grpc__Storage *storage)
{
	return storage->shared || storage_is_kept(storage->driver);
}

/* How often the list itself uses a mount point. */
static unsigned uses_in_list(Grpc__Storage **storages, size_t count, const char *mount_point)
{
	unsigned uses = 0;

	for (size_t i = 0; i < count; i++) {
		const char *key = key_of(storages, count, i);

		uses += key && strcmp(key, mount_point) == 0;
	}
	return uses;
}

int storage_list_plan_unmount(struct storage_list *list, struct arena *arena, struct storage_uses *uses,
			      const char *container_id, Grpc__Storage **storages, size_t count, bool undo,
			      struct error *error)
{
	int status = start_list(list, arena, count, error);

	for (size_t i = count; i > 0 && status == 0; i--) {
		const char *key = key_of(storages, count, i - 1);

		if (!key || (!undo && is_kept(storages[i - 1])) ||
		    !storage_uses_last(uses, key, uses_in_list(storages, count, key)))
			continue;
		status = append(list, arena, container_id, storages, count, i - 1, 0);
		storage_uses_go(uses, key);
	}
	if (status < 0)
		storage_list_stay(uses, storages, count);
	return status < 0 ? error_errno(error, -status, "plan storages") : 0;
}

int storage_list_plan_kept(struct storage_list *list, struct arena *arena, const struct storage_uses *uses,
			   struct error *error)
{
	size_t count = 0;
	int status;

	for (const struct storage_use *use = uses->first; use; use = use->next)
		count++;
	status = start_list(list, arena, count, error);
	for (const struct storage_use *use = uses->first; use && status == 0; use = use->next) {
		if (use->count > 0)
			continue;
		list->requests[list->count] = (struct storage_request){
			.driver = "ephemeral", .mount_point = arena_strdup(arena, use->mount_point)};
		if (!list->requests[list->count++].mount_point)
			status = error_errno(error, ENOMEM, "plan storages");
	}
	return status;
}

void storage_list_stay(struct storage_uses *uses, Grpc__Storage **storages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *key = key_of(storages, count, i);

		if (key)
			storage_uses_stay(uses, key);
	}
}

void storage_list_forget(struct storage_uses *uses, Grpc__Storage **storages, size_t count, bool undo)
{
	for (size_t i = 0; i < count; i++) {
		const char *key = key_of(storages, count, i);

		if (key && !undo && is_kept(storages[i]))
			storage_uses_keep(uses, key);
		if (key)
			storage_uses_drop(uses, key);
	}
}

/* Jobs --------------------------------------------------------------------------------------------------------- */

/* What this job has made of a storage: the mount, and what of its mount point wasn't there. */
struct step {
	bool mounted;
	size_t found;
};

/* Takes back what we have made, the last one first. */
static void undo(const struct storage_list *list, const struct step *steps, size_t count)
{
	while (count-- > 0)
		if (steps[count].mounted)
			storage_undo(&list->requests[count], steps[count].found);
}

int storage_list_mount(const void *argument, struct job_result *result)
{
	const struct storage_list *list = argument;
	cleanup_free struct step *steps = calloc(list->count + 1, sizeof(*steps));

	if (!steps)
		return error_errno(&result->error, ENOMEM, "mount storages");
	for (size_t i = 0; i < list->count; i++) {
		int status = storage_mount(&list->requests[i], &steps[i].found, &result->error);

		if (status < 0) {
			undo(list, steps, i);
			return error_wrap(&result->error, "storage %s", list->requests[i].mount_point);
		}
		steps[i].mounted = status == 0;
	}
	return 0;
}

int storage_list_unmount(const struct storage_list *list, struct error *error)
{
	for (size_t i = 0; i < list->count; i++) {
		int status = storage_remove(&list->requests[i], error);

		if (status < 0)
			return status;
	}
	return 0;
}
