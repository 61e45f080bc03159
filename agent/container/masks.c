/* Masked and read-only paths (OCI config-linux.md): a masked file shows the guest's /dev/null, a masked directory an
 * empty read-only tmpfs. Everything is attached to descriptors, and the /dev/null is the guest's, looked at when
 * open. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/path.h"

static int clone_null(struct error *error)
{
	cleanup_close int tree = kernel_open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE);
	struct stat stat;

	if (tree < 0 || fstat(tree, &stat) < 0)
		return error_errno(error, errno, "open /dev/null");
	if (!S_ISCHR(stat.st_mode) || stat.st_rdev != makedev(1, 3))
		return error_set(error, ENODEV, "the guest's /dev/null isn't the null device");
	return take_fd(&tree);
}

static int make_empty(struct error *error)
{
	cleanup_close int context = kernel_fsopen("tmpfs");
	int tree;

	if (context < 0 || kernel_fsconfig(context, KERNEL_FSCONFIG_SET_STRING, "nr_inodes", "1") < 0 ||
	    kernel_fsconfig(context, KERNEL_FSCONFIG_SET_STRING, "size", "4k") < 0 ||
	    kernel_fsconfig(context, KERNEL_FSCONFIG_CREATE, NULL, NULL) < 0)
		return error_errno(error, errno, "make an empty tmpfs");
	tree = kernel_fsmount(context, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return tree < 0 ? error_errno(error, errno, "mount an empty tmpfs") : tree;
}

static bool is_missing(int status)
{
	return status == -ENOENT || status == -ENOTDIR;
}

static int mask(struct helper *helper, const char *path)
{
	struct error *error = &helper->error;
	cleanup_close int target = path_open_in_root(helper->root, path, O_PATH, 0, NULL);
	cleanup_close int tree = -1;
	struct stat stat;

	if (is_missing(target))
		return 0;
	if (target < 0)
		return error_errno(error, -target, "open the masked path %s", path);
	if (fstat(target, &stat) < 0)
		return error_errno(error, errno, "mask %s", path);
	tree = S_ISDIR(stat.st_mode) ? make_empty(error) : clone_null(error);
	if (tree < 0)
		return error_wrap(error, "mask %s", path);
	if (kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "mask %s", path);
	return 0;
}

static int make_readonly(struct helper *helper, const char *path)
{
	struct error *error = &helper->error;
	cleanup_close int target = path_open_in_root(helper->root, path, O_PATH, 0, NULL);
	cleanup_close int tree = -1;
	int status;

	if (is_missing(target))
		return 0;
	if (target < 0)
		return error_errno(error, -target, "open the read-only path %s", path);
	tree = kernel_open_tree(target, "", OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH);
	if (tree < 0)
		return error_errno(error, errno, "make %s read-only", path);
	status = mounts_set_readonly(tree, false, error);
	if (status < 0)
		return status;
	if (kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "make %s read-only", path);
	return 0;
}

int masks_apply(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	int status = 0;

	for (size_t i = 0; status == 0 && i < plan->readonly_count; i++)
		status = make_readonly(helper, plan->readonly_paths[i]);
	for (size_t i = 0; status == 0 && i < plan->masked_count; i++)
		status = mask(helper, plan->masked_paths[i]);
	return status;
}
