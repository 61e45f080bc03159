/* The drivers, and what they have in common: a mount point, a mount, a group. */
#include "agent/storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/disk.h"
#include "agent/device/scsi.h"
#include "agent/storage/fs_group.h"
#include "agent/storage/made.h"
#include "agent/storage/options.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define OVERLAY_READ_WRITE "io.katacontainers.fs-opt.overlay-rw"
#define OVERLAY_CREATE_DIRECTORY "io.katacontainers.volume.overlayfs.create_directory"
#define CONTAINER_DIRECTORY "/run/kata-containers"

/* What they share ---------------------------------------------------------------------------------------------- */

/* Makes a folder of the guest with its parents. */
static int make_directory(const char *path, struct error *error)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;

	if (root < 0)
		return error_errno(error, errno, "open /");
	made = path_make_directories(root, path, 0755, error);
	return made < 0 ? made : 0;
}

/* Makes a file, for a bind mount of something that is no folder. */
static int make_file(const char *path, struct error *error)
{
	cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), made = -1;

	if (root < 0)
		return error_errno(error, errno, "open /");
	made = path_make_file(root, path, 0644, error);
	return made < 0 ? made : 0;
}

static int make_mount_point(const struct storage_request *request, bool bind, struct error *error)
{
	struct stat status;

	if (*request->mount_point != '/')
		return error_set(error, EINVAL, "mount point '%.80s' isn't absolute", request->mount_point);
	if (bind && stat(request->source, &status) == 0 && !S_ISDIR(status.st_mode))
		return make_file(request->mount_point, error);
	return make_directory(request->mount_point, error);
}

/* A bind takes its other flags in a second call, and propagation in a third: mount(2). *mounted says whether there is
 * something to undo after an error. */
static int mount_flags(const char *source, const char *target, const char *type, const struct mount_options *options,
		       bool *mounted)
{
	const unsigned long propagation = MS_SHARED | MS_SLAVE | MS_PRIVATE | MS_UNBINDABLE;
	unsigned long flags = options->flags & ~propagation;

	*mounted = mount(source, target, type, flags, options->data) == 0;
	if (!*mounted)
		return -errno;
	if ((flags & MS_BIND) && (flags & ~(unsigned long)(MS_BIND | MS_REC)) &&
	    mount(NULL, target, NULL, flags | MS_REMOUNT, NULL) < 0)
		return -errno;
	if ((options->flags & propagation) &&
	    mount(NULL, target, NULL, options->flags & (propagation | MS_REC), NULL) < 0)
		return -errno;
	return 0;
}

static void close_mounts(FILE **file)
{
	if (*file)
		endmntent(*file);
}

/* Whether the uppermost mount there is a file system of this type. */
static bool is_mounted(const char *mount_point, const char *type)
{
	FILE *file __attribute__((cleanup(close_mounts))) = setmntent("/proc/self/mounts", "re");
	const struct mntent *entry;
	bool same = false;

	while (file && (entry = getmntent(file)))
		if (strcmp(entry->mnt_dir, mount_point) == 0)
			same = strcmp(entry->mnt_type, type) == 0;
	return same;
}

/* Mounts `source` as the request says, with these options; 1 where it is there already. What fails half-way is taken
 * down, and nothing else; the mount point is storage_mount()'s to remove. */
static int mount_source(const struct storage_request *request, const char *source, const struct mount_options *options,
			struct error *error)
{
	bool bind = strcmp(request->fstype, "bind") == 0 || (options->flags & MS_BIND), mounted;
	struct mount_options all = *options;
	int status;

	if (!bind && !(options->flags & MS_REMOUNT) && is_mounted(request->mount_point, request->fstype))
		return 1;
	status = make_mount_point(request, bind, error);
	if (status < 0)
		return status;
	if (bind)
		all.flags |= MS_BIND;
	status = mount_flags(source, request->mount_point, bind ? NULL : request->fstype, &all, &mounted);
	if (status == 0 && request->fs_group_set)
		status = fs_group_apply(request->mount_point, request->fs_group, all.flags & MS_RDONLY,
					request->fs_group_on_root_mismatch, error);
	else if (status < 0)
		error_errno(error, -status, "mount %s (%s) at %s", source, request->fstype, request->mount_point);
	if (status < 0 && mounted)
		umount2(request->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW);
	return status;
}

