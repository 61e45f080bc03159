/* Devices of a container: the ones that every container has (OCI config-linux.md "Default Devices") with the spec's. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/container/plan_parts.h"
#include "lib/cleanup.h"

#define MAJOR_MAX 4095	    /* the kernel's dev_t has 12 bits of major, */
#define MINOR_MAX 1048575 /* and 20 of minor */

static const struct plan_device default_devices[] = {
	{"/dev/null", S_IFCHR | 0666, 0x103, 0, 0, false},   {"/dev/zero", S_IFCHR | 0666, 0x105, 0, 0, false},
	{"/dev/full", S_IFCHR | 0666, 0x107, 0, 0, false},   {"/dev/tty", S_IFCHR | 0666, 0x500, 0, 0, false},
	{"/dev/random", S_IFCHR | 0666, 0x108, 0, 0, false}, {"/dev/urandom", S_IFCHR | 0666, 0x109, 0, 0, false},
};

static int resolve_type(const char *type, mode_t *mode)
{
	if (strcmp(type, "c") == 0 || strcmp(type, "u") == 0)
		*mode = S_IFCHR;
	else if (strcmp(type, "b") == 0)
		*mode = S_IFBLK;
	else if (strcmp(type, "p") == 0)
		*mode = S_IFIFO;
	else
		return -EINVAL;
	return 0;
}

/* The mode that the guest's own node has, where the spec is silent. */
static mode_t guest_mode(const char *path)
{
	struct stat stat;

	if (lstat(path, &stat) < 0 || !(S_ISCHR(stat.st_mode) || S_ISBLK(stat.st_mode)))
		return 0;
	return stat.st_mode & 0777;
}

static int resolve_device(struct plan_device *device, const Grpc__LinuxDevice *given, struct arena *arena,
			  struct error *error)
{
	mode_t type;

	device->path = plan_path(arena, given->path, "device path", error);
	if (!device->path)
		return -error->number;
	if (!device->path[1])
		return error_set(error, EINVAL, "a device can't take the place of the root");
	if (resolve_type(given->type, &type) < 0)
		return error_set(error, EINVAL, "device %.128s has the unknown type \"%.16s\"", given->path,
				 given->type);
	if (type != S_IFIFO &&
	    (given->major < 0 || given->major > MAJOR_MAX || given->minor < 0 || given->minor > MINOR_MAX))
		return error_set(error, EINVAL, "device %.128s has the impossible number %lld:%lld", given->path,
				 (long long)given->major, (long long)given->minor);
	if (given->filemode & ~(uint32_t)(S_IFMT | 0777))
		return error_set(error, EINVAL, "device %.128s has the impossible mode %#o", given->path,
				 given->filemode);
	device->mode = type | (given->filemode ? given->filemode & 0777 : guest_mode(device->path));
	if (type != S_IFIFO)
		device->number = makedev((unsigned)given->major, (unsigned)given->minor);
	device->uid = given->uid;
	device->gid = given->gid;
	device->chown_wanted = true;
	return 0;
}

/* Puts a device into the list, in the place of one with the same path. */
static void put_device(struct plan_device *devices, size_t *count, const struct plan_device *device)
{
	for (size_t i = 0; i < *count && i < array_size(default_devices); i++) {
		if (strcmp(devices[i].path, device->path) == 0) {
			devices[i] = *device;
			return;
		}
	}
	devices[(*count)++] = *device;
}

int plan_devices(struct plan *plan, const Grpc__Linux *linux, struct error *error)
{
	size_t given = linux ? linux->n_devices : 0;
	size_t count = array_size(default_devices);
	struct plan_device *devices = plan_array(plan->arena, given + count, sizeof(*devices), error);

	if (!devices)
		return -ENOMEM;
	memcpy(devices, default_devices, sizeof(default_devices));
	for (size_t i = 0; i < given; i++) {
		struct plan_device device = {0};
		int status = resolve_device(&device, linux->devices[i], plan->arena, error);

		if (status < 0)
			return status;
		put_device(devices, &count, &device);
	}
	plan->devices = devices;
	plan->device_count = count;
	return 0;
}
