/* Storages on block devices: each driver knows how its source is found; what follows is the same for all of them. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/device/disk.h"
#include "agent/device/scsi.h"
#include "agent/device/wait.h"
#include "agent/storage/block.h"
#include "agent/storage/drivers.h"
#include "agent/storage/mount.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/run_program.h"

#define CREATE_FILESYSTEM "create_filesystem"
#define ENCRYPTION "encryption_key"
#define FORMAT_TIMEOUT (50 * LOOP_SECOND)

static int find_file(const char *source, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error)
{
	int status = disk_wait(source, timeout, error);

	if (status == 0)
		strcpy(path, source); /* disk_wait() has looked at its length */
	return status;
}

/* A device's file, as for mmioblk, or its place on the PCI buses. */
static int find_by_pci(const char *source, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error)
{
	return *source == '/' ? find_file(source, timeout, path, error) : disk_wait_pci(source, timeout, path, error);
}

static const struct {
	const char *driver;
	int (*find)(const char *source, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error);
} kinds[] = {
	{"blk", find_by_pci},
	{"mmioblk", find_file},
	{"nvdimm", find_file},
	{"scsi", scsi_wait},
};

int block_find(const struct storage_request *request, char path[DISK_PATH_SIZE], struct error *error)
{
	for (size_t i = 0; i < array_size(kinds); i++)
		if (strcmp(kinds[i].driver, request->driver) == 0)
			return kinds[i].find(request->source, request->hotplug_timeout, path, error);
	return error_set(error, EINVAL, "driver '%.40s' has no block devices", request->driver);
}

struct partition {
	const char *disk; /* its name */
	unsigned number;
	char path[DISK_PATH_SIZE];
};

/* By the kernel's own number: how a partition's name is made of the disk's depends on the driver. */
static bool partition_is_there(void *wanted)
{
	struct partition *partition = wanted;
	char path[PATH_MAX], text[16];
	struct dirent *entry;
	bool found = false;
	DIR *folder;

	snprintf(path, sizeof(path), "/sys/class/block/%s", partition->disk);
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "%s/partition", entry->d_name);
		if (strncmp(entry->d_name, partition->disk, strlen(partition->disk)) != 0 ||
		    fd_read_file(dirfd(folder), path, text, sizeof(text), NULL) < 0 ||
		    strtoul(text, NULL, 10) != partition->number)
			continue;
		snprintf(partition->path, sizeof(partition->path), "/dev/%s", entry->d_name);
		found = disk_opens(partition->path);
	}
	if (folder)
		closedir(folder);
	return found;
}

int block_find_partition(char path[DISK_PATH_SIZE], unsigned number, uint64_t timeout, struct error *error)
{
	struct partition partition = {.disk = path + strlen("/dev/"), .number = number};
	char what[DISK_PATH_SIZE + 32];
	int status;

	snprintf(what, sizeof(what), "partition %u of %s", number, path);
	status = device_wait_until(partition_is_there, &partition, what, timeout, error);
	if (status == 0)
		strcpy(path, partition.path);
	return status;
}

/* An empty volume of the pod's own, whose disk is new: what is on it is overwritten, as mkfs's -F says. */
static int make_file_system(const char *path, struct error *error)
{
	static const char *const programs[] = {"/sbin/mkfs.ext4", "/usr/sbin/mkfs.ext4"};
	const char *program = programs[access(programs[0], X_OK) < 0];
	char *arguments[] = {(char *)program, "-F", "-O", "^has_journal", "-m", "0", "-i", "163840", "-I", "128",
			     (char *)path, NULL};
	int status = run_program(arguments, FORMAT_TIMEOUT, error);

	if (status == -ENOENT)
		return error_set(error, EOPNOTSUPP, CREATE_FILESYSTEM ": this guest's image has no mkfs.ext4");
	return status;
}

/* What the driver options ask for, before a device is looked for. 1 where it is to be formatted. */
static int look_at_driver_options(const struct storage_request *request, struct error *error)
{
	bool create = options_have(request->driver_options, request->driver_option_count, CREATE_FILESYSTEM);
	const char *key = options_find(request->driver_options, request->driver_option_count, ENCRYPTION);

	if (key && !create)
		return error_set(error, EINVAL, ENCRYPTION "=%.40s requires " CREATE_FILESYSTEM " for block storage", key);
	if (key)
		return error_set(error, EOPNOTSUPP,
				 ENCRYPTION "=%.40s: this guest has no Confidential Data Hub, which encrypts storage", key);
	if (create && strcmp(request->fstype, "ext4") != 0)
		return error_set(error, EINVAL, "creating filesystem %.40s for block storage is unsupported",
				 request->fstype);
	return create;
}

int driver_block(const struct storage_request *request, struct error *error)
{
	struct storage_request found = *request;
	char path[DISK_PATH_SIZE];
	int create = look_at_driver_options(request, error), status;

	if (create < 0)
		return create;
	status = block_find(request, path, error);
	if (status == 0 && create && !mount_is_there(request->mount_point, request->fstype))
		status = make_file_system(path, error);
	found.source = path;
	return status < 0 ? status : mount_as_asked(&found, error);
}
