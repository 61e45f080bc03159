/* Block devices of storages. */
#ifndef NACRE_AGENT_STORAGE_BLOCK_H
#define NACRE_AGENT_STORAGE_BLOCK_H

#include "agent/device/disk.h"
#include "agent/storage/storage.h"
#include "lib/error.h"

/* Waits for the device that the request's driver and source name; `path` is its "/dev/NAME". 0 or -errno. */
int block_find(const struct storage_request *request, char path[DISK_PATH_SIZE], struct error *error);

#endif
