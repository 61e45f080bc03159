/* Block devices of storages. */
#ifndef NACRE_AGENT_STORAGE_BLOCK_H
#define NACRE_AGENT_STORAGE_BLOCK_H

#include <stdint.h>

#include "agent/device/disk.h"
#include "agent/storage/storage.h"
#include "lib/error.h"

/* Waits for the device that the request's driver and source name; `path` is its "/dev/NAME". 0 or -errno. */
int block_find(const struct storage_request *request, char path[DISK_PATH_SIZE], struct error *error);

/* Waits for a partition of the disk at `path`, which becomes the partition's. 0 or -errno. */
int block_find_partition(char path[DISK_PATH_SIZE], unsigned number, uint64_t timeout, struct error *error);

#endif
