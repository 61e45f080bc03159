/* All by sysfs: /sys/bus/pci/devices/BDF has the device's driver, driver_override and iommu_group; the bus has
 * drivers_probe. Documentation/ABI/testing/sysfs-bus-pci and Documentation/driver-api/vfio.rst of the kernel. */
#include "agent/device/vfio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/pci_path.h"
#include "agent/device/wait.h"
#include "lib/fd.h"

#define DRIVER "vfio-pci"
#define FILE_SIZE 128 /* of sysfs, of a device */

struct place {
	struct pci_path pci;
	char folder[PATH_MAX];
};

static bool place_is_taken(void *wanted)
{
	struct place *place = wanted;

	return pci_path_find(&place->pci, "/sys/devices", place->folder) == 0;
}

int vfio_wait(const char *pci_path, uint64_t timeout, char bdf[BDF_SIZE], struct error *error)
{
	struct place place;
	int status = pci_path_parse(&place.pci, pci_path, error);

	if (status == 0)
		status = device_wait_until(place_is_taken, &place, pci_path, timeout, error);
	if (status == 0)
		snprintf(bdf, BDF_SIZE, "%s", strrchr(place.folder, '/') + 1);
	return status;
}

/* The last part of what a link of the device leads to; "" where there is none. */
static void read_link(const char *bdf, const char *name, char text[NAME_MAX + 1])
{
	char path[FILE_SIZE], target[PATH_MAX];
	const char *slash;
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	length = readlink(path, target, sizeof(target) - 1);
	target[length < 0 ? 0 : length] = '\0';
	slash = strrchr(target, '/');
	snprintf(text, NAME_MAX + 1, "%s", slash ? slash + 1 : "");
}

static int write_attribute(const char *bdf, const char *name, const char *text, struct error *error)
{
	char path[FILE_SIZE];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	return fd_write_file(-1, path, text, error);
}

/* Takes the device from the driver that it has, and lets the one that `override` names have it ("\n": whichever fits). */
static int change_driver(const char *bdf, const char *override, struct error *error)
{
	char driver[NAME_MAX + 1];
	int status = write_attribute(bdf, "driver_override", override, error);

	read_link(bdf, "driver", driver);
	if (status == 0 && *driver)
		status = write_attribute(bdf, "driver/unbind", bdf, error);
	return status < 0 ? status : fd_write_file(-1, "/sys/bus/pci/drivers_probe", bdf, error);
}

void vfio_release(const char *bdf)
{
	change_driver(bdf, "\n", NULL);
}

int vfio_bind(const char *bdf, bool *taken, struct error *error)
{
	char driver[NAME_MAX + 1], group[NAME_MAX + 1];
	int status;

	*taken = false;
	read_link(bdf, "iommu_group", group);
	if (!*group)
		return error_set(error, ENODEV, "device %s is in no IOMMU group: this guest has no IOMMU for it", bdf);
	read_link(bdf, "driver", driver);
	if (strcmp(driver, DRIVER) != 0) {
		status = change_driver(bdf, DRIVER, error);
		read_link(bdf, "driver", driver);
		if (status == 0 && strcmp(driver, DRIVER) != 0)
			status = error_set(error, ENODEV, "this guest has no driver " DRIVER " for device %s", bdf);
		if (status < 0) {
			vfio_release(bdf);
			return status;
		}
		*taken = true;
	}
	return atoi(group);
}

static bool group_is_there(void *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISCHR(status.st_mode);
}

int vfio_wait_group(int group, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error)
{
	snprintf(path, DISK_PATH_SIZE, "/dev/vfio/%d", group);
	return device_wait_until(group_is_there, path, path, timeout, error);
}
