/* /dev of a container: nodes, the usual symlinks, ptmx. All made in directories that were opened inside the root, with
 * names that are never followed. See OCI config-linux.md "Devices" and runtime-linux.md "Dev symbolic links". */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

struct link {
	const char *name, *target;
};

static const struct link links[] = {
	{"fd", "/proc/self/fd"},	{"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

/* A directory with devices, kept open for the next one. */
struct parent {
	int fd;
	const char *path; /* of a device in it */
	size_t length;	  /* of the directory's part of that */
};

/* 0 or -errno. */
static int open_parent(struct helper *helper, struct parent *parent, const char *path)
{
	size_t length = (size_t)(strrchr(path, '/') + 1 - path);
	char directory[PATH_MAX];

	if (parent->fd >= 0 && parent->length == length && memcmp(parent->path, path, length) == 0)
		return 0;
	fd_close(&parent->fd);
	memcpy(directory, path, length);
	directory[length] = '\0';
	*parent = (struct parent){path_make_directories(helper->root, directory, 0755, &helper->error), path, length};
	return parent->fd < 0 ? parent->fd : 0;
}

static bool is_device(const struct stat *stat, const struct plan_device *device)
{
	return (stat->st_mode & S_IFMT) == (device->mode & S_IFMT) && stat->st_rdev == device->number;
}

static bool has_owner(const struct stat *stat, const struct plan_device *device)
{
	return !device->chown_wanted || (stat->st_uid == device->uid && stat->st_gid == device->gid);
}

static int make_node(struct helper *helper, struct parent *parent, const struct plan_device *device)
{
	struct error *error = &helper->error;
	const char *name = strrchr(device->path, '/') + 1;
	cleanup_close int node = -1;
	struct stat stat;
	int made;

	if (open_parent(helper, parent, device->path) < 0)
		return error_wrap(error, "device %s", device->path);
	made = mknodat(parent->fd, name, device->mode, device->number);
	if (made < 0 && errno != EEXIST && errno != EROFS)
		return error_errno(error, errno, "make the device %s", device->path);
	if (fstatat(parent->fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && is_device(&stat, device) &&
	    (made < 0 || has_owner(&stat, device)))
		return 0;
	/* What is there is opened and looked at: it is changed only as what it was seen to be. */
	node = openat(parent->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &stat) < 0)
		return error_errno(error, errno, "make the device %s", device->path);
	if (!is_device(&stat, device))
		return error_set(error, EEXIST, "something else is in the place of the device %s", device->path);
	if (made < 0)
		return 0;
	if (device->chown_wanted && fchownat(node, "", device->uid, device->gid, AT_EMPTY_PATH) < 0)
		return error_errno(error, errno, "set the owner of the device %s", device->path);
	return 0;
}

/* In a user namespace mknod(2) isn't allowed: the guest's own node is bound, where it is the same device. */
static int bind_node(struct helper *helper, const struct plan_device *device)
{
	struct error *error = &helper->error;
	cleanup_close int tree = kernel_open_tree(AT_FDCWD, device->path, OPEN_TREE_CLONE);
	cleanup_close int target = -1;
	struct stat stat;

	if (tree < 0 || fstat(tree, &stat) < 0)
		return error_errno(error, errno, "bind the device %s", device->path);
	if (!is_device(&stat, device))
		return error_set(error, ENODEV, "the guest's %s isn't the device that the container asks for",
				 device->path);
	target = path_make_file(helper->root, device->path, 0644, error);
	if (target < 0)
		return error_wrap(error, "device %s", device->path);
	if (kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "attach the device %s", device->path);
	return 0;
}

static int make_links(struct helper *helper)
{
	struct error *error = &helper->error;
	cleanup_close int directory = path_make_directories(helper->root, "/dev", 0755, error);

	if (directory < 0)
		return directory;
	for (size_t i = 0; i < array_size(links); i++)
		if (symlinkat(links[i].target, directory, links[i].name) < 0 && errno != EEXIST && errno != EROFS)
			return error_errno(error, errno, "make the link /dev/%s", links[i].name);
	return 0;
}

int devices_make(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	bool bind = plan->namespaces[PLAN_USER].mode != PLAN_NAMESPACE_KEEP;
	struct parent parent = {.fd = -1};
	int status = 0;

	for (size_t i = 0; status == 0 && i < plan->device_count; i++)
		status = bind && !S_ISFIFO(plan->devices[i].mode) ? bind_node(helper, &plan->devices[i]) :
								    make_node(helper, &parent, &plan->devices[i]);
	fd_close(&parent.fd);
	return status < 0 ? status : make_links(helper);
}
