/* Makes the process of a plan: a container's first one, or an exec.
 *
 * launch_start() clones a helper process and returns at once; the helper does everything that can block (mounts, cgroup
 * writes, look-ups in the container) and becomes the workload's process, or makes that (helper.h), which is the supervisor's
 * child (CLONE_PARENT).
 * Both report over a SEQPACKET socket, which the agent watches:
 *
 *	launch_start(&launch, &plan, &options, &error);
 *	loop_add(loop, &source, launch.report_fd, EPOLLIN, ...);
 *	... on EPOLLIN, until it says -EAGAIN: launch_receive(&launch)
 *	        LAUNCH_PROCESS, [LAUNCH_TERMINAL], [LAUNCH_ASSEMBLED], LAUNCH_READY   (blocked in front of execve)
 *	launch_release(&launch);
 *	        LAUNCH_EXECED, or LAUNCH_FAILED
 *
 * The helper is a child of the supervisor as well: its exit (helper_pid) is reported and has to be acknowledged, and
 * means nothing, where it doesn't become the workload. The workload's pid is known from LAUNCH_PROCESS on, and it may exit
 * before that is read.
 *
 * Reports come from a process that a container may have tampered with: nothing in them is trusted but their shape.
 */
#ifndef NACRE_AGENT_CONTAINER_LAUNCH_H
#define NACRE_AGENT_CONTAINER_LAUNCH_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/container/plan.h"
#include "lib/error.h"

enum launch_event {
	LAUNCH_PROCESS = 1, /* pid, pidfd, and for a new pid namespace pid_namespace (and procfs if asked for) */
	LAUNCH_TERMINAL,    /* terminal is set */
	LAUNCH_ASSEMBLED,   /* hooks are due (hooks_at_creation()), and then launch_go_on() */
	LAUNCH_LISTENER,    /* seccomp_listener is set; before LAUNCH_READY, or with no_new_privs after launch_release().
			     * Where the pid namespace isn't new it can come before LAUNCH_PROCESS */
	LAUNCH_READY,	    /* everything is done but execve */
	LAUNCH_FAILED,	    /* failure and failure_class are set; nothing more comes, and the process ends by itself */
	LAUNCH_EXECED,	    /* the workload runs (or was killed on its way); nothing more will come */
};

/* What the caller's answer depends on: exit statuses 127, 126 and 125 in docker's terms. And what becomes of a container's
 * cgroup: one that has processes already is somebody else's, and stays. */
enum launch_class { LAUNCH_OTHER, LAUNCH_NOT_FOUND, LAUNCH_PERMISSION, LAUNCH_CGROUP_USED };

struct launch {
	int report_fd; /* the agent's end, non-blocking; to be watched for EPOLLIN */
	bool exec;
	bool own_pids, own_users; /* it has pid and user namespaces of its own */
	bool terminal_due; /* one was asked for, and hasn't come */
	bool direct;		  /* the helper itself becomes the workload: its exit may come before LAUNCH_PROCESS is read */
	bool assembled, ready, released, over;
	pid_t helper_pid;
	int helper_pidfd;

	/* From the reports. The descriptors are the launch's until they are taken (take_fd), -1 where they haven't
	 * come. */
	pid_t pid;
	int pidfd;
	int pid_namespace;
	int procfs; /* a detached mount: launch_keep_procfs() */
	int terminal; /* the master end of the pty */
	int seccomp_listener; /* of a filter that notifies somebody: see seccomp_unotify(2) */
	struct error failure;
	enum launch_class failure_class;
};

struct launch_options {
	int stdio[3];	     /* the workload's ends, which stay the caller's; -1 is /dev/null. Unused for a terminal */
	bool own_child;	     /* without a supervisor: helper and workload become children of the caller (SIGCHLD) */
};

/* Starts. 0, or -errno with nothing started. `launch` is overwritten and has to be destroyed after success. */
int launch_start(struct launch *launch, const struct plan *plan, const struct launch_options *options,
		 struct error *error);

/* Takes one report: an enum launch_event; -EAGAIN when there is none. After LAUNCH_FAILED or LAUNCH_EXECED the source
 * should be removed; more calls say -EAGAIN. */
int launch_receive(struct launch *launch);

/* A LAUNCH_ASSEMBLED launch, as the hooks need it, but for a pidfd of that process: launch.pidfd where the pid namespace is
 * its own, launch.helper_pidfd otherwise. */
struct hooks_target launch_hooks_target(const struct launch *launch);

/* Lets it go on to LAUNCH_READY after the hooks. 0, or -EPIPE where it isn't there any more. */
int launch_go_on(struct launch *launch);

/* Lets the workload go on to its execve (StartContainer). 0, or -EPIPE where it isn't there any more. */
int launch_release(struct launch *launch);

/* Ends a launch at any moment: kills the helper, and the workload unless it has been released, and closes what hasn't
 * been taken. Harmless on one that is over: then only closes. What the helper made (bundle, cgroup) stays:
 * cgroup_remove() and bundle_remove() of the container are due as after a container that has run. */
void launch_destroy(struct launch *launch);

/* Mounts launch.procfs at the folder `path`, which is made (its parent must exist), in the agent's own mount namespace,
 * and closes it. That path is plan_parameters.procfs for the containers that share the pid namespace. To undo:
 * umount2(path, MNT_DETACH), rmdir. Doesn't block. 0 or -errno. */
int launch_keep_procfs(struct launch *launch, const char *path, struct error *error);

#endif
