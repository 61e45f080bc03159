/* A program of the guest's own image, to be executed in a container: found by name in the guest's root, and opened
 * before the helper enters any of the container's namespaces.
 *
 * The workload's process has it as /proc/PID/exe, where the container may open it again; so it is executed by way of a
 * mount of its own, which is attached nowhere and read-only. See open_tree(2), mount_setattr(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"

static const char *const folders[] = {"/bin", "/usr/bin", "/sbin", "/usr/sbin"};

static int open_read_only(const char *path)
{
	static const struct kernel_mount_attr attributes = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
	};
	cleanup_close int fd = kernel_open_tree(AT_FDCWD, path, OPEN_TREE_CLONE);

	if (fd < 0 || kernel_mount_setattr(fd, 0, &attributes) < 0)
		return -errno;
	return take_fd(&fd);
}

int guest_tool_open(struct helper *helper)
{
	const char *tool = helper->plan.process.tool;

	for (size_t i = 0; i < array_size(folders); i++) {
		char path[sizeof("/usr/sbin/") + NAME_MAX];

		snprintf(path, sizeof(path), "%s/%s", folders[i], tool);
		if (access(path, X_OK) < 0)
			continue;
		helper->tool = open_read_only(path);
		if (helper->tool < 0)
			return error_errno(&helper->error, -helper->tool, "open the guest's %s", path);
		return 0;
	}
	helper->failure_class = LAUNCH_NOT_FOUND;
	return error_set(&helper->error, ENOENT, "the guest image has no %s", tool);
}
