/* Waiting for a block device to appear in the guest. */
#ifndef NACRE_AGENT_STORAGE_DEVICE_H
#define NACRE_AGENT_STORAGE_DEVICE_H

#include <stdint.h>

#include "agent/storage/pci_path.h"
#include "lib/error.h"

#define DEVICE_PATH_SIZE (5 + PCI_NAME_SIZE) /* "/dev/NAME" */

/* Returns once "/dev/NAME" is a block device: at once where it is there already, otherwise when the kernel announces one
 * (NETLINK_KOBJECT_UEVENT), at most `timeout` nanoseconds. 0; -ETIMEDOUT; -EINVAL where the path isn't "/dev/NAME". */
int device_wait(const char *path, uint64_t timeout, struct error *error);

/* The same for the virtio disk at a PCI path ("02/00"), whether it was there at the boot or is plugged in now; `path` is its
 * "/dev/NAME" then. */
int device_wait_pci(const char *pci_path, uint64_t timeout, char path[DEVICE_PATH_SIZE], struct error *error);

#endif
