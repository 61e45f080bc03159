/* Lists of storages. */
#include "agent/storage_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

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

int storage_list_plan(struct storage_list *list, struct arena *arena, struct storage_uses *uses,
		      const char *container_id, Grpc__Storage **storages, size_t count, uint64_t hotplug_timeout,
		      struct error *error)
{
	int status = 0;
	size_t i;

	*list = (struct storage_list){.requests = arena_array(arena, count, sizeof(*list->requests))};
	if (!list->requests)
		return error_errno(error, ENOMEM, "plan storages");
	for (i = 0; i < count && status >= 0; i++) {
		status = storage_uses_add(uses, storages[i]->mount_point, storages[i]->shared);
		if (status > 0)
			status = copy_request(&list->requests[list->count++], arena, container_id, storages[i],
					      hotplug_timeout);
	}
	if (status >= 0)
		return 0;
	storage_list_forget(uses, storages, i);
	return error_errno(error, -status, "plan storages");
}

/* How often the list itself uses a mount point. */
static unsigned uses_in_list(Grpc__Storage **storages, size_t count, const char *mount_point)
{
	unsigned uses = 0;

	for (size_t i = 0; i < count; i++)
		uses += strcmp(storages[i]->mount_point, mount_point) == 0;
	return uses;
}

int storage_list_plan_unmount(struct storage_list *list, struct arena *arena, struct storage_uses *uses,
			      Grpc__Storage **storages, size_t count, struct error *error)
{
	int status = 0;

	*list = (struct storage_list){.requests = arena_array(arena, count, sizeof(*list->requests))};
	if (!list->requests)
		return error_errno(error, ENOMEM, "plan storages");
	for (size_t i = count; i > 0 && status == 0; i--) {
		const Grpc__Storage *storage = storages[i - 1];

		if (storage_uses_last(uses, storage->mount_point, uses_in_list(storages, count, storage->mount_point)))
			status = copy_request(&list->requests[list->count++], arena, "", storage, 0);
	}
	return status < 0 ? error_errno(error, -status, "plan storages") : 0;
}

void storage_list_forget(struct storage_uses *uses, Grpc__Storage **storages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		storage_uses_drop(uses, storages[i]->mount_point);
}

/* Unmounts those that we have mounted, the last one first. */
static void undo(const struct storage_list *list, const bool *ours, size_t count)
{
	while (count-- > 0)
		if (ours[count])
			storage_unmount(list->requests[count].mount_point, NULL);
}

int storage_list_mount(const void *argument, struct job_result *result)
{
	const struct storage_list *list = argument;
	cleanup_free bool *ours = calloc(list->count + 1, sizeof(*ours));

	if (!ours)
		return error_errno(&result->error, ENOMEM, "mount storages");
	for (size_t i = 0; i < list->count; i++) {
		int status = storage_mount(&list->requests[i], &result->error);

		if (status < 0) {
			undo(list, ours, i);
			return error_wrap(&result->error, "storage %s", list->requests[i].mount_point);
		}
		ours[i] = status == 0;
	}
	return 0;
}

int storage_list_unmount(const struct storage_list *list, struct error *error)
{
	for (size_t i = 0; i < list->count; i++) {
		int status = storage_unmount(list->requests[i].mount_point, error);

		if (status < 0)
			return status;
	}
	return 0;
}
