/* PCI devices that a container drives itself (behaviour.md section 5, vfio-pci and vfio-pci-gk). */
#ifndef NACRE_AGENT_DEVICE_VFIO_H
#define NACRE_AGENT_DEVICE_VFIO_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/device/disk.h"

#define BDF_SIZE 32 /* "0000:02:00.0" and the zero */

/* Returns once there is a device at a PCI path, at most `timeout` nanoseconds, with its name. 0; -ETIMEDOUT; -EINVAL for
 * what is no such path. */
int vfio_wait(const char *pci_path, uint64_t timeout, char bdf[BDF_SIZE], struct error *error);

/* Takes a device from its driver and gives it to vfio-pci; *taken is false where that has it already. The number of its
 * IOMMU group, or -errno with the device where it was: ENODEV where the guest has no IOMMU or no vfio-pci. */
int vfio_bind(const char *bdf, bool *taken, struct error *error);

/* Gives a device back to the guest's own drivers. */
void vfio_release(const char *bdf);

/* Waits for the group's file, and names it. 0 or -ETIMEDOUT. */
int vfio_wait_group(int group, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error);

#endif
