/* The storages of one request: counted on the loop, mounted and unmounted in a job, all or none of them. The members
 * of a multi-layer group (behaviour.md section 4) are one request, at one mount point.
 */
#ifndef NACRE_AGENT_STORAGE_LIST_H
#define NACRE_AGENT_STORAGE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "agent/job.h"
#include "agent/storage/storage.h"
#include "agent/storage_uses.h"
#include "lib/arena.h"
#include "lib/error.h"

struct storage_list {
	struct storage_request *requests;
	size_t count;
};

/* Counts a use of every storage, and copies the ones that have to be mounted into `arena` (ARENA_FORK), in their order.
 * 0, or -errno with nothing counted: -EBUSY while one of them is being unmounted. */
int storage_list_plan(struct storage_list *list, struct arena *arena, struct storage_uses *uses,
		      const char *container_id, Grpc__Storage **storages, size_t count, uint64_t hotplug_timeout,
		      struct error *error);

/* Copies those whose last use is about to go, last one first; nobody can come to use them from now on. Counts nothing: that is
 * storage_list_forget(), once they have been unmounted, or storage_list_stay() where that has failed. What outlives the
 * containers is left out, unless all of it is to be undone: `undo`. */
int storage_list_plan_unmount(struct storage_list *list, struct arena *arena, struct storage_uses *uses,
			      const char *container_id, Grpc__Storage **storages, size_t count, bool undo,
			      struct error *error);

/* Copies what has been kept, newest first: for the end of the sandbox. */
int storage_list_plan_kept(struct storage_list *list, struct arena *arena, const struct storage_uses *uses,
			   struct error *error);

/* They are used again, and mounted again where they aren't any more. */
void storage_list_stay(struct storage_uses *uses, Grpc__Storage **storages, size_t count);

/* Takes the uses back. `undo`: as above. */
void storage_list_forget(struct storage_uses *uses, Grpc__Storage **storages, size_t count, bool undo);

/* In a job: mounts them in order; where one fails, the ones before it are unmounted again. A job's work (job.h), with
 * the list as its argument. */
int storage_list_mount(const void *list, struct job_result *result);

/* In a job: unmounts them in order. One that isn't mounted is passed over. */
int storage_list_unmount(const struct storage_list *list, struct error *error);

#endif
