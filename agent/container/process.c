/* From the helper's rights to the workload's, and execve.
 *
 * Order: what needs the guest's rights, what needs root in the container, then user and groups with the capabilities
 * kept, then what is to be seen with the user's eyes (cwd, executable), then what takes the last rights away. Nothing
 * after process_become() has more than the workload's own credentials; where the pid namespace is shared, the
 * workload's process is only cloned then. See OCI runtime.md, credentials(7), capabilities(7), seccomp(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container/capabilities.h"
#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "agent/container/launch.h"
#include "agent/container/plan_parts.h"
#include "agent/container/seccomp.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

int process_raise_limits(struct helper *helper)
{
	const struct plan_process *process = &helper->plan.process;
	struct error *error = &helper->error;
	char text[16];

	snprintf(text, sizeof(text), "%d", process->oom_score_adjust);
	if (!process->oom_score_kept &&
	    fd_write_file(helper->proc, "self/oom_score_adj", text, error) < 0)
		return error_wrap(error, "set the oom score");
	/* Only raised here: a limit on descriptors or processes must not hit the helper, and lowering is always
	 * allowed. */
	for (size_t i = 0; i < process->limit_count; i++) {
		const struct plan_limit *limit = &process->limits[i];
		struct rlimit now;

		if (getrlimit((unsigned)limit->resource, &now) < 0)
			return error_errno(error, errno, "get %s", plan_limit_name(limit->resource));
		if (limit->value.rlim_cur == now.rlim_cur && limit->value.rlim_max == now.rlim_max)
			helper->limits_kept |= UINT32_C(1) << i;
		if (limit->value.rlim_max <= now.rlim_max)
			continue;
		now.rlim_max = limit->value.rlim_max;
		if (setrlimit((unsigned)limit->resource, &now) < 0)
			return error_errno(error, errno, "raise %s to %llu", plan_limit_name(limit->resource),
					   (unsigned long long)limit->value.rlim_max);
	}
	return 0;
}

static int set_limits(struct helper *helper)
{
	const struct plan_process *process = &helper->plan.process;

	for (size_t i = 0; i < process->limit_count; i++)
		if (!(helper->limits_kept >> i & 1) &&
		    setrlimit((unsigned)process->limits[i].resource, &process->limits[i].value) < 0)
			return error_errno(&helper->error, errno, "set %s",
					   plan_limit_name(process->limits[i].resource));
	return 0;
}

/* The workload may open its own streams again (/dev/stdout), so they are its user's; but not what others use as
 * well. */
static void give_stdio(const struct helper *helper)
{
	for (int fd = 0; fd <= 2; fd++) {
		struct stat stat;

		if (fstat(fd, &stat) < 0 || stat.st_uid == helper->plan.process.uid)
			continue;
		if (S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(1, 3))
			continue;
		/* Ids without a mapping, read-only files: the stream still works. */
		if (fchown(fd, helper->plan.process.uid, (gid_t)-1) < 0)
			continue;
	}
}

static int install_stdio(struct helper *helper)
{
	for (int fd = 0; fd <= 2; fd++)
		if (helper->stdio[fd] >= 0 && dup2(helper->stdio[fd], fd) < 0)
			return error_errno(&helper->error, errno, "put stream %d in its place", fd);
	/* What was opened as a filler is close-on-exec no more, as dup2(2) clears that; the same is due to the
	 * others. */
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_SETFD, 0) < 0)
			return error_errno(&helper->error, errno, "keep stream %d", fd);
	give_stdio(helper);
	return 0;
}

/* While the helper's rights are there. Resetting on a fork comes in the end, as where the pid namespace is shared there is a
 * fork between. */
static int set_scheduler(struct helper *helper, uint64_t without)
{
	struct plan_scheduler scheduler = helper->plan.process.scheduler;

	scheduler.flags &= ~without;
	if (scheduler.size > 0 && kernel_sched_setattr(&scheduler) < 0)
		return error_errno(&helper->error, errno, "set the scheduler (policy %u, priority %u, nice %d)",
				   scheduler.policy, scheduler.priority, scheduler.nice);
	return 0;
}

static int set_priorities(struct helper *helper)
{
	const struct plan_process *process = &helper->plan.process;

	if (set_scheduler(helper, KERNEL_SCHED_RESET_ON_FORK) < 0)
		return -helper->error.number;
	if (process->io_priority && kernel_ioprio_set(process->io_priority) < 0)
		return error_errno(&helper->error, errno, "set the io priority %#x", process->io_priority);
	if (process->personality != PLAN_PERSONALITY_KEEP && personality(process->personality) < 0)
		return error_errno(&helper->error, errno, "set the personality %#lx", process->personality);
	return 0;
}

static int change_user(struct helper *helper)
{
	const struct plan_process *process = &helper->plan.process;
	struct error *error = &helper->error;
	int status;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "keep the capabilities");
	if (setgroups(process->group_count, process->groups) < 0)
		return error_errno(error, errno, "set the additional groups");
	if (setresgid(process->gid, process->gid, process->gid) < 0)
		return error_errno(error, errno, "become group %u", process->gid);
	if (setresuid(process->uid, process->uid, process->uid) < 0)
		return error_errno(error, errno, "become user %u", process->uid);
	status = capabilities_raise(error);
	if (status < 0)
		return status;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_errno(error, errno, "keep the capabilities no longer");
	return capabilities_bound(process->capabilities.bounding, error);
}

/* Goes to the cwd without following what isn't a real path there (/proc/self/fd/N), and makes sure that it is inside:
 * the kernel gives no path that starts with '/' for a directory outside of the root. */
