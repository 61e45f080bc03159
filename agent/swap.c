/* Swap: wait for the disk, swapon(2). */
#include "agent/swap.h"

#include <errno.h>
#include <string.h>
#include <sys/swap.h>

#include "agent/device/disk.h"

int swap_add(const struct swap_request *request, struct error *error)
{
	const char *file = request->place;
	char path[DISK_PATH_SIZE];
	int status = 0;

	if (request->pci) {
		status = disk_wait_pci(request->place, request->hotplug_timeout, path, error);
		file = path;
	} else if (*file != '/') {
		return error_set(error, EINVAL, "'%.80s' is no absolute path", file);
	} else if (strncmp(file, "/dev/", 5) == 0) {
		status = disk_wait(file, request->hotplug_timeout, error);
	}
	if (status == 0 && swapon(file, 0) < 0)
		status = error_errno(error, errno, "swap to %.128s", file);
	return status;
}
