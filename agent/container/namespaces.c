/* Namespaces of the helper: opens the given ones, joins them, makes the new ones. See namespaces(7), setns(2). */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define MAP_SIZE 4096 /* the kernel takes less than a page */

struct kind {
	int flag;
	const char *name;
};

static const struct kind kinds[PLAN_NAMESPACES] = {
	[PLAN_USER] = {CLONE_NEWUSER, "user"},	     [PLAN_IPC] = {CLONE_NEWIPC, "ipc"},
	[PLAN_UTS] = {CLONE_NEWUTS, "uts"},	     [PLAN_NETWORK] = {CLONE_NEWNET, "network"},
	[PLAN_CGROUP] = {CLONE_NEWCGROUP, "cgroup"}, [PLAN_TIME] = {CLONE_NEWTIME, "time"},
	[PLAN_PID] = {CLONE_NEWPID, "pid"},	     [PLAN_MOUNT] = {CLONE_NEWNS, "mount"},
};

int namespaces_open(struct helper *helper)
{
	for (size_t i = 0; i < PLAN_NAMESPACES && !helper->plan.exec; i++) {
		struct plan_namespace *namespace = &helper->plan.namespaces[i];

		if (namespace->mode != PLAN_NAMESPACE_JOIN || namespace->fd >= 0)
			continue;
		namespace->fd = open(namespace->path, O_RDONLY | O_CLOEXEC);
		if (namespace->fd < 0)
			return error_errno(&helper->error, errno, "open the %s namespace %s", kinds[i].name,
					   namespace->path);
	}
	return 0;
}

static int write_map(int directory, const char *file, const struct plan_mapping *mappings, size_t count,
		     struct error *error)
{
	char text[MAP_SIZE];
	size_t length = 0;

	for (size_t i = 0; i < count; i++) {
		int added = snprintf(text + length, sizeof(text) - length, "%u %u %u\n", mappings[i].inside,
				     mappings[i].outside, mappings[i].count);

		if (added < 0 || (size_t)added >= sizeof(text) - length)
			return error_set(error, EINVAL, "the id mappings are too long");
		length += (size_t)added;
	}
	return fd_write_file(directory, file, text, error);
}

/* Its maps must be written from outside by somebody with capabilities there: so a child makes the namespace, and waits
 * while the maps are written. The child is the guest's root, so nobody in a container's pid namespace may see it: before one
 * is joined. */
