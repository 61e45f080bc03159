/* Sysfs and devtmpfs show a disk a little before it can be opened, and its uevent comes after that: a disk is there when it
 * opens. */
#include "agent/device/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/pci_path.h"
#include "agent/device/wait.h"
#include "lib/cleanup.h"

bool disk_opens(const char *path)
{
	cleanup_close int fd = -1;
	struct stat status;

	/* Other devices may do something when they are opened. */
	if (stat(path, &status) < 0 || !S_ISBLK(status.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 || errno != ENXIO;
}

static bool file_is_there(void *path)
{
	return disk_opens(path);
}

int disk_wait(const char *path, uint64_t timeout, struct error *error)
{
	char file[DISK_PATH_SIZE];

	if (strncmp(path, "/dev/", 5) != 0 || path[5] == '\0' || strchr(path + 5, '/') ||
	    snprintf(file, sizeof(file), "%s", path) >= (int)sizeof(file))
		return error_set(error, EINVAL, "'%.80s' is no block device's path", path);
	return device_wait_until(file_is_there, file, path, timeout, error);
}

/* What is at a place of the PCI buses, and the file that it becomes. */
struct place {
	struct pci_path pci;
	char path[DISK_PATH_SIZE];
};

static bool place_is_taken(void *wanted)
{
	struct place *place = wanted;
	char name[PCI_NAME_SIZE];

	if (pci_path_find_virtio(&place->pci, "/sys/devices", "block", name) < 0)
		return false;
	snprintf(place->path, sizeof(place->path), "/dev/%s", name);
	return disk_opens(place->path);
}

int disk_wait_pci(const char *pci_path, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error)
{
	struct place place;
	int status = pci_path_parse(&place.pci, pci_path, error);

	if (status == 0)
		status = device_wait_until(place_is_taken, &place, pci_path, timeout, error);
	if (status == 0)
		memcpy(path, place.path, DISK_PATH_SIZE);
	return status;
}
