/* A container's folder in the guest, "/run/kata-containers/ID", and its root filesystem as seen there ("rootfs").
 * Both functions block: the helper prepares, and a job of the agent removes.
 */
#ifndef NACRE_AGENT_CONTAINER_BUNDLE_H
#define NACRE_AGENT_CONTAINER_BUNDLE_H

#include "lib/error.h"

/* Makes the folder, and binds `root_path` at its "rootfs" unless something is there already. 0 or -errno. */
int bundle_prepare(const char *bundle, const char *root_path, struct error *error);

/* Unmounts bundle/rootfs as often as it is mounted (detached), and removes the folder. Never follows a symlink and
 * never crosses into a mount. 0 (also where it doesn't exist) or -errno. */
int bundle_remove(const char *bundle, struct error *error);

/* The same, without ever looking into a folder, so that it takes no time: -ENOTEMPTY where something is left in one. */
int bundle_remove_quickly(const char *bundle);

#endif
