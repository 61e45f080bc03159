/* The drivers of storage.c's table, one file a family. A driver's `mount` returns as storage_mount() does; what it leaves
 * after an error is at most the mount point's own folders. */
#ifndef NACRE_AGENT_STORAGE_DRIVERS_H
#define NACRE_AGENT_STORAGE_DRIVERS_H

#include "agent/storage/storage.h"
#include "lib/error.h"

/* block.c: everything whose source is, or becomes, a block device */
int driver_block(const struct storage_request *request, struct error *error);
/* overlay.c */
int driver_overlay(const struct storage_request *request, struct error *error);
/* memory.c: ephemeral (tmpfs, hugetlbfs) and local */
int driver_ephemeral(const struct storage_request *request, struct error *error);
int driver_ephemeral_unmount(const struct storage_request *request, struct error *error);
int driver_local(const struct storage_request *request, struct error *error);
/* multi_layer.c */
int driver_multi_layer(const struct storage_request *request, struct error *error);
int driver_multi_layer_unmount(const struct storage_request *request, struct error *error);
/* watchable.c */
int driver_watchable(const struct storage_request *request, struct error *error);
int driver_watchable_unmount(const struct storage_request *request, struct error *error);

#endif
