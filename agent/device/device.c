/* One handler a type. A device is there when it can be opened: there from the boot or plugged in, seen in sysfs or by its
 * uevent. */
#include "agent/device/device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/device/disk.h"
#include "agent/device/pci_environment.h"
#include "agent/device/scsi.h"
#include "agent/device/vfio.h"
#include "lib/cleanup.h"
#include "lib/match.h"

/* Of devices, and of their options: each text of the environment is compared with all of them. */
#define DEVICES_MAX 256

/* A search: what is looked for, and what it came to. */
struct search {
	Grpc__Device *device;
	uint64_t timeout;
	struct arena *arena;
	char path[DISK_PATH_SIZE]; /* its file in the guest */
	bool moved;		   /* the container has it at `path`, too */
};

static int find_file(struct search *search, struct error *error)
{
	snprintf(search->path, sizeof(search->path), "%s", search->device->vm_path);
	return disk_wait(search->device->vm_path, search->timeout, error);
}

static int find_block(struct search *search, struct error *error)
{
	if (!*search->device->id)
		return find_file(search, error);
	return disk_wait_pci(search->device->id, search->timeout, search->path, error);
}

static int find_scsi(struct search *search, struct error *error)
{
	return scsi_wait(search->device->id, search->timeout, search->path, error);
}

/* Waits for the device that an option names, "HOST=PCIPATH", and puts its address into the option. One without a path isn't
 * in this guest. */
static int find_option(struct search *search, char **option, struct error *error)
{
	const char *equals = strchr(*option, '=');
	char bdf[BDF_SIZE];
	int status;

	if (!equals)
		return error_set(error, EINVAL, "'%.80s' is no pair of a host's PCI address and a PCI path", *option);
	if (equals[1] == '\0')
		return 0;
	status = vfio_wait(equals + 1, search->timeout, bdf, error);
	if (status < 0)
		return status;
	*option = arena_printf(search->arena, "%.*s=%s", (int)(equals - *option), *option, bdf);
	return *option ? 0 : error_errno(error, ENOMEM, "device %s", bdf);
}

/* For a driver of the guest: only the addresses are of interest. */
static int find_vfio_guest(struct search *search, struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < search->device->n_options && status == 0; i++)
		status = find_option(search, &search->device->options[i], error);
	return status;
}

/* Gives the devices to vfio-pci; `taken` says which had another driver. The group that they share; -EINVAL where they don't,
 * or there is none. */
static int bind_options(const Grpc__Device *device, bool *taken, struct error *error)
{
	int group = -1;

	for (size_t i = 0; i < device->n_options; i++) {
		const char *bdf = strchr(device->options[i], '=') + 1;
		int status = *bdf ? vfio_bind(bdf, &taken[i], error) : group;

		if (*bdf && status >= 0 && group >= 0 && status != group)
			status = error_set(error, EINVAL, "%s is in IOMMU group %d, the ones before it are in %d", bdf, status,
					   group);
		if (*bdf && status < 0)
			return status;
		group = status;
	}
	return group >= 0 ? group : error_set(error, EINVAL, "no PCI path among the options");
}

static int find_vfio(struct search *search, struct error *error)
{
	const Grpc__Device *device = search->device;
	bool taken[DEVICES_MAX] = {0};
	int status = find_vfio_guest(search, error);

	if (status < 0)
		return status;
	search->moved = true;
	status = bind_options(device, taken, error);
	if (status >= 0)
		status = vfio_wait_group(status, search->timeout, search->path, error);
	for (size_t i = 0; i < device->n_options && status < 0; i++)
		if (taken[i])
			vfio_release(strchr(device->options[i], '=') + 1);
	return status;
}

static int refuse(struct search *search, struct error *error)
{
	return error_set(error, EOPNOTSUPP, "%s is for s390x, and this guest isn't one", search->device->type);
}

static const struct handler {
	const char *type;
	bool has_file; /* which the spec has to have an entry for */
	int (*find)(struct search *search, struct error *error);
} handlers[] = {
	{"blk", true, find_block},	 {"mmioblk", true, find_file},		{"nvdimm", true, find_file},
	{"scsi", true, find_scsi},	 {"vfio-pci", true, find_vfio},	{"vfio-pci-gk", false, find_vfio_guest},
	{"blk-ccw", false, refuse},	 {"vfio-ap", false, refuse},		{"vfio-ap-cold", false, refuse},
};

