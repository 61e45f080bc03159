/* What a container sees at /sys/fs/cgroup on v1: a tmpfs with its own directory of each hierarchy bound in it, and a
 * symlink for each controller that shares a hierarchy with others. Read-only where the mount says so, so that nothing
 * there (release_agent, limits) can be written. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"

#define TMPFS_OPTIONS "mode=755,size=64k"

/* Names the hierarchy by each of its controllers, unless it has but one. */
static int link_controllers(int top, const struct cgroup_hierarchy *hierarchy, const char *name, struct error *error)
{
	const char *controller = hierarchy->controllers;

	while (*controller) {
		size_t length = strcspn(controller, ",");
		char link[CGROUP_CONTROLLERS_SIZE];

		snprintf(link, sizeof(link), "%.*s", (int)length, controller);
		if (!strchr(link, '=') && strcmp(link, name) != 0 && symlinkat(name, top, link) < 0 && errno != EEXIST)
			return error_errno(error, errno, "link the cgroup controller %s", link);
		controller += length + strspn(controller + length, ",");
	}
	return 0;
}

static int bind_hierarchy(struct helper *helper, int top, const struct cgroup_hierarchy *hierarchy, bool readonly)
{
	struct error *error = &helper->error;
	const char *name = strrchr(hierarchy->mount, '/') + 1;
	cleanup_close int tree = -1, target = -1;
	char path[PATH_MAX];
	int status = 0;

	snprintf(path, sizeof(path), "%s%s", hierarchy->mount, helper->plan.cgroup->path);
	tree = kernel_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);
	if (tree < 0 && errno == ENOENT) /* the container has no directory there */
		return 0;
	if (tree < 0)
		return error_errno(error, errno, "bind %s", path);
	if (readonly)
		status = mounts_set_readonly(tree, false, error);
	if (status < 0)
		return status;
	if (mkdirat(top, name, 0755) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make the cgroup folder %s", name);
	target = openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "attach the cgroup folder %s", name);
	return link_controllers(top, hierarchy, name, error);
}

int cgroup_mount_v1(struct helper *helper, const struct plan_mount *mount)
{
	const struct cgroup_tree *tree = helper->plan.cgroup->tree;
	bool readonly = mount->flags & MS_RDONLY;
	unsigned long flags = (mount->flags & ~(unsigned long)MS_RDONLY) | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	cleanup_close int top = mounts_make(helper, "tmpfs", "tmpfs", flags, TMPFS_OPTIONS);
	int status = 0;

	if (top < 0)
		return error_errno(&helper->error, -top, "mount a tmpfs for %s", mount->target);
	for (size_t i = 0; status == 0 && i < tree->hierarchy_count; i++)
		status = bind_hierarchy(helper, top, &tree->hierarchies[i], readonly);
	if (status == 0 && readonly)
		status = mounts_set_readonly(top, false, &helper->error);
	return status < 0 ? status : take_fd(&top);
}
