/* dm-verity under a layer: the device mapper, by its own ioctls (linux/dm-ioctl.h; the kernel's
 * Documentation/admin-guide/device-mapper/verity.rst). Blocks, so it is for jobs. */
#ifndef NACRE_AGENT_STORAGE_VERITY_H
#define NACRE_AGENT_STORAGE_VERITY_H

#include <stddef.h>

#include "agent/device/disk.h"
#include "lib/error.h"

/* Makes a mapped device called `name` which reads `device` and checks it as the words X-kata.dmverity.KEY=VALUE say
 * (behaviour.md section 4): what they leave out is taken from the superblock at hashoffset, where there is one. `path` is its
 * "/dev/dm-N". 0 or -errno, with nothing left. */
int verity_open(const char *name, const char *device, const char *const *words, size_t count,
		char path[DISK_PATH_SIZE], struct error *error);

/* Removes that device, as soon as nobody has it open any more. One that isn't there is passed over. */
void verity_close(const char *name);

#endif
