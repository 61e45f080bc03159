/* Disks on SCSI controllers, by their place there: "ID:LUN" (behaviour.md section 4, driver scsi). */
#ifndef NACRE_AGENT_DEVICE_SCSI_H
#define NACRE_AGENT_DEVICE_SCSI_H

#include <stdint.h>

#include "agent/device/disk.h"

/* Has every controller look for the disk, and returns once the first one that has it can open it, at most `timeout`
 * nanoseconds; `path` is its "/dev/NAME" then. 0; -ETIMEDOUT; -EINVAL for what is no such place. */
int scsi_wait(const char *place, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error);

#endif
