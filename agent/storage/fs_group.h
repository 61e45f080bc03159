/* The group that a volume is handed to (behaviour.md section 4, fs_group; Kubernetes' fsGroup). */
#ifndef NACRE_AGENT_STORAGE_FS_GROUP_H
#define NACRE_AGENT_STORAGE_FS_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

/* Gives everything below `path` to `group`: readable for it, writable unless `read_only`, directories searchable and
 * setgid. Symlinks and other mounts are left alone. With `on_mismatch` nothing is done where the top has group and mode
 * already. 0 or -errno. */
int fs_group_apply(const char *path, gid_t group, bool read_only, bool on_mismatch, struct error *error);

#endif
