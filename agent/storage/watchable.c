/* watchable-bind: folders of the host, on a file system that tells nobody of changes there, as copies in the guest's memory,
 * which the sandbox's watcher (agent/watch.h) keeps up to date. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/drivers.h"
#include "agent/storage/mirror.h"
#include "agent/storage/mount.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

#define SHARED "/run/kata-containers/shared/containers/"

/* "[/run/user/UID]/run/kata-containers/shared/containers/[passthrough/]watchable/NAME": *folder is the part before the last
 * slash. */
static int check_mount_point(const char *mount_point, char folder[PATH_MAX], struct error *error)
{
	static const char *const folders[] = {SHARED "watchable", SHARED "passthrough/watchable"};
	static const char user[] = "/run/user/";
	const char *shared = mount_point, *name = strrchr(mount_point, '/');

	snprintf(folder, PATH_MAX, "%.*s", name ? (int)(name - mount_point) : 0, mount_point);
	if (strncmp(shared, user, sizeof(user) - 1) == 0)
		shared += sizeof(user) - 1 + strspn(shared + sizeof(user) - 1, "0123456789");
	for (size_t i = 0; name && i < array_size(folders); i++) {
		size_t length = strlen(folders[i]);

		if (strncmp(shared, folders[i], length) == 0 && shared + length == name && name[1] &&
		    strcmp(name, "/.") != 0 && strcmp(name, "/..") != 0)
			return 0;
	}
	return error_set(error, EINVAL, "watchable-bind: %.120s is in no folder of watchable mounts", mount_point);
}

static bool is_mount_point(int folder)
{
	struct stat own, above;

	return fstat(folder, &own) == 0 && fstatat(folder, "..", &above, 0) == 0 && own.st_dev != above.st_dev;
}

/* One at a time may mount or unmount it: the folder above is locked. The lock's fd, or -errno. */
static int lock_above(const char *folder, struct error *error)
{
	cleanup_close int above = -1;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.*s", (int)(strrchr(folder, '/') - folder), folder);
	above = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above < 0 || flock(above, LOCK_EX) < 0)
		return error_errno(error, errno, "lock %s", path);
	return take_fd(&above);
}

/* The memory that all copies are in. */
static int mount_memory(const char *folder, struct error *error)
{
	cleanup_close int lock = -1, opened = -1;
	int status = mount_make_directory(folder, error);

	if (status < 0)
		return status;
	lock = lock_above(folder, error);
	if (lock < 0)
		return lock;
	opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (opened >= 0 && is_mount_point(opened))
		return 0;
	if (mount("tmpfs", folder, "tmpfs", 0, "mode=755") < 0)
		return error_errno(error, errno, "mount tmpfs at %s", folder);
	return 0;
}

/* It goes with the last copy; where another one is being made, it is in use or isn't empty. */
static void drop_memory(const char *folder)
{
	cleanup_close int lock = lock_above(folder, NULL), opened = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool mounted = lock >= 0 && opened >= 0 && is_mount_point(opened);

	if (!mounted || !mirror_is_empty(opened))
		return;
	fd_close(&opened);
	umount2(folder, UMOUNT_NOFOLLOW);
}

/* What is too large for a copy is bound: its changes are seen, and nobody is told of them. */
static int fill(const struct storage_request *request, struct error *error)
{
	struct mount_options options = {.flags = MS_BIND};
	struct error failure;
	int status = mirror(request->source, request->mount_point, &failure);

	if (status >= 0)
		return 0; /* the watcher goes on with what is being changed right now */
	if (status != -EFBIG)
		return error_set(error, failure.number, "%s", failure.text);
	status = path_remove_tree(AT_FDCWD, request->mount_point, error);
	return status < 0 ? status : mount_source(request, request->source, &options, error);
}

int driver_watchable(const struct storage_request *request, struct error *error)
{
	char folder[PATH_MAX];
	int status = check_mount_point(request->mount_point, folder, error);

	if (status == 0)
		status = mount_memory(folder, error);
	if (status < 0)
		return status;
	status = fill(request, error);
	if (status < 0)
		driver_watchable_unmount(request, NULL);
	return status;
}

int driver_watchable_unmount(const struct storage_request *request, struct error *error)
{
	char folder[PATH_MAX];
	int status = check_mount_point(request->mount_point, folder, error);

	if (status == 0)
		status = storage_unmount(request->mount_point, error);
	if (status == 0)
		status = path_remove_tree(AT_FDCWD, request->mount_point, error);
	if (status == 0)
		drop_memory(folder);
	return status;
}