static int mount_as_asked(const struct storage_request *request, struct error *error)
{
	struct mount_options options;
	int status = options_parse(&options, request->options, request->option_count, error);

	return status < 0 ? status : mount_source(request, request->source, &options, error);
}

/* Drivers ------------------------------------------------------------------------------------------------------ */

static int mount_mmio_block(const struct storage_request *request, struct error *error)
{
	int status = disk_wait(request->source, request->hotplug_timeout, error);

	return status < 0 ? status : mount_as_asked(request, error);
}

/* The source is a place, at which `wait` finds a disk. */
static int mount_disk_at(const struct storage_request *request,
			 int (*wait)(const char *place, uint64_t timeout, char path[DISK_PATH_SIZE], struct error *error),
			 struct error *error)
{
	struct storage_request found = *request;
	char path[DISK_PATH_SIZE];
	int status = wait(request->source, request->hotplug_timeout, path, error);

	found.source = path;
	return status < 0 ? status : mount_as_asked(&found, error);
}

/* blk: the source is a device's file, as for mmioblk, or its place on the PCI buses. */
static int mount_block(const struct storage_request *request, struct error *error)
{
	return *request->source == '/' ? mount_mmio_block(request, error) :
					 mount_disk_at(request, disk_wait_pci, error);
}

static int mount_scsi(const struct storage_request *request, struct error *error)
{
	return mount_disk_at(request, scsi_wait, error);
}

/* Adds the folders of a writable overlay to its options. */
static int add_upper(struct mount_options *options, const char *upper, const char *work, struct error *error)
{
	size_t used = strlen(options->data);
	int length = snprintf(options->data + used, sizeof(options->data) - used, "%supperdir=%s,workdir=%s",
			      used ? "," : "", upper, work);

	if (length < 0 || (size_t)length >= sizeof(options->data) - used)
		return error_set(error, EINVAL, "the mount options are longer than a page");
	return 0;
}

static bool has_word(const struct storage_request *request, const char *word)
{
	for (size_t i = 0; i < request->option_count; i++)
		if (strcmp(request->options[i], word) == 0)
			return true;
	return false;
}

/* The folders that an overlay asks for, beside its mount point. */
struct overlay_folders {
	char paths[3][PATH_MAX]; /* upper and work, in the container's own; what driver options name; "": none */
	size_t kept[3];		 /* how much of each was there before */
};

static void remove_folders(const struct overlay_folders *folders)
{
	for (size_t i = 0; i < array_size(folders->paths); i++)
		made_remove(folders->paths[i], folders->kept[i]);
}

static int make_folders(struct overlay_folders *folders, struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < array_size(folders->paths); i++)
		folders->kept[i] = made_existing(folders->paths[i]);
	for (size_t i = 0; i < array_size(folders->paths) && status == 0; i++)
		if (*folders->paths[i])
			status = make_directory(folders->paths[i], error);
	return status;
}

static int mount_overlay(const struct storage_request *request, struct error *error)
{
	const char *directory = options_find(request->driver_options, request->driver_option_count,
					     OVERLAY_CREATE_DIRECTORY);
	struct storage_request overlay = *request;
	struct overlay_folders folders = {0};
	struct mount_options options;
	int status = options_parse(&options, request->options, request->option_count, error);

	if (status == 0 && directory &&
	    snprintf(folders.paths[2], PATH_MAX, "%s", directory) >= PATH_MAX)
		status = error_set(error, ENAMETOOLONG, OVERLAY_CREATE_DIRECTORY "=%.80s...", directory);
	if (status == 0 && has_word(request, OVERLAY_READ_WRITE)) {
		snprintf(folders.paths[0], PATH_MAX, CONTAINER_DIRECTORY "/%s/upper", request->container_id);
		snprintf(folders.paths[1], PATH_MAX, CONTAINER_DIRECTORY "/%s/work", request->container_id);
		status = add_upper(&options, folders.paths[0], folders.paths[1], error);
		overlay.fstype = "overlay";
	}
	if (status < 0)
		return status;
	status = make_folders(&folders, error);
	if (status == 0)
		status = mount_source(&overlay, request->source, &options, error);
	if (status < 0)
		remove_folders(&folders);
	return status;
}

/* virtio-fs and 9p: the source is the share's tag. */
static int mount_share(const struct storage_request *request, struct error *error)
{
	struct storage_request share = *request;

	if (*share.fstype == '\0')
		share.fstype = strcmp(share.driver, "9p") == 0 ? "9p" : "virtiofs";
	return mount_as_asked(&share, error);
}