/* Its handler, once it says enough. NULL with `error` filled. */
static const struct handler *find_handler(const Grpc__Device *device, struct error *error)
{
	const char *missing = !*device->type ? "type" :
			      !*device->id && !*device->vm_path ? "id or vm_path" :
			      !*device->container_path ? "container_path" : NULL;

	if (missing) {
		error_set(error, EINVAL, "the device '%.80s' of type '%.40s' has no %s", device->container_path,
			  device->type, missing);
		return NULL;
	}
	for (size_t i = 0; i < array_size(handlers); i++)
		if (strcmp(handlers[i].type, device->type) == 0)
			return &handlers[i];
	error_set(error, EIO, "Failed to find the device handler %.80s", device->type);
	return NULL;
}

/* Waits for one, and says what it is. */
static int find_device(Grpc__Device *device, uint64_t timeout, struct device_found *found, struct arena *arena,
		       struct error *error)
{
	const struct handler *handler = find_handler(device, error);
	struct search search = {.device = device, .timeout = timeout, .arena = arena};
	struct stat status;

	if (handler->find(&search, error) < 0)
		return error_wrap(error, "device %.128s", device->container_path);
	if (!handler->has_file)
		return 0;
	if (stat(search.path, &status) < 0)
		return error_errno(error, errno, "look at %s", search.path);
	found->path = search.moved ? arena_strdup(arena, search.path) : device->container_path;
	found->type = status.st_mode & S_IFMT;
	found->number = status.st_rdev;
	return found->path ? 0 : error_errno(error, ENOMEM, "device %.128s", device->container_path);
}

/* What can be known before any device is waited for, or taken from its driver. */
static int check_devices(const Grpc__CreateContainerRequest *request, struct device_found *found, struct arena *arena,
			 struct error *error)
{
	size_t count = request->n_devices;

	for (size_t i = 0; i < request->n_devices && count <= DEVICES_MAX; i++)
		count += request->devices[i]->n_options;
	if (count > DEVICES_MAX)
		return error_set(error, EINVAL, "more than %d devices and options of theirs", DEVICES_MAX);
	for (size_t i = 0; i < request->n_devices; i++) {
		const struct handler *handler = find_handler(request->devices[i], error);

		if (!handler)
			return -error->number;
		if (handler->has_file)
			found[i].container_path = request->devices[i]->container_path;
	}
	return device_spec_check(request->oci, found, request->n_devices, arena, error);
}

struct addition {
	Grpc__Spec *spec;
	struct arena *arena;
	struct error *error;
};

static int add_file(const char *path, void *data)
{
	struct addition *to = data;
	struct device_found found = {.path = arena_strdup(to->arena, path), .type = S_IFCHR};
	Grpc__LinuxDevice *entry;
	struct stat status;

	if (!found.path || stat(found.path, &status) < 0 || !S_ISCHR(status.st_mode))
		return 0;
	found.number = status.st_rdev;
	return device_spec_add(to->spec, &found, &entry, to->arena, to->error);
}

/* Whoever is given a device of an RDMA adapter needs the adapter's other files, too. */
static int add_infiniband(Grpc__Spec *spec, struct arena *arena, struct error *error)
{
	struct addition to = {.spec = spec, .arena = arena, .error = error};

	return match_each("/dev/infiniband/*", add_file, &to);
}

int devices_add(Grpc__CreateContainerRequest *request, uint64_t timeout, struct arena *arena, struct error *error)
{
	struct device_found *found = arena_array(arena, request->n_devices + 1, sizeof(*found));
	Grpc__Process *process = request->oci->process;
	bool passed_through = false;
	int status;

	if (!found)
		return error_errno(error, ENOMEM, "devices");
	status = check_devices(request, found, arena, error);
	for (size_t i = 0; i < request->n_devices && status == 0; i++) {
		passed_through |= strncmp(request->devices[i]->type, "vfio-", 5) == 0;
		status = find_device(request->devices[i], timeout, &found[i], arena, error);
	}
	if (status == 0)
		status = device_spec_update(request->oci, found, request->n_devices, arena, error);
	if (status == 0 && passed_through)
		status = add_infiniband(request->oci, arena, error);
	if (status == 0 && process)
		pci_environment_rewrite(process->env, process->n_env, request->devices, request->n_devices);
	return status;
}
