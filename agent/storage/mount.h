/* What drivers share: a mount point, a mount, a group. All of it blocks. */
#ifndef NACRE_AGENT_STORAGE_MOUNT_H
#define NACRE_AGENT_STORAGE_MOUNT_H

#include <stdbool.h>

#include "agent/storage/options.h"
#include "agent/storage/storage.h"
#include "lib/error.h"

/* Makes a folder of the guest with its parents (0755). 0 or -errno. */
int mount_make_directory(const char *path, struct error *error);

/* Whether the uppermost mount at the path is a file system of this type; NULL: of any. */
bool mount_is_there(const char *mount_point, const char *type);

/* Mounts `source` where and as the request says, with these options, and gives it to the request's group; 1 where a file
 * system of that type is there already, or has been mounted anew (remount). What fails half-way is taken down, but for folders that were made, which are
 * storage_mount()'s to remove. */
int mount_source(const struct storage_request *request, const char *source, const struct mount_options *options,
		 struct error *error);

/* The same with the request's own source and options. */
int mount_as_asked(const struct storage_request *request, struct error *error);

#endif
