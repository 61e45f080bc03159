/* Labels of Linux security modules: which the workload gets at its execve. See OCI config.md "Linux Process". */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/plan_parts.h"
#include "lib/fd.h"

bool apparmor_started(void)
{
	char text[8];

	return fd_read_file(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", text, sizeof(text), NULL) > 0 && text[0] == 'Y';
}

int plan_check_selinux(const char *label, struct error *error)
{
	if (!*label)
		return 0;
	if (access("/sys/fs/selinux/enforce", F_OK) < 0)
		return error_set(error, EINVAL, "the label \"%.128s\": this guest has no SELinux", label);
	if (strlen(label) >= PLAN_LABEL_MAX || strpbrk(label, "\"\n\\"))
		return error_set(error, EINVAL, "\"%.128s\" is no SELinux label", label);
	return 0;
}

/* Whether the guest has AppArmor, and the profile, is seen when it is written. */
static int check_apparmor(const char *profile, struct error *error)
{
	if (strlen(profile) >= PLAN_LABEL_MAX || strpbrk(profile, "\n"))
		return error_set(error, EINVAL, "\"%.128s\" is no AppArmor profile", profile);
	return 0;
}

int plan_labels(struct plan *plan, const Grpc__Process *process, const Grpc__Process *container, bool apparmor_ignored,
		struct error *error)
{
	const char *profile = process->apparmorprofile, *label = process->selinuxlabel;
	int status;

	if (!*profile && container)
		profile = container->apparmorprofile;
	if (apparmor_ignored)
		profile = "";
	if (!*label && container)
		label = container->selinuxlabel;
	status = plan_check_selinux(label, error);
	if (status == 0)
		status = check_apparmor(profile, error);
	if (status < 0)
		return status;
	plan->process.apparmor_profile = *profile ? plan_text(plan->arena, profile, error) : NULL;
	plan->process.selinux_label = *label ? plan_text(plan->arena, label, error) : NULL;
	return (*profile && !plan->process.apparmor_profile) || (*label && !plan->process.selinux_label) ? -ENOMEM : 0;
}
