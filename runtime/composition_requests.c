/* What VMM and agent are told of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/composition.h"
#include "runtime/spec.h"

#define CONTAINER_FOLDER "/run/kata-containers/%s/%s"
#define RESOLV_CONF "/run/kata-containers/sandbox/resolv.conf" /* where the agent puts the sandbox's */
/* vsock, console and random numbers: what every VM has. */
#define DEVICES_ALWAYS 3
#define NETWORK_MTU 1500

const char *composition_volume_image(char image[COMPOSITION_IMAGE_SIZE], unsigned packed)
{
	snprintf(image, COMPOSITION_IMAGE_SIZE, "volume%u.image", packed);
	return image;
}

/* The VM ------------------------------------------------------------------------------------------------------- */

int composition_devices(struct composition *composition, struct vmm_options *options, struct error *error)
{
	const struct run_options *wanted = composition->options;
	unsigned room, devices;

	if (!composition->share_root)
		options->disks[options->disk_count++] = SOURCE_DISK;
	for (unsigned i = 0; i < composition->packed_count && options->disk_count < VMM_DISKS_MOST; i++)
		options->disks[options->disk_count++] = composition_volume_image(composition->images[i], i);
	options->share = composition->sharing ? SHARE_SOCKET : NULL;
	options->share_tag = SHARE_TAG;
	options->network = wanted->network;
	options->published = wanted->published;
	options->published_count = wanted->published_count;
	room = options->type->slots - DEVICES_ALWAYS - (options->image->type ? 1 : 0);
	devices = vmm_devices(options) - options->disk_count + composition->packed_count + !composition->share_root;
	if (devices > room || composition->packed_count >= VMM_DISKS_MOST)
		return error_set(error, ENOSPC, "the machine %s has room for %u devices of the container, and %u are "
				 "needed%s", options->type->name, room, devices,
				 options->type->pci ? "" : " (--machine q35 has more)");
	return 0;
}

/* The sandbox -------------------------------------------------------------------------------------------------- */

static Grpc__Storage *add_storage(Grpc__Storage ***list, size_t *count, struct arena *arena)
{
	Grpc__Storage *storage = SPEC_NEW(arena, Grpc__Storage, grpc__storage__init);

	if (storage)
		(*list)[(*count)++] = storage;
	return storage;
}

/* Everything that is shared is one file system, mounted once. */
static int share_in_sandbox(Grpc__CreateSandboxRequest *request, struct arena *arena)
{
	Grpc__Storage *storage;

	request->storages = arena_array(arena, 1, sizeof(*request->storages));
	storage = request->storages ? add_storage(&request->storages, &request->n_storages, arena) : NULL;
	if (!storage)
		return -ENOMEM;
	storage->driver = (char *)"virtio-fs";
	storage->source = (char *)SHARE_TAG;
	storage->fstype = (char *)"virtiofs";
	storage->mount_point = (char *)SHARE_PLACE;
	return 0;
}

int composition_sandbox(const struct composition *composition, Grpc__CreateSandboxRequest *request, struct arena *arena,
			struct error *error)
{
	static char *name_servers[] = {(char *)"nameserver " NETWORK_NAME_SERVER};

	/* Its namespace is the sandbox's. */
	if (composition->hostname)
		request->hostname = (char *)composition->hostname;
	if (composition->options->network == NETWORK_USER) {
		request->dns = name_servers;
		request->n_dns = array_size(name_servers);
	}
	if (composition->sharing && share_in_sandbox(request, arena) < 0)
		return error_errno(error, ENOMEM, "the sandbox's description");
	return 0;
}

static int set_interface(struct session *session, struct error *error)
{
	Types__IPAddress address = TYPES__IPADDRESS__INIT, *addresses[] = {&address};
	Types__Interface interface = TYPES__INTERFACE__INIT;
	Grpc__UpdateInterfaceRequest request = GRPC__UPDATE_INTERFACE_REQUEST__INIT;

	address.family = TYPES__IPFAMILY__v4;
	address.address = (char *)NETWORK_GUEST;
	address.mask = (char *)NETWORK_PREFIX;
	interface.device = interface.name = (char *)NETWORK_DEVICE;
	interface.ipaddresses = addresses;
	interface.n_ipaddresses = 1;
	interface.mtu = NETWORK_MTU;
	interface.hwaddr = (char *)NETWORK_MAC;
	request.interface = &interface;
	return session_call(session, "UpdateInterface", &request.base, SESSION_CALL_TIMEOUT, error);
}

static int set_route(struct session *session, struct error *error)
{
	Types__Route route = TYPES__ROUTE__INIT, *list[] = {&route};
	Grpc__Routes routes = GRPC__ROUTES__INIT;
	Grpc__UpdateRoutesRequest request = GRPC__UPDATE_ROUTES_REQUEST__INIT;

	route.gateway = (char *)NETWORK_GATEWAY;
	route.device = (char *)NETWORK_DEVICE;
	routes.routes = list;
	routes.n_routes = 1;
	request.routes = &routes;
	return session_call(session, "UpdateRoutes", &request.base, SESSION_CALL_TIMEOUT, error);
}

int composition_network(const struct composition *composition, struct session *session, struct error *error)
{
	int status;

	if (composition->options->network == NETWORK_NONE)
		return 0;
	status = set_interface(session, error);
	/* Without a way out there is nothing that a route could lead to. */
	if (status == 0 && composition->options->network == NETWORK_USER)
		status = set_route(session, error);
	return status < 0 ? error_wrap(error, "set up the guest's network") : 0;
}

/* The container ------------------------------------------------------------------------------------------------ */

static char *folder(const struct composition_place *place, const char *name, struct arena *arena)
{
	return arena_printf(arena, CONTAINER_FOLDER, place->name, name);
}

