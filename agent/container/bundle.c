/* A container's folder, made and removed. Its path is the agent's own; only what is below "rootfs" is somebody
 * else's. */
#include "agent/container/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define MOUNTS_MAX 64 /* on one "rootfs", before it is given up as something strange */

static int open_plain(int directory, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static int bind_root(int folder, const char *root_path, struct error *error)
{
	cleanup_close int root = open_plain(AT_FDCWD, root_path);
	cleanup_close int target = open_plain(folder, "rootfs");
	cleanup_close int tree = -1;

	if (root < 0 || target < 0)
		return error_errno(error, root < 0 ? -root : -target, "open the root %s", root_path);
	tree = kernel_open_tree(root, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (tree < 0 || kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "bind the root %s", root_path);
	return 0;
}

int bundle_prepare(const char *bundle, const char *root_path, struct error *error)
{
	cleanup_close int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int folder = path_make_directories(top, bundle, 0755, error);
	cleanup_close int root = -1;
	int status;

	if (folder < 0)
		return error_wrap(error, "bundle");
	if (mkdirat(folder, "rootfs", 0755) < 0) {
		if (errno != EEXIST)
			return error_errno(error, errno, "make %s/rootfs", bundle);
		root = open_plain(folder, "rootfs");
		return root < 0 ? error_errno(error, -root, "open %s/rootfs", bundle) : 0;
	}
	status = bind_root(folder, root_path, error);
	if (status < 0)
		unlinkat(folder, "rootfs", AT_REMOVEDIR); /* or it would be taken for the root next time */
	return status;
}

/* Unmounts the root, whose path is left in `path`. */
static int unmount_root(char path[PATH_MAX], const char *bundle, struct error *error)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s/rootfs", bundle) >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "remove %s", bundle);
	for (int i = 0; umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0; i++)
		if (i == MOUNTS_MAX)
			return error_set(error, EBUSY, "%s is mounted more than %d times", path, MOUNTS_MAX);
	return 0;
}

int bundle_remove(const char *bundle, struct error *error)
{
	char path[PATH_MAX];
	int status = unmount_root(path, bundle, error);

	return status < 0 ? status : path_remove_tree(AT_FDCWD, bundle, error);
}

int bundle_remove_quickly(const char *bundle)
{
	char path[PATH_MAX];
	int status = unmount_root(path, bundle, NULL);

	if (status == 0 && (rmdir(path) < 0 || rmdir(bundle) < 0))
		status = -errno;
	return status;
}
