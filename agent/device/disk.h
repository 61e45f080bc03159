/* Block devices of the guest, by their file or by where they are plugged in, there already or awaited. */
#ifndef NACRE_AGENT_DEVICE_DISK_H
#define NACRE_AGENT_DEVICE_DISK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

#define DISK_PATH_SIZE (5 + NAME_MAX + 1) /* "/dev/NAME" and the zero */

/* Whether a file is a block device that can be opened. */
bool disk_opens(const char *path);

/* Returns once "/dev/NAME" is a block device that can be opened, at most `timeout` nanoseconds. 0; -ETIMEDOUT; -EINVAL
 * where the path isn't "/dev/NAME". */
int disk_wait(const char *path, uint64_t timeout, struct error *error);

/* The same for the virtio disk at a PCI path ("02/00"), whether it was there at the boot or is plugged in now; `path` is its
 * "/dev/NAME" then. */
int disk_wait_pci(const char *pci_path, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error);

#endif
