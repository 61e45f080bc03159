/* Sizes of volumes. A file system is grown by its own ioctl, while it is in use; no tool is needed. */
#include "agent/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/magic.h>

#include "agent/device/wait.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/mount_table.h"

#define SHARED "/run/kata-containers/shared/containers/"
#define XFS_SUPER_MAGIC 0x58465342
#define SECTOR 512

/* Of the kernel's fs/ext4/ext4.h and fs/xfs/libxfs/xfs_fs.h, which have no header for programs. */
#define EXT4_RESIZE_FS _IOW('f', 16, uint64_t)

struct xfs_geometry {
	uint32_t block_size, unused[6], inodes_percent;
	uint64_t data_blocks;
	uint64_t unused_at_last[9];
};
_Static_assert(sizeof(struct xfs_geometry) == 112, "struct xfs_fsop_geom_v1");
#define XFS_GEOMETRY _IOR('X', 100, struct xfs_geometry)

struct xfs_growth {
	uint64_t blocks;
	uint32_t inodes_percent;
};
#define XFS_GROW_DATA _IOW('X', 110, struct xfs_growth)

/* What is to be grown, and the disk below it. */
struct growth {
	int fd; /* the volume */
	uint64_t size;
	int disk; /* the device's folder in sysfs */
};

static int open_volume(const char *path, struct error *error)
{
	int fd = *path == '/' ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -EINVAL;

	if (fd == -EINVAL)
		return error_set(error, EINVAL, "volume '%.80s' isn't absolute", path);
	return fd < 0 ? error_errno(error, errno, "open volume %.256s", path) : fd;
}

int volume_stats(const char *path, struct statfs *stats, struct error *error)
{
	cleanup_close int fd = open_volume(path, error);

	if (fd < 0)
		return fd;
	return fstatfs(fd, stats) < 0 ? error_errno(error, errno, "look at volume %.256s", path) : 0;
}

/* Growing ------------------------------------------------------------------------------------------------------ */

static uint64_t disk_size(const struct growth *growth)
{
	char text[32];

	if (fd_read_file(growth->disk, "size", text, sizeof(text), NULL) < 0)
		return 0;
	return strtoull(text, NULL, 10) * SECTOR;
}

static bool disk_has_grown(void *wanted)
{
	const struct growth *growth = wanted;

	return disk_size(growth) >= growth->size;
}

static int open_disk(const char *path, int fd, struct error *error)
{
	struct stat status;
	char folder[64];
	int disk;

	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "look at volume %.256s", path);
	snprintf(folder, sizeof(folder), "/sys/dev/block/%u:%u", major(status.st_dev), minor(status.st_dev));
	disk = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (disk < 0)
		return error_set(error, EOPNOTSUPP, "volume %.256s can't be resized: it is on no disk of the guest", path);
	return disk;
}

/* virtio tells that a disk has grown; a SCSI one is asked. */
static int wait_for_disk(struct growth *growth, const char *path, uint64_t timeout, struct error *error)
{
	int status;

	fd_write_file(growth->disk, "device/rescan", "1", NULL);
	if (growth->size == 0)
		growth->size = disk_size(growth);
	status = device_wait_until(disk_has_grown, growth, path, timeout, error);
	if (status != -ETIMEDOUT)
		return status;
	return error_set(error, ERANGE, "volume %.256s can't have %llu bytes: its disk has %llu", path,
			 (unsigned long long)growth->size, (unsigned long long)disk_size(growth));
}

static int grow_ext4(const struct growth *growth, const struct statfs *stats)
{
	uint64_t blocks = growth->size / (uint64_t)stats->f_bsize;

	/* f_blocks leaves out what the file system needs for itself; the kernel makes nothing smaller, and says so. */
	if (ioctl(growth->fd, EXT4_RESIZE_FS, &blocks) == 0)
		return 0;
	return errno == EINVAL && blocks <= stats->f_blocks ? 0 : -errno;
}

static int grow_xfs(const struct growth *growth, const struct statfs *stats)
{
	struct xfs_geometry geometry;
	struct xfs_growth grown;

	(void)stats;
	if (ioctl(growth->fd, XFS_GEOMETRY, &geometry) < 0)
		return -errno;
	grown = (struct xfs_growth){growth->size / geometry.block_size, geometry.inodes_percent};
	return grown.blocks <= geometry.data_blocks || ioctl(growth->fd, XFS_GROW_DATA, &grown) == 0 ? 0 : -errno;
}

static const struct {
	long type;
	int (*grow)(const struct growth *growth, const struct statfs *stats);
} file_systems[] = {
	{EXT4_SUPER_MAGIC, grow_ext4},
	{XFS_SUPER_MAGIC, grow_xfs},
};

int volume_resize(const char *path, uint64_t size, uint64_t timeout, struct error *error)
{
	cleanup_close int fd = open_volume(path, error), disk = -1;
	struct growth growth = {.fd = fd, .size = size};
	struct statfs stats;
	size_t i = 0;
	int status;

	if (fd < 0)
		return fd;
	if (fstatfs(fd, &stats) < 0)
		return error_errno(error, errno, "look at volume %.256s", path);
	while (i < array_size(file_systems) && file_systems[i].type != (long)stats.f_type)
		i++;
	if (i == array_size(file_systems))
		return error_set(error, EOPNOTSUPP, "volume %.256s can't be resized: it is neither ext4 nor XFS", path);
	growth.disk = disk = open_disk(path, fd, error);
	if (disk < 0)
		return disk;
	status = wait_for_disk(&growth, path, timeout, error);
	if (status < 0)
		return status;
	status = file_systems[i].grow(&growth, &stats);
	return status < 0 ? error_errno(error, -status, "resize volume %.256s to %llu bytes", path,
					(unsigned long long)growth.size) : 0;
}

/* Shares ------------------------------------------------------------------------------------------------------- */

int volume_touch_shared(struct error *error)
{
	cleanup_mount_table struct mount_table mounts;
	struct stat status;

	if (!mount_table_open(&mounts, "/proc/self/mounts"))
		return error_errno(error, errno, "read the mounts");
	while (mount_table_next(&mounts))
		if (strncmp(mounts.path, SHARED, strlen(SHARED)) == 0 && stat(mounts.path, &status) < 0)
			continue; /* it is gone: which is what the host's side has been told now */
	return 0;
}
