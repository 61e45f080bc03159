/* Storages: what a request wants mounted in the guest before a container uses it (behaviour.md section 4).
 *
 * One driver a kind of source; the table is in storage.c; a driver finds or prepares the source, and mount.h mounts it. Knows nothing of RPC. All of
 * it may block, so it runs in a job; what a failed call has made, it has removed again.
 */
#ifndef NACRE_AGENT_STORAGE_STORAGE_H
#define NACRE_AGENT_STORAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* How the members of a multi-layer group are told, and what they are: they are one request. */
#define MULTI_LAYER_DRIVER "erofs.multi-layer"
#define MULTI_LAYER_MEMBER "X-kata.multi-layer=true"
#define MULTI_LAYER_UPPER "X-kata.overlay-upper"
#define MULTI_LAYER_LOWER "X-kata.overlay-lower"
#define MULTI_LAYER_PARTITIONED "X-kata.gpt-partitioned=true"
#define MULTI_LAYER_PARTITION "X-kata.partition-number"

struct storage_request {
	const char *driver; /* "mmioblk" */
	const char *source; /* the driver's: "/dev/vda" */
	const char *fstype;
	const char *mount_point;
	const char *const *options;
	size_t option_count;
	const char *const *driver_options; /* "key=value" */
	size_t driver_option_count;
	const char *container_id;  /* "" for the sandbox's own */
	uint64_t hotplug_timeout;  /* nanoseconds that a device may take to appear */
	const struct storage_request *layers; /* of a multi-layer group, in the list's order */
	size_t layer_count;
	bool fs_group_set;
	uint32_t fs_group;
	bool fs_group_on_root_mismatch; /* only where the root's group or mode isn't right yet */
};

/* Mounts one. *found is how much of its mount point's path was there before (made.h). 0; 1 where a file system of that type
 * is mounted there already, which is left as it is, but for a remount; -errno: EINVAL for what can't be, ETIMEDOUT for a
 * device that didn't come. */
int storage_mount(const struct storage_request *request, size_t *found, struct error *error);

/* Takes back all that a storage_mount() which returned 0 has made, the folders of the mount point, too. */
void storage_undo(const struct storage_request *request, size_t found);

/* Unmounts what is at `mount_point`, as often as it is mounted there, and removes the folder if it is empty, the
 * file if something was bound to an empty one. Nothing mounted, or no such folder, is 0. */
int storage_unmount(const char *mount_point, struct error *error);

/* Whether a storage is of a multi-layer group, by its driver and options; and whether such a one is the upper layer. */
bool multi_layer_is_member(const char *driver, const char *const *options, size_t count);
bool multi_layer_is_upper(const char *fstype, const char *const *options, size_t count);

/* Takes down what storage_mount() has made of this request. Nothing there is 0. */
int storage_remove(const struct storage_request *request, struct error *error);

/* Whether a driver's storages outlive the containers that use them: they hold what one container has written for the next
 * (Kubernetes' emptyDir), and go with the sandbox. */
bool storage_is_kept(const char *driver);

/* The names of all drivers, as GetGuestDetails tells them; ends with NULL. */
extern const char *const storage_driver_names[];

#endif
