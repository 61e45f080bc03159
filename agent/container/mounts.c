/* One mount of a container: made somewhere private, then moved onto a target that is held open.
 *
 * The target is resolved once, inside the root, by openat2(2); what is mounted is attached to that descriptor, so that
 * nobody who shares a volume with the container can put a symlink in between. Binds are detached trees (open_tree(2)).
 * Filesystems are mounted by mount(2), which takes options that fsconfig(2) would cut at commas or at 255 bytes, on the
 * bundle's folder in the helper's own mount namespace, and moved from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define PROC_MAGIC 0x9fa0

struct attribute {
	unsigned long flag;
	uint64_t attribute;
};

static const struct attribute attributes[] = {
	{MS_RDONLY, MOUNT_ATTR_RDONLY},	      {MS_NOSUID, MOUNT_ATTR_NOSUID},
	{MS_NODEV, MOUNT_ATTR_NODEV},	      {MS_NOEXEC, MOUNT_ATTR_NOEXEC},
	{MS_NODIRATIME, MOUNT_ATTR_NODIRATIME}, {MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
};

static bool is_procfs(int fd)
{
	struct statfs statfs;

	return fstatfs(fd, &statfs) == 0 && statfs.f_type == PROC_MAGIC;
}

static bool is_directory(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode);
}

static uint64_t to_attributes(unsigned long flags)
{
	uint64_t result = 0;

	for (size_t i = 0; i < array_size(attributes); i++)
		if (flags & attributes[i].flag)
			result |= attributes[i].attribute;
	return result;
}

/* The kernel's kinds of atime are one value, of which 0 is relatime: what "atime" and "nostrictatime" lead back to. */
static struct kernel_mount_attr make_attributes(unsigned long set, unsigned long clear)
{
	struct kernel_mount_attr attr = {.attr_set = to_attributes(set), .attr_clr = to_attributes(clear)};

	if ((set | clear) & (MS_NOATIME | MS_STRICTATIME | MS_RELATIME))
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	if (set & MS_NOATIME)
		attr.attr_set |= MOUNT_ATTR_NOATIME;
	else if (set & MS_STRICTATIME)
		attr.attr_set |= MOUNT_ATTR_STRICTATIME;
	return attr;
}

static int change(int tree, unsigned flags, const struct kernel_mount_attr *attr, const struct plan_mount *mount,
		  struct error *error)
{
	if ((attr->attr_set || attr->attr_clr) && kernel_mount_setattr(tree, flags, attr) < 0)
		return error_errno(error, errno, "set the options of the mount at %s", mount->target);
	return 0;
}

static int set_recursive_attributes(int tree, const struct plan_mount *mount, struct error *error)
{
	const struct kernel_mount_attr attr = make_attributes(mount->recursive_flags, mount->recursive_clear);

	return change(tree, AT_RECURSIVE, &attr, mount, error);
}

/* What is said of the mount alone goes over what is said of all below. */
static int set_attributes(int tree, const struct plan_mount *mount, struct error *error)
{
	const struct kernel_mount_attr attr = make_attributes(mount->flags, mount->clear);
	int status = set_recursive_attributes(tree, mount, error);

	return status < 0 ? status : change(tree, 0, &attr, mount, error);
}

static int set_propagation(int tree, const struct plan_mount *mount, struct error *error)
{
	struct kernel_mount_attr attr = {.propagation = mount->propagation & ~(unsigned long)MS_REC};

	if (attr.propagation &&
	    kernel_mount_setattr(tree, mount->propagation & MS_REC ? AT_RECURSIVE : 0, &attr) < 0)
		return error_errno(error, errno, "set the propagation of the mount at %s", mount->target);
	return 0;
}

int mounts_set_readonly(int mount, bool recursive, struct error *error)
{
	const struct kernel_mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

	if (kernel_mount_setattr(mount, recursive ? AT_RECURSIVE : 0, &attr) < 0)
		return error_errno(error, errno, "make a mount read-only");
	return 0;
}

int mounts_make(struct helper *helper, const char *source, const char *type, unsigned long flags, const char *data)
{
	const char *scratch = helper->plan.bundle;
	int tree;

	if (mount(source, scratch, type, flags, data) < 0)
		return -errno;
	tree = kernel_open_tree(AT_FDCWD, scratch, 0);
	return tree < 0 ? -errno : tree;
}

static int make_filesystem(struct helper *helper, const struct plan_mount *mount)
{
	int tree = mounts_make(helper, mount->source, mount->type, mount->flags, mount->data);

	/* A user namespace may not have its own sysfs for a network that isn't its own; the guest's is as good. */
	if (tree == -EPERM && strcmp(mount->type, "sysfs") == 0) {
		tree = kernel_open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | AT_RECURSIVE);
		if (tree >= 0 && set_attributes(tree, mount, &helper->error) < 0)
			return -helper->error.number;
	}
	if (tree < 0)
		return error_errno(&helper->error, -tree, "mount %s at %s (options %s)", mount->type, mount->target,
				   mount->data ? mount->data : "none");
	if (set_recursive_attributes(tree, mount, &helper->error) < 0)
		return -helper->error.number;
	return tree;
}

