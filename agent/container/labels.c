/* The labels that the workload gets at its execve, from AppArmor and SELinux.
 *
 * They are written through the guest's own procfs, which the helper has open since before it knew the container, and no
 * mount on it is crossed: what a container mounts over its /proc can't take the word. See
 * Documentation/admin-guide/LSM/apparmor.rst, apparmor(7), setexeccon(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "lib/cleanup.h"

/* 0, or -errno: ENOTSUP where there is no such file. The word has to be one write. */
static int write_attribute(const struct helper *helper, const char *path, const char *word)
{
	struct open_how how = {
		.flags = O_WRONLY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	cleanup_close int fd = (int)syscall(SYS_openat2, helper->proc, path, &how, sizeof(how));

	if (fd < 0)
		return errno == ENOENT ? -ENOTSUP : -errno;
	return write(fd, word, strlen(word)) < 0 ? -errno : 0;
}

static int apply_apparmor(struct helper *helper, const char *profile)
{
	char word[sizeof("exec ") + PLAN_LABEL_MAX];
	int status;

	snprintf(word, sizeof(word), "exec %s", profile);
	status = write_attribute(helper, "thread-self/attr/apparmor/exec", word);
	/* EINVAL is the answer of a kernel that has AppArmor and hasn't started it. */
	if (status != -ENOTSUP && status != -EINVAL)
		return status < 0 ? error_errno(&helper->error, -status, "AppArmor profile \"%.128s\"", profile) : 0;
	if (strcmp(profile, "unconfined") == 0)
		return 0;
	return error_set(&helper->error, EINVAL, "AppArmor profile \"%.128s\": this guest has no AppArmor", profile);
}

int labels_apply(struct helper *helper)
{
	const struct plan_process *process = &helper->plan.process;
	int status;

	if (process->apparmor_profile && apply_apparmor(helper, process->apparmor_profile) < 0)
		return -helper->error.number;
	if (!process->selinux_label)
		return 0;
	status = write_attribute(helper, "thread-self/attr/exec", process->selinux_label);
	return status < 0 ? error_errno(&helper->error, -status, "SELinux label \"%.128s\"", process->selinux_label) : 0;
}