/* The number of "key=N" among the options; -1 where there is none, -EINVAL where it isn't one. */
static int find_number(const struct storage_request *request, const char *key, int base, long *number,
		       struct error *error)
{
	const char *text = options_find(request->options, request->option_count, key);
	char *end;

	*number = -1;
	if (!text)
		return 0;
	errno = 0;
	*number = strtol(text, &end, base);
	if (errno != 0 || end == text || *end || *number < 0 || *number > UINT32_MAX)
		return error_set(error, EINVAL, "option %s=%.40s is no number", key, text);
	return 0;
}

/* Without the words that are for the driver. */
static int parse_without(const struct storage_request *request, const char *const *keys, struct mount_options *options,
			 struct error *error)
{
	const char **words = calloc(request->option_count + 1, sizeof(*words));
	size_t count = 0;
	int status;

	if (!words)
		return error_errno(error, ENOMEM, "mount options");
	for (size_t i = 0; i < request->option_count; i++) {
		bool skip = false;

		for (const char *const *key = keys; *key; key++)
			skip |= options_find(&request->options[i], 1, *key) != NULL;
		if (!skip)
			words[count++] = request->options[i];
	}
	status = options_parse(options, words, count, error);
	free(words);
	return status;
}

/* Memory of the guest: a tmpfs, with the size and flags that are asked for. */
static int mount_ephemeral(const struct storage_request *request, struct error *error)
{
	static const char *const own[] = {"fsgid", NULL};
	struct mount_options options;
	struct stat status;
	long group;
	int result = find_number(request, "fsgid", 10, &group, error);

	if (result == 0)
		result = parse_without(request, own, &options, error);
	if (result == 0)
		result = mount_source(request, request->source, &options, error);
	if (result < 0 || group < 0)
		return result;
	if (stat(request->mount_point, &status) < 0 || chown(request->mount_point, (uid_t)-1, (gid_t)group) < 0 ||
	    chmod(request->mount_point, (status.st_mode & 07777) | S_ISGID) < 0) {
		int number = errno;

		if (result == 0)
			umount2(request->mount_point, MNT_DETACH | UMOUNT_NOFOLLOW);
		return error_errno(error, number, "give %s to group %ld", request->mount_point, group);
	}
	return result;
}

/* A folder of the guest, shared by containers. */
static int make_local(const struct storage_request *request, struct error *error)
{
	long group, mode;
	int status = find_number(request, "fsgid", 10, &group, error);

	if (status == 0)
		status = find_number(request, "mode", 8, &mode, error);
	if (status == 0)
		status = make_directory(request->mount_point, error);
	if (status < 0)
		return status;
	if (group >= 0 && chown(request->mount_point, (uid_t)-1, (gid_t)group) < 0)
		return error_errno(error, errno, "give %s to group %ld", request->mount_point, group);
	if (mode >= 0 && chmod(request->mount_point, ((mode_t)mode & 07777) | (group >= 0 ? S_ISGID : 0)) < 0)
		return error_errno(error, errno, "change the mode of %s", request->mount_point);
	return 0;
}

static const struct {
	const char *name;
	int (*mount)(const struct storage_request *request, struct error *error);
} drivers[] = {
	{"9p", mount_share},		 {"blk", mount_block},	     {"ephemeral", mount_ephemeral},
	{"local", make_local},		 {"mmioblk", mount_mmio_block}, {"nvdimm", mount_mmio_block},
	{"overlayfs", mount_overlay}, {"scsi", mount_scsi},	     {"virtio-fs", mount_share},
};

const char *const storage_driver_names[] = {"9p",     "blk",	   "ephemeral", "local",     "mmioblk",
					    "nvdimm", "overlayfs", "scsi",	 "virtio-fs", NULL};

int storage_mount(const struct storage_request *request, struct error *error)
{
	size_t kept = made_existing(request->mount_point), i = 0;
	int status;

	while (i < array_size(drivers) && strcmp(drivers[i].name, request->driver) != 0)
		i++;
	if (i == array_size(drivers))
		return error_set(error, EIO, "Failed to find the storage handler %.80s", request->driver);
	status = drivers[i].mount(request, error);
	if (status < 0)
		made_remove(request->mount_point, kept);
	return status;
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
