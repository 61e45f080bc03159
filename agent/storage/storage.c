/* The table of drivers, and what is done around each of them. */
#include "agent/storage/storage.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/drivers.h"
#include "agent/storage/made.h"
#include "agent/storage/mount.h"
#include "lib/cleanup.h"

#define SHARE "kataShared"

/* virtio-fs and 9p: the source is the share's tag. Somebody may have mounted the one that all share before the agent came. */
static int mount_share(const struct storage_request *request, struct error *error)
{
	struct storage_request share = *request;

	if (strcmp(request->source, SHARE) == 0 && mount_is_there(request->mount_point, NULL))
		return 1;
	if (*share.fstype == '\0')
		share.fstype = strcmp(share.driver, "9p") == 0 ? "9p" : "virtiofs";
	return mount_as_asked(&share, error);
}

/* Images are pulled by programs of confidential guests, which this one isn't. */
static int refuse_pull(const struct storage_request *request, struct error *error)
{
	return error_set(error, EOPNOTSUPP,
			 "image_guest_pull of %.80s: this guest has no Confidential Data Hub, which pulls images",
			 request->source);
}

static const struct {
	const char *name;
	int (*mount)(const struct storage_request *request, struct error *error);
	int (*unmount)(const struct storage_request *request, struct error *error); /* NULL: as storage_unmount() */
	bool kept; /* what has been written there is for the containers to come */
} drivers[] = {
	{"9p", mount_share, NULL, false},
	{"blk", driver_block, NULL, false},
	{"ephemeral", driver_ephemeral, driver_ephemeral_unmount, true},
	{MULTI_LAYER_DRIVER, driver_multi_layer, driver_multi_layer_unmount, false},
	{"image_guest_pull", refuse_pull, NULL, false},
	{"local", driver_local, NULL, true},
	{"mmioblk", driver_block, NULL, false},
	{"nvdimm", driver_block, NULL, false},
	{"overlayfs", driver_overlay, NULL, false},
	{"scsi", driver_block, NULL, false},
	{"virtio-fs", mount_share, NULL, false},
	{"watchable-bind", driver_watchable, driver_watchable_unmount, false},
};

/* Those that can be used. */
const char *const storage_driver_names[] = {
	"9p",	  "blk",       "ephemeral", MULTI_LAYER_DRIVER, "local",	  "mmioblk",
	"nvdimm", "overlayfs", "scsi",	    "virtio-fs",	"watchable-bind", NULL,
};

/* array_size(drivers) where there is none. */
static size_t find_driver(const char *name)
{
	size_t i = 0;

	while (i < array_size(drivers) && strcmp(drivers[i].name, name) != 0)
		i++;
	return i;
}

int storage_mount(const struct storage_request *request, size_t *found, struct error *error)
{
	size_t driver = find_driver(request->driver);
	int status;

	*found = made_existing(request->mount_point);
	if (driver == array_size(drivers))
		return error_set(error, EIO, "Failed to find the storage handler %.80s", request->driver);
	status = drivers[driver].mount(request, error);
	if (status < 0)
		made_remove(request->mount_point, *found);
	return status;
}

void storage_undo(const struct storage_request *request, size_t found)
{
	storage_remove(request, NULL);
	made_remove(request->mount_point, found);
}

int storage_remove(const struct storage_request *request, struct error *error)
{
	size_t driver = find_driver(request->driver);

	if (driver < array_size(drivers) && drivers[driver].unmount)
		return drivers[driver].unmount(request, error);
	return storage_unmount(request->mount_point, error);
}

bool storage_is_kept(const char *name)
{
	size_t driver = find_driver(name);

	return driver < array_size(drivers) && drivers[driver].kept;
}

/* A file that something was bound to: ours, as long as there is nothing in it. */
static void remove_empty_file(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
		unlink(path);
}

int storage_unmount(const char *mount_point, struct error *error)
{
	while (umount2(mount_point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno != EINVAL && errno != ENOENT)
		return error_errno(error, errno, "unmount %s", mount_point);
	remove_empty_file(mount_point);
	/* What others have put there stays. */
	if (rmdir(mount_point) < 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY &&
	    errno != EROFS && errno != ENOTDIR)
		return error_errno(error, errno, "remove %s", mount_point);
	return 0;
}
