/* Waiting for a block device to appear in the guest. */
#ifndef NACRE_AGENT_STORAGE_DEVICE_H
#define NACRE_AGENT_STORAGE_DEVICE_H

#include <stdint.h>

#include "lib/error.h"

/* Returns once "/dev/NAME" is a block device: at once where it is there already, otherwise when the kernel announces one
 * (NETLINK_KOBJECT_UEVENT), at most `timeout` nanoseconds. 0; -ETIMEDOUT; -EINVAL where the path isn't "/dev/NAME". */
int device_wait(const char *path, uint64_t timeout, struct error *error);

#endif
