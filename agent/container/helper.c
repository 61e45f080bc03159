/* The helper's straight line. See helper.h for who does what, and in which order. */
#include "agent/container/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/bundle.h"
#include "agent/container/kernel.h"
#include "agent/container/report.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define SIGNAL_MAX 64

int helper_report(struct helper *helper, uint32_t type, pid_t pid, const int *fds, size_t count)
{
	struct report report = {.type = type, .pid = pid};
	int status;

	if (type == LAUNCH_FAILED) {
		report.failure_class = helper->failure_class;
		report.failure_number = helper->error.number;
		snprintf(report.text, sizeof(report.text), "%s", helper->error.text);
	}
	status = fd_send(helper->report, &report, sizeof(report), fds, count);
	return status < 0 ? error_errno(&helper->error, -status, "report to the agent") : 0;
}

void helper_await_word(struct helper *helper)
{
	char word;
	ssize_t count;

	do {
		count = recv(helper->report, &word, 1, 0);
	} while (count < 0 && errno == EINTR);
	if (count != 1)
		_exit(1);
}

static _Noreturn void fail(struct helper *helper)
{
	helper_report(helper, LAUNCH_FAILED, 0, NULL, 0);
	_exit(1);
}

static uint64_t changed_signals; /* that aren't at their defaults, a bit each */
static bool signals_known;

void helper_learn_signals(void)
{
	struct sigaction action;

	for (int signal = 1; !signals_known && signal <= SIGNAL_MAX; signal++)
		if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
			changed_signals |= UINT64_C(1) << (signal - 1);
	signals_known = true;
}

/* The agent blocks the signals that it reads from a signalfd, and ignores SIGPIPE. Both would be inherited. */
static void restore_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int signal = 1; signal <= SIGNAL_MAX; signal++)
		if (changed_signals >> (signal - 1) & 1)
			sigaction(signal, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int open_own(struct helper *helper)
{
	helper->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (helper->proc < 0)
		return error_errno(&helper->error, errno, "open /proc");
	if (helper->plan.process.terminal)
		helper->ptmx = open("/dev/pts/ptmx", O_PATH | O_CLOEXEC);
	if (!helper_is_workload(&helper->plan) && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, helper->pair) < 0)
		return error_errno(&helper->error, errno, "make a pair of sockets");
	return 0;
}

/* A container that sees its cgroups and may write them manages them. */
static bool manages_cgroups(const struct plan *plan)
{
	if (!plan->cgroup->tree->unified || plan->namespaces[PLAN_CGROUP].mode != PLAN_NAMESPACE_NEW)
		return false;
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].kind == PLAN_MOUNT_CGROUP && !(plan->mounts[i].flags & MS_RDONLY))
			return true;
	return false;
}

/* The guest's number for the container's user; the guest's root where it has none. */
static uid_t cgroup_owner(const struct plan *plan)
{
	uid_t uid = plan->process.uid;

	if (plan->namespaces[PLAN_USER].mode == PLAN_NAMESPACE_KEEP)
		return uid;
	for (size_t i = 0; i < plan->uid_mapping_count; i++) {
		const struct plan_mapping *mapping = &plan->uid_mappings[i];

		if (uid >= mapping->inside && uid - mapping->inside < mapping->count)
			return mapping->outside + (uid - mapping->inside);
	}
	return 0;
}

static int open_cgroup(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	struct cgroup_entrance *entrance = &helper->entrance;
	int status;

	if (plan->exec)
		return cgroup_open_entrance_beside(plan->cgroup, plan->init_pid, entrance, &helper->error);
	status = cgroup_open_entrance(plan->cgroup, entrance, &helper->error);
	if (status == 0 && manages_cgroups(plan))
		status = cgroup_delegate(plan->cgroup, cgroup_owner(plan), entrance, &helper->error);
	return status;
}

/* What has to be there before the container: done with the agent's rights, in the agent's mount namespace. */
static int prepare_guest(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	int status = 0;

	if (!plan->exec)
		status = bundle_prepare(plan->bundle, plan->root_path, &helper->error);
	if (status == 0 && plan->cgroup && !plan->exec) {
		status = cgroup_create(plan->cgroup, &helper->error);
		if (status == -EBUSY)
			helper->failure_class = LAUNCH_CGROUP_USED;
	}
	if (status == 0 && plan->cgroup && !plan->exec)
		status = cgroup_apply(plan->cgroup, plan->limits, &helper->error);
	if (status == 0 && plan->cgroup)
		status = open_cgroup(helper);
	if (status == 0 && plan->process.tool)
		status = guest_tool_open(helper);
	return status;
}

static int enter_cgroup(struct helper *helper)
{
	return cgroup_enter(&helper->entrance, helper->plan.namespaces[PLAN_CGROUP].mode == PLAN_NAMESPACE_NEW,
			    &helper->error);
}

static int set_processors(struct helper *helper, const struct plan_cpus *cpus)
{
	if (cpus && kernel_sched_setaffinity(sizeof(cpus->mask), cpus->mask) < 0)
		return error_errno(&helper->error, errno, "set the processors of the exec");
	return 0;
}