int namespaces_make_users(struct helper *helper, const struct plan_mapping *uids, size_t uid_count,
			  const struct plan_mapping *gids, size_t gid_count)
{
	struct error *error = &helper->error;
	cleanup_close int pidfd = -1;
	cleanup_close int directory = -1, namespace = -1;
	char path[32];
	int status;
	pid_t child = kernel_clone(CLONE_NEWUSER | SIGCHLD, &pidfd);

	if (child == 0)
		for (;;)
			pause();
	if (child < 0)
		return error_errno(error, errno, "make a user namespace");
	snprintf(path, sizeof(path), "%d", child);
	directory = openat(helper->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	status = write_map(directory, "gid_map", gids, gid_count, error);
	if (status == 0)
		status = write_map(directory, "uid_map", uids, uid_count, error);
	namespace = openat(directory, "ns/user", O_RDONLY | O_CLOEXEC);
	if (status == 0 && namespace < 0)
		status = error_errno(error, errno, "open the new user namespace");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return status < 0 ? status : take_fd(&namespace);
}

/* Root inside: without it nothing there could be set up. */
static int become_root(struct helper *helper)
{
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_errno(&helper->error, errno, "become root in the user namespace");
	return 0;
}

static int enter_user_namespace(struct helper *helper)
{
	const struct plan_namespace *namespace = &helper->plan.namespaces[PLAN_USER];

	if (namespace->mode == PLAN_NAMESPACE_KEEP)
		return 0;
	if (setns(namespace->fd, CLONE_NEWUSER) < 0)
		return error_errno(&helper->error, errno, "join the user namespace");
	return become_root(helper);
}

/* All of a running container's namespaces at once, through its first process: its pidfd can't come to mean another. */
static int join_container(struct helper *helper)
{
	int flags = 0;

	for (size_t i = 0; i < PLAN_NAMESPACES; i++)
		if (helper->plan.namespaces[i].mode == PLAN_NAMESPACE_JOIN)
			flags |= kinds[i].flag;
	if (setns(helper->plan.init_pidfd, flags) < 0)
		return error_errno(&helper->error, errno, "join the container's namespaces");
	return flags & CLONE_NEWUSER ? become_root(helper) : 0;
}

/* A new time namespace is for children, and takes its offsets while nobody is in it. It belongs to the guest's user
 * namespace, as it is there that the offsets may be written. */
static int make_time(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	struct error *error = &helper->error;
	char text[128];

	if (plan->namespaces[PLAN_TIME].mode != PLAN_NAMESPACE_NEW)
		return 0;
	if (unshare(CLONE_NEWTIME) < 0)
		return error_errno(error, errno, "make a time namespace");
	for (size_t i = 0; i < plan->time_offset_count; i++) {
		const struct plan_time_offset *offset = &plan->time_offsets[i];

		snprintf(text, sizeof(text), "%s %lld %u", offset->clock, (long long)offset->seconds, offset->nanoseconds);
		if (fd_write_file(helper->proc, "self/timens_offsets", text, error) < 0)
			return error_wrap(error, "set the offset of the %s clock", offset->clock);
	}
	return 0;
}

static int set_names(struct helper *helper)
{
	const struct plan *plan = &helper->plan;

	if (plan->hostname && sethostname(plan->hostname, strlen(plan->hostname)) < 0)
		return error_errno(&helper->error, errno, "set the hostname");
	if (plan->domainname && setdomainname(plan->domainname, strlen(plan->domainname)) < 0)
		return error_errno(&helper->error, errno, "set the domain name");
	return 0;
}

/* A new user namespace, to be entered later. */
static int make_user_namespace(struct helper *helper)
{
	struct plan *plan = &helper->plan;
	struct plan_namespace *namespace = &plan->namespaces[PLAN_USER];

	if (namespace->mode != PLAN_NAMESPACE_NEW)
		return 0;
	namespace->fd = namespaces_make_users(helper, plan->uid_mappings, plan->uid_mapping_count, plan->gid_mappings,
					      plan->gid_mapping_count);
	return namespace->fd < 0 ? namespace->fd : 0;
}

int namespaces_enter(struct helper *helper)
{
	const struct plan_namespace *namespaces = helper->plan.namespaces;
	int status, new_ones = 0;

	if (helper->plan.exec)
		return join_container(helper);
	status = make_user_namespace(helper);
	if (status < 0)
		return status;
	/* Those of the sandbox belong to the guest's user namespace, which must not be left before; new ones are to
	 * belong to the container's. */
	for (size_t i = PLAN_IPC; i <= PLAN_PID; i++)
		if (namespaces[i].mode == PLAN_NAMESPACE_JOIN && setns(namespaces[i].fd, kinds[i].flag) < 0)
			return error_errno(&helper->error, errno, "join the %s namespace", kinds[i].name);
	status = mounts_make_procfs(helper);
	if (status == 0)
		status = make_time(helper);
	if (status == 0)
		status = enter_user_namespace(helper);
	if (status < 0)
		return status;
	for (size_t i = 0; i < PLAN_NAMESPACES; i++)
		if (namespaces[i].mode == PLAN_NAMESPACE_NEW && i != PLAN_USER && i != PLAN_CGROUP && i != PLAN_TIME)
			new_ones |= kinds[i].flag;
	if (helper_is_workload(&helper->plan))
		new_ones &= ~CLONE_NEWPID; /* it was cloned into that one */
	if (unshare(new_ones) < 0)
		return error_errno(&helper->error, errno, "make namespaces");
	return set_names(helper);
}
