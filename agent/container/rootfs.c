/* The root filesystem of a new container: assembled in the helper's private mount namespace, attached, by descriptors,
 * and then pivoted into. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define RULES_OF_SYSCTL (RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS)

/* Binds the root onto itself, so that it is a mount of its own. */
static int bind_root(struct helper *helper)
{
	struct error *error = &helper->error;
	cleanup_close int bundle = open(helper->plan.bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int target = openat(bundle, "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_close int tree = -1;

	/* What the guest mounts later is seen by the container, and nothing the other way. */
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_errno(error, errno, "isolate the mounts");
	if (bundle < 0 || target < 0)
		return error_errno(error, errno, "open %s/rootfs", helper->plan.bundle);
	tree = kernel_open_tree(target, "", OPEN_TREE_CLONE | AT_RECURSIVE | AT_EMPTY_PATH);
	if (tree < 0 || kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "bind %s/rootfs", helper->plan.bundle);
	helper->root = take_fd(&tree);
	/* By this namespace's mount: one of another couldn't be shown as /dev/console. */
	if (helper->plan.process.terminal)
		helper->ptmx = open(HELPER_PTMX, O_PATH | O_CLOEXEC);
	return 0;
}

/* Sysctls go through the guest's own procfs, which the container can't have touched; a process sees its own namespaces'
 * values there. */
static int write_sysctl(int proc, const struct plan_sysctl *sysctl, struct error *error)
{
	struct open_how how = {.flags = O_WRONLY | O_CLOEXEC, .resolve = RULES_OF_SYSCTL};
	cleanup_close int directory = openat(proc, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = (int)syscall(SYS_openat2, directory, sysctl->path, &how, sizeof(how));

	if (fd < 0 && errno == ENOENT) /* of something that this kernel doesn't have */
		return 0;
	if (fd < 0 || write(fd, sysctl->value, strlen(sysctl->value)) < 0)
		return error_errno(error, errno, "write sysctl %s", sysctl->path);
	return 0;
}

static int make_directory(struct helper *helper)
{
	const char *directory = helper->plan.process.directory;
	int fd = path_make_directories(helper->root, directory, 0755, &helper->error);

	/* Whether the workload may be there is looked at when it goes there; here only what is missing is made. */
	if (fd == -EACCES || fd == -EROFS || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (fd < 0)
		return error_wrap(&helper->error, "cwd");
	close(fd);
	return 0;
}

/* Only now, as pivot_root(2) takes no shared root. A recursive one is for those mounts that say nothing themselves. */
static int set_root_propagation(struct helper *helper)
{
	const unsigned long propagation = helper->plan.root_propagation;
	int status = 0;

	if (propagation == 0)
		return 0;
	if (mount(NULL, "/", NULL, propagation, NULL) < 0)
		return error_errno(&helper->error, errno, "set the propagation of the root");
	for (size_t i = 0; status == 0 && propagation & MS_REC && i < helper->plan.mount_count; i++)
		if (helper->plan.mounts[i].propagation)
			status = mounts_propagate(helper, &helper->plan.mounts[i]);
	return status;
}

/* pivot_root(".", "."): the old root comes to lie on top of the new one, and is taken off. See pivot_root(2). */
static int pivot(struct helper *helper)
{
	struct error *error = &helper->error;
	cleanup_close int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (old < 0 || fchdir(helper->root) < 0 || kernel_pivot_root(".", ".") < 0)
		return error_errno(error, errno, "pivot_root");
	if (fchdir(old) < 0 || umount2(".", MNT_DETACH) < 0)
		return error_errno(error, errno, "unmount the old root");
	if (chdir("/") < 0)
		return error_errno(error, errno, "go to the new root");
	return 0;
}

/* The agent runs the hooks that are due now. */
static int await_hooks(struct helper *helper)
{
	int status;

	if (!hooks_at_creation(&helper->plan.hooks))
		return 0;
	status = helper_report(helper, LAUNCH_ASSEMBLED, 0, NULL, 0);
	if (status == 0)
		helper_await_word(helper);
	return status;
}

int rootfs_assemble(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	int status = bind_root(helper);

	umask(0);
	for (size_t i = 0; status == 0 && i < plan->mount_count; i++)
		status = mounts_attach(helper, &plan->mounts[i]);
	if (status == 0 && !plan->dev_is_bind)
		status = devices_make(helper);
	for (size_t i = 0; status == 0 && i < plan->sysctl_count; i++)
		status = write_sysctl(helper->proc, &plan->sysctls[i], &helper->error);
	if (status == 0 && plan->process.terminal)
		status = terminal_open(helper, !plan->dev_is_bind);
	umask(022);
	if (status == 0)
		status = make_directory(helper);
	if (status == 0)
		status = await_hooks(helper);
	if (status == 0 && helper->dev_mount >= 0)
		status = mounts_set_readonly(helper->dev_mount, false, &helper->error);
	if (status == 0)
		status = masks_apply(helper);
	if (status == 0 && plan->root_readonly)
		status = mounts_set_readonly(helper->root, false, &helper->error);
	if (status == 0)
		status = pivot(helper);
	return status < 0 ? status : set_root_propagation(helper);
}