static int clone_tree(const struct plan_mount *mount, const char *source, struct error *error)
{
	int tree = kernel_open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | (mount->recursive ? AT_RECURSIVE : 0));

	return tree < 0 ? error_errno(error, errno, "bind %s at %s", source, mount->target) : tree;
}

/* The ids are those of the mount's own mappings, or of the container's user namespace. */
static int open_ids(struct helper *helper, const struct plan_mount *mount)
{
	const struct plan *plan = &helper->plan;

	if (mount->uid_mapping_count > 0)
		return namespaces_make_users(helper, mount->uid_mappings, mount->uid_mapping_count, mount->gid_mappings,
					     mount->gid_mapping_count);
	if (plan->namespaces[PLAN_USER].mode == PLAN_NAMESPACE_JOIN)
		return fcntl(plan->namespaces[PLAN_USER].fd, F_DUPFD_CLOEXEC, 3);
	return namespaces_make_users(helper, plan->uid_mappings, plan->uid_mapping_count, plan->gid_mappings,
				     plan->gid_mapping_count);
}

static int make_idmapped(struct helper *helper, const struct plan_mount *mount)
{
	struct error *error = &helper->error;
	cleanup_close int tree = clone_tree(mount, mount->source, error);
	cleanup_close int ids = tree < 0 ? -1 : open_ids(helper, mount);
	struct kernel_mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)ids};

	if (tree < 0)
		return tree;
	if (ids < 0)
		return error->number ? error_wrap(error, "mount at %s", mount->target) :
				       error_errno(error, EBADF, "open the ids of the mount at %s", mount->target);
	if (kernel_mount_setattr(tree, mount->idmap_recursive ? AT_RECURSIVE : 0, &attr) == 0)
		return take_fd(&tree);
	if (errno == EINVAL)
		return error_set(error, EINVAL, "map the ids of %s at %s: its filesystem can't be idmapped (or it is already)",
				 mount->source, mount->target);
	return error_errno(error, errno, "map the ids of %s at %s", mount->source, mount->target);
}

int mounts_map_ids(struct helper *helper)
{
	const struct plan *plan = &helper->plan;

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct plan_mount *mount = &plan->mounts[i];
		int tree;

		if (!mount->idmap)
			continue;
		tree = make_idmapped(helper, mount);
		if (tree < 0)
			return tree;
		helper->early[mount->early - 1] = tree;
	}
	return 0;
}

static int make_bind(struct helper *helper, const struct plan_mount *mount, const char *source)
{
	cleanup_close int tree =
		mount->early > 0 ? helper->early[mount->early - 1] : clone_tree(mount, source, &helper->error);
	int status;

	if (tree < 0)
		return tree;
	if (strcmp(mount->target, "/proc") == 0 && !is_procfs(tree))
		return error_set(&helper->error, EINVAL, "%s can't be bound at /proc, as it is no procfs", source);
	status = set_attributes(tree, mount, &helper->error);
	return status < 0 ? status : take_fd(&tree);
}

/* A procfs is that of its maker's pid namespace, and only a child is in one that was joined: it shares the descriptors. */
static int make_joined_procfs(struct helper *helper, const struct plan_mount *mount)
{
	cleanup_close int pidfd = -1;
	cleanup_close int context = -1, tree = -1;
	int status = 0;
	pid_t child = kernel_clone(CLONE_FILES | SIGCHLD, &pidfd);

	if (child == 0) {
		context = kernel_fsopen("proc");
		_exit(context < 0 || kernel_fsconfig(context, KERNEL_FSCONFIG_CREATE, NULL, NULL) < 0 ? 0 : context);
	}
	context = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) > 0 ?
			  WEXITSTATUS(status) :
			  -1;
	tree = context < 0 ? -1 : kernel_fsmount(context, 0);
	if (tree < 0)
		return error_set(&helper->error, EPERM, "make a procfs of the joined pid namespace at %s", mount->target);
	return take_fd(&tree);
}

static int find_procfs(struct helper *helper, const struct plan_mount *mount)
{
	if (helper->plan.procfs_made)
		return make_joined_procfs(helper, mount);
	if (!helper->plan.procfs)
		return error_set(&helper->error, EINVAL, "there is no procfs of the shared pid namespace");
	return clone_tree(mount, helper->plan.procfs, &helper->error);
}

int mounts_make_procfs(struct helper *helper)
{
	const struct plan *plan = &helper->plan;

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct plan_mount *mount = &plan->mounts[i];
		int tree;

		if (mount->kind != PLAN_MOUNT_PROC || mount->early == 0)
			continue;
		tree = find_procfs(helper, mount);
		if (tree < 0)
			return tree;
		helper->early[mount->early - 1] = tree;
	}
	return 0;
}