static int enter_directory(struct helper *helper)
{
	const char *directory = helper->plan.process.directory;
	cleanup_close int fd = path_open_in_root(helper->root, directory, O_PATH | O_DIRECTORY, 0, NULL);
	char path[PATH_MAX];

	if (fd < 0 || fchdir(fd) < 0) {
		int number = fd < 0 ? -fd : errno;

		helper->failure_class = number == EACCES ? LAUNCH_PERMISSION : LAUNCH_NOT_FOUND;
		return error_errno(&helper->error, number, "chdir to cwd \"%.256s\"", directory);
	}
	if (syscall(SYS_getcwd, path, sizeof(path)) < 0 || path[0] != '/')
		return error_set(&helper->error, EPERM, "cwd \"%.256s\" is outside of the container's root", directory);
	return 0;
}

/* With only the effective capabilities that the workload will have, so that access is judged as it will be. */
static int look_around(struct helper *helper)
{
	int status = capabilities_lower(helper->plan.process.capabilities.effective, &helper->error);

	if (status == 0)
		status = enter_directory(helper);
	if (status == 0 && helper->tool < 0)
		status = executable_find(helper);
	return status;
}

/* Who is notified gets the listener at once: the next call may be one that waits for it. */
static int load_filter(struct helper *helper)
{
	int listener = seccomp_load_plan(&helper->plan.process, &helper->error);
	int status;

	if (listener <= 0)
		return listener;
	status = helper_report(helper, LAUNCH_LISTENER, 0, &listener, 1);
	close(listener);
	return status;
}

/* A filter without no_new_privs needs CAP_SYS_ADMIN, so it comes before the capabilities go; with it, it comes last. */
static int load_early_filter(struct helper *helper)
{
	int status;

	if (helper->plan.process.no_new_privileges || !helper->plan.process.seccomp)
		return 0;
	status = capabilities_raise(&helper->error);
	return status < 0 ? status : load_filter(helper);
}

/* Nothing of the helper's is left but the sockets, and a tool's file, which execve closes, and what the workload is to keep.
 * Before a filter is loaded: profiles older than close_range(2) refuse it. */
static int close_everything(struct helper *helper)
{
	int kept[] = {helper->report, helper->tool, helper->pair[0], helper->pair[1]};
	int first = 3 + (int)helper->plan.process.preserved_fds;

	for (int fd = 3; fd < first; fd++)
		if (fcntl(fd, F_SETFD, 0) < 0)
			return error_errno(&helper->error, errno, "keep descriptor %d", fd);
	for (int i = 0; i < (int)array_size(kept); i++)
		if (kept[i] >= 0 && fcntl(kept[i], F_SETFD, FD_CLOEXEC) < 0)
			return error_errno(&helper->error, errno, "keep a descriptor");
	if (fd_close_others(first, kept, array_size(kept)) < 0)
		return error_errno(&helper->error, errno, "close the helper's descriptors");
	return 0;
}

int process_become(struct helper *helper)
{
	struct error *error = &helper->error;
	int status;

	umask(helper->plan.process.umask);
	status = install_stdio(helper);
	if (status == 0)
		status = home_find(helper);
	if (status == 0)
		status = set_priorities(helper);
	if (status == 0)
		status = change_user(helper);
	if (status == 0)
		status = look_around(helper);
	if (status == 0)
		status = labels_apply(helper);
	if (status == 0)
		status = close_everything(helper);
	if (status == 0)
		status = load_early_filter(helper);
	if (status == 0)
		status = capabilities_apply(&helper->plan.process.capabilities, error);
	if (status < 0)
		return status;
	if (helper->plan.process.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "set no_new_privs");
	/* A change of user makes a process dumpable or not as the guest is configured. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_errno(error, errno, "become undumpable");
	return 0;
}

static int own_session(struct helper *helper)
{
	if (setsid() < 0)
		return error_errno(&helper->error, errno, "setsid");
	if (helper->plan.process.terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return error_errno(&helper->error, errno, "take the terminal");
	return 0;
}

/* A filter may refuse even exit_group(2), and libc would try for ever. */
static _Noreturn void end(int status)
{
	syscall(SYS_exit_group, status);
	__builtin_trap();
}

static _Noreturn void fail(struct helper *helper)
{
	helper_report(helper, LAUNCH_FAILED, 0, NULL, 0);
	end(helper->failure_class == LAUNCH_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

_Noreturn void process_execute(struct helper *helper)
{
	const struct plan_process *process = &helper->plan.process;
	int status = own_session(helper);

	if (status == 0)
		status = set_limits(helper);
	if (status == 0 && process->scheduler.flags & KERNEL_SCHED_RESET_ON_FORK)
		status = set_scheduler(helper, 0);
	if (status == 0)
		status = helper_report(helper, LAUNCH_READY, 0, NULL, 0);
	if (status < 0)
		fail(helper);
	helper_await_word(helper);
	if (hooks_run_start(&helper->plan.hooks, &helper->error) < 0)
		fail(helper);
	if (process->no_new_privileges && load_filter(helper) < 0)
		fail(helper);
	if (helper->tool >= 0)
		syscall(SYS_execveat, helper->tool, "", process->arguments, process->environment, AT_EMPTY_PATH);
	else
		execve(helper->executable, process->arguments, process->environment);
	status = errno;
	helper->failure_class = status == ENOENT ? LAUNCH_NOT_FOUND : LAUNCH_PERMISSION;
	error_errno(&helper->error, status, "exec: \"%.256s\"", process->arguments[0]);
	fail(helper);
}