/* The procfs of the new pid namespace, which the agent keeps for the containers that will join it. */
static int export_procfs(struct helper *helper)
{
	cleanup_close int context = kernel_fsopen("proc");
	cleanup_close int mount = -1;

	if (context < 0 || kernel_fsconfig(context, KERNEL_FSCONFIG_CREATE, NULL, NULL) < 0)
		return error_errno(&helper->error, errno, "make a procfs");
	mount = kernel_fsmount(context, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return error_errno(&helper->error, errno, "make a procfs mount");
	return helper_report(helper, REPORT_PROCFS, 0, &mount, 1);
}

/* Root and credentials: the same for a process in its own pid namespace, and for the helper of a shared one. */
static int build(struct helper *helper)
{
	const struct plan *plan = &helper->plan;
	int status;

	if (!plan->exec) {
		status = rootfs_assemble(helper);
	} else {
		helper->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		status = helper->root < 0 ? error_errno(&helper->error, errno, "open the container's root") : 0;
		if (status == 0 && plan->process.terminal)
			status = terminal_open(helper, false);
	}
	return status < 0 ? status : process_become(helper);
}

static int open_pid_namespace(const struct helper *helper, const char *link)
{
	return openat(helper->proc, link, O_RDONLY | O_CLOEXEC);
}

/* Waits until the other one of helper and workload has closed its end of the pair, or has died. */
static void wait_for_other(int end)
{
	char byte;

	while (read(end, &byte, 1) < 0 && errno == EINTR)
		continue;
}

/* In the helper: reports the process, once that has exported what goes with it, and ends, at which it goes on. */
static _Noreturn void hand_over(struct helper *helper, pid_t pid, int pidfd, bool new_namespace)
{
	int fds[REPORT_PROCESS_FDS] = {[REPORT_PIDFD] = pidfd};
	size_t count = 1;

	if (new_namespace) {
		fds[REPORT_PID_NAMESPACE] = open_pid_namespace(helper, "self/ns/pid_for_children");
		if (fds[REPORT_PID_NAMESPACE] >= 0)
			count++;
	}
	wait_for_other(helper->pair[0]);
	_exit(helper_report(helper, LAUNCH_PROCESS, pid, fds, count) < 0);
}

/* Clones the process that will be the workload, and returns in it after the agent has been told about it: everything
 * else that it reports comes later. */
static int split(struct helper *helper, bool new_namespace)
{
	int pidfd, status = 0;
	pid_t pid = kernel_clone(CLONE_PARENT, &pidfd);

	if (pid < 0) {
		error_errno(&helper->error, errno, "make the container's process");
		fail(helper);
	}
	if (pid > 0) {
		fd_close(&helper->pair[1]);
		hand_over(helper, pid, pidfd, new_namespace);
	}
	fd_close(&helper->pair[0]);
	if (helper->plan.procfs_exported && new_namespace)
		status = export_procfs(helper);
	shutdown(helper->pair[1], SHUT_WR);
	wait_for_other(helper->pair[1]);
	fd_close(&helper->pair[1]);
	return status;
}

/* The helper as the workload: it is in the new namespace already. */
static int report_itself(struct helper *helper)
{
	cleanup_close int namespace = open_pid_namespace(helper, "self/ns/pid");
	int status = helper->plan.procfs_exported ? export_procfs(helper) : 0;

	return status < 0 ? status : helper_report(helper, LAUNCH_PROCESS, 0, &namespace, namespace >= 0);
}

static _Noreturn void run_in_new_namespace(struct helper *helper)
{
	int status = helper_is_workload(&helper->plan) ? report_itself(helper) : split(helper, true);

	if (status < 0 || enter_cgroup(helper) < 0 || build(helper) < 0)
		fail(helper);
	process_execute(helper);
}

/* Whoever is in that pid namespace and may trace has the new process's descriptors from its first instruction on. */
static _Noreturn void run_in_joined_namespace(struct helper *helper)
{
	if (build(helper) < 0)
		fail(helper);
	split(helper, false);
	process_execute(helper);
}

_Noreturn void helper_main(const struct plan *plan, int report, const int stdio[3])
{
	struct helper helper = {
		.plan = *plan,
		.report = report,
		.stdio = {stdio[0], stdio[1], stdio[2]},
		.proc = -1,
		.ptmx = -1,
		.root = -1,
		.tool = -1,
		.dev_mount = -1,
		.pair = {-1, -1},
		.entrance = {.child = -1, .top = -1},
	};
	bool joined = plan->namespaces[PLAN_PID].mode != PLAN_NAMESPACE_NEW;

	restore_signals();
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		error_errno(&helper.error, errno, "become undumpable");
	if (helper.error.number || helper_keep_fds(&helper) < 0 || open_own(&helper) < 0 ||
	    helper_forget(&helper) < 0 || process_raise_limits(&helper) < 0 || namespaces_open(&helper) < 0 ||
	    prepare_guest(&helper) < 0)
		fail(&helper);
	/* In a shared pid namespace the helper itself is the one who builds, so it has to be inside already. */
	if (joined && (set_processors(&helper, plan->process.cpus_initial) < 0 || enter_cgroup(&helper) < 0 ||
		       set_processors(&helper, plan->process.cpus_final) < 0))
		fail(&helper);
	if (mounts_map_ids(&helper) < 0)
		fail(&helper);
	if (namespaces_enter(&helper) < 0)
		fail(&helper);
	if (joined)
		run_in_joined_namespace(&helper);
	run_in_new_namespace(&helper);
}