static int make_cgroup(struct helper *helper, const struct plan_mount *mount)
{
	struct plan_mount cgroup = *mount;
	const struct plan *plan = &helper->plan;

	if (plan->cgroup && !plan->cgroup->tree->unified)
		return cgroup_mount_v1(helper, mount);
	/* Without a namespace for it the top would be the guest's. */
	if (plan->cgroup && plan->namespaces[PLAN_CGROUP].mode == PLAN_NAMESPACE_KEEP) {
		char path[sizeof(plan->cgroup->path) + sizeof(plan->cgroup->tree->hierarchies[0].mount)];

		snprintf(path, sizeof(path), "%s%s", plan->cgroup->tree->hierarchies[0].mount, plan->cgroup->path);
		return make_bind(helper, mount, path);
	}
	cgroup.source = "cgroup2";
	cgroup.type = "cgroup2";
	cgroup.data = NULL; /* names v1 controllers, if anything */
	return make_filesystem(helper, &cgroup);
}

static int make(struct helper *helper, const struct plan_mount *mount)
{
	switch (mount->kind) {
	case PLAN_MOUNT_BIND:
		return make_bind(helper, mount, mount->source);
	case PLAN_MOUNT_PROC:
		return mount->early > 0 ? make_bind(helper, mount, mount->source) : make_filesystem(helper, mount);
	case PLAN_MOUNT_CGROUP:
		return make_cgroup(helper, mount);
	default:
		return make_filesystem(helper, mount);
	}
}

/* The target of a procfs or sysfs: a real directory, reached without a symlink, as what is written there later must not
 * be somewhere else. */
static int open_plain_directory(int root, const char *path, struct error *error)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd < 0 && errno == ENOENT) {
		int made = path_make_directories(root, path, 0755, error);

		if (made < 0)
			return made;
		close(made);
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	}
	if (fd < 0)
		return error_errno(error, errno, "%s must be a directory, and no symlink", path);
	return fd;
}

static int open_target(struct helper *helper, const struct plan_mount *mount, int tree)
{
	struct error *error = &helper->error;
	cleanup_close int target = -1;

	if (mount->kind == PLAN_MOUNT_PROC || strcmp(mount->type, "sysfs") == 0)
		target = open_plain_directory(helper->root, mount->target, error);
	else if (is_directory(tree))
		target = path_make_directories(helper->root, mount->target, 0755, error);
	else
		target = path_make_file(helper->root, mount->target, 0644, error);
	if (target < 0)
		return error_wrap(error, "mount at %s", mount->target);
	/* The spec's words were checked, but a symlink may lead into a procfs as well. */
	if (is_procfs(target) && strcmp(mount->target, "/proc") != 0 && strncmp(mount->target, "/proc/", 6) != 0)
		return error_set(error, EPERM, "%s cannot be mounted because it is inside /proc", mount->target);
	return take_fd(&target);
}

int mounts_propagate(struct helper *helper, const struct plan_mount *mount)
{
	cleanup_close int target = path_open_in_root(helper->root, mount->target, O_PATH, 0, &helper->error);

	return target < 0 ? target : set_propagation(target, mount, &helper->error);
}

static int remount(const char *path, unsigned long flags, const char *data)
{
	return mount(NULL, path, NULL, MS_REMOUNT | flags, data);
}

/* Changes what is mounted there already: the filesystem with its options, or the mount alone. */
static int change_mount(struct helper *helper, const struct plan_mount *mount)
{
	struct error *error = &helper->error;
	cleanup_close int target = path_open_in_root(helper->root, mount->target, O_PATH, 0, error);
	char path[sizeof("/proc/self/fd/") + 12];
	int status;

	if (target < 0)
		return error_wrap(error, "remount %s", mount->target);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
	if (mount->kind == PLAN_MOUNT_REMOUNT &&
	    remount(path, mount->flags, mount->data) < 0)
		return error_errno(error, errno, "remount %s (options %s)", mount->target,
				   mount->data ? mount->data : "none");
	status = set_attributes(target, mount, error);
	return status < 0 ? status : set_propagation(target, mount, error);
}

int mounts_attach(struct helper *helper, const struct plan_mount *mount)
{
	struct error *error = &helper->error;
	cleanup_close int tree = -1;
	cleanup_close int target = -1;
	int status;

	if (mount->kind == PLAN_MOUNT_REMOUNT || mount->kind == PLAN_MOUNT_REMOUNT_BIND)
		return change_mount(helper, mount);
	tree = make(helper, mount);
	if (tree < 0)
		return tree;
	status = set_propagation(tree, mount, error);
	if (status < 0)
		return status;
	target = open_target(helper, mount, tree);
	if (target < 0)
		return target;
	if (mount->copy_up && copy_up(helper, target, tree) < 0)
		return error_wrap(error, "copy up %s", mount->target);
	if (kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "attach the mount at %s", mount->target);
	if (strcmp(mount->target, "/dev") == 0 && helper->plan.dev_readonly)
		helper->dev_mount = take_fd(&tree);
	return 0;
}