/* Whether an overlay is over the root: for what the container writes, and for mount points that the root hasn't. */
static bool has_overlay(const struct composition *composition, size_t mounts)
{
	return !composition->options->read_only || mounts > 0 || composition->share_root || composition->source.bundle;
}

/* A disk of the container's, mounted read-only. ext4 with a journal that was left open isn't repaired: that would be
 * writing. */
static int add_disk(const struct composition *composition, const struct composition_place *place, unsigned disk,
		    const char *filesystem, char *mount_point, Grpc__CreateContainerRequest *request,
		    struct arena *arena)
{
	Grpc__Storage *storage = add_storage(&request->storages, &request->n_storages, arena);
	char *address = arena_alloc(arena, MACHINE_ADDRESS_SIZE);
	static char *options[] = {(char *)"ro", (char *)"noload"};

	if (!storage || !address)
		return -ENOMEM;
	machine_type_address(composition->options->machine, place->before, disk, address);
	storage->driver = (char *)composition->options->machine->storage_driver;
	storage->source = address;
	storage->fstype = (char *)filesystem;
	storage->mount_point = mount_point;
	storage->options = options;
	storage->n_options = strcmp(filesystem, "ext4") == 0 ? 2 : 1;
	return 0;
}

/* What the container writes stays in the guest's memory. */
static int add_overlay(const struct composition *composition, const struct composition_place *place,
		       Grpc__CreateContainerRequest *request, struct arena *arena)
{
	Grpc__Storage *storage = add_storage(&request->storages, &request->n_storages, arena);
	char **options = arena_array(arena, 2, sizeof(char *));

	if (!storage || !options)
		return -ENOMEM;
	options[0] = composition->share_root ? arena_printf(arena, "lowerdir=%s/%s", SHARE_PLACE, SHARE_ROOT)
					     : arena_printf(arena, "lowerdir=%s", folder(place, "image", arena));
	options[1] = (char *)"io.katacontainers.fs-opt.overlay-rw";
	storage->driver = (char *)"overlayfs";
	storage->source = (char *)"overlay";
	storage->fstype = (char *)"overlay";
	storage->mount_point = folder(place, "rootfs", arena);
	storage->options = options;
	storage->n_options = 2;
	return 0;
}

static int add_storages(const struct composition *composition, const struct composition_place *place, bool overlay,
			Grpc__CreateContainerRequest *request, struct arena *arena)
{
	unsigned disk = 0;
	int status = 0;

	request->storages = arena_array(arena, 2 + composition->packed_count, sizeof(*request->storages));
	if (!request->storages)
		return -ENOMEM;
	if (!composition->share_root)
		status = add_disk(composition, place, disk++, composition->source.filesystem,
				  folder(place, overlay ? "image" : "rootfs", arena), request, arena);
	if (status == 0 && overlay)
		status = add_overlay(composition, place, request, arena);
	for (unsigned i = 0; i < composition->packed_count && status == 0; i++)
		status = add_disk(composition, place, disk++, "erofs", folder(place, arena_printf(arena, "volume%u", i), arena),
				  request, arena);
	return status;
}

static bool has_volume(const struct composition *composition, const char *destination)
{
	for (size_t i = 0; i < composition->volumes.count; i++)
		if (strcmp(composition->volumes.list[i].destination, destination) == 0)
			return true;
	return false;
}

static struct spec_mount *build_mounts(const struct composition *composition, const struct composition_place *place,
				       size_t *count, struct arena *arena)
{
	struct spec_mount *mounts = arena_array(arena, composition->volumes.count + 1, sizeof(*mounts));

	*count = 0;
	for (size_t i = 0; mounts && i < composition->volumes.count; i++) {
		const struct volume *volume = &composition->volumes.list[i];
		int packed = composition->packed[i];

		mounts[*count].source = packed >= 0 ? folder(place, arena_printf(arena, "volume%d", packed), arena)
						    : arena_printf(arena, SHARE_PLACE "/%zu", i);
		mounts[*count].destination = volume->destination;
		mounts[(*count)++].read_only = volume->read_only;
	}
	if (mounts && composition->options->network == NETWORK_USER && !has_volume(composition, "/etc/resolv.conf"))
		mounts[(*count)++] = (struct spec_mount){RESOLV_CONF, "/etc/resolv.conf", false};
	return mounts;
}

int composition_container(const struct composition *composition, const struct composition_place *place,
			  Grpc__CreateContainerRequest *request, struct arena *arena, struct error *error)
{
	const struct run_options *options = composition->options;
	const struct image_config *config = &composition->source.config;
	const char *directory = options->directory ? options->directory : config->directory;
	const bool bundle = composition->source.bundle != NULL;
	struct spec_options description = {
		.name = place->name,
		.root = folder(place, "rootfs", arena),
		.read_only = options->read_only,
		.terminal = options->terminal,
		.command = (const char *const *)composition->command,
		.base = config->environment,
		.environment = options->environment.list,
		.environment_count = options->environment.count,
		.directory = directory ? directory : bundle ? NULL : "/",
		.user = bundle && !options->user ? NULL : &composition->user,
		.bundle = composition->source.bundle,
		.term = getenv("TERM"),
		.rows = place->rows,
		.columns = place->columns,
	};
	int status;

	description.mounts = build_mounts(composition, place, &description.mount_count, arena);
	if (!description.mounts ||
	    add_storages(composition, place, has_overlay(composition, description.mount_count), request, arena) < 0 ||
	    arena->exhausted)
		return error_errno(error, ENOMEM, "the container's description");
	status = spec_build(&description, arena, &request->oci, error);
	return status < 0 ? status : 0;
}
