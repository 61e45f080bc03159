/* A walk over a volume which changes group and mode, by descriptors, so that no symlink leads it out. */
#include "agent/storage/fs_group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define DEPTH_MAX 128

struct walk {
	gid_t group;
	mode_t file_bits, directory_bits;
	dev_t device;
};

static mode_t wanted_mode(const struct walk *walk, mode_t mode)
{
	return (mode & 07777) | (S_ISDIR(mode) ? walk->directory_bits : walk->file_bits);
}

static int change(const struct walk *walk, int fd, const struct stat *status)
{
	/* chown(2) clears setgid, so the mode comes second. */
	if (fchown(fd, (uid_t)-1, walk->group) < 0 || fchmod(fd, wanted_mode(walk, status->st_mode)) < 0)
		return -errno;
	return 0;
}

static int visit(const struct walk *walk, int directory, const char *name, int depth);

static int visit_children(const struct walk *walk, int fd, int depth)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3), status = 0;
	DIR *stream = copy < 0 ? NULL : fdopendir(copy);

	if (!stream) {
		if (copy >= 0)
			close(copy);
		return -errno;
	}
	for (struct dirent *entry = readdir(stream); entry && status == 0; entry = readdir(stream))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = visit(walk, fd, entry->d_name, depth + 1);
	closedir(stream);
	return status;
}

static int visit(const struct walk *walk, int directory, const char *name, int depth)
{
	cleanup_close int fd = -1;
	struct stat status;
	int result;

	if (depth > DEPTH_MAX)
		return -ELOOP;
	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
		return 0;
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_dev != walk->device)
		return 0;
	result = change(walk, fd, &status);
	return result == 0 && S_ISDIR(status.st_mode) ? visit_children(walk, fd, depth) : result;
}

int fs_group_apply(const char *path, gid_t group, bool read_only, bool on_mismatch, struct error *error)
{
	struct walk walk = {.group = group, .file_bits = read_only ? 0440 : 0660};
	struct stat status;
	int result;

	walk.directory_bits = walk.file_bits | 0110 | S_ISGID;
	if (stat(path, &status) < 0)
		return error_errno(error, errno, "look at %s", path);
	walk.device = status.st_dev;
	if (on_mismatch && status.st_gid == group && (status.st_mode & 07777) == wanted_mode(&walk, status.st_mode))
		return 0;
	result = visit(&walk, AT_FDCWD, path, 0);
	return result < 0 ? error_errno(error, -result, "give %s to group %u", path, group) : 0;
}
