/* The helper of a launch, and the workload's process up to its execve: the steps and what they share.
 *
 * The agent clones the helper, which
 *	closes what isn't its own, makes itself undumpable, prepares bundle and cgroup, enters the namespaces;
 * and then, in a new pid namespace, where nobody else can see it yet, goes on as the workload's process:
 *	cgroup, root filesystem, credentials, execve.
 * It is the first in that namespace from its own beginning, unless the namespace belongs to a user namespace, or mounts or time
 * need namespaces of their own: then it clones the process which goes on. Where the pid namespace is somebody's already, it does
 * all of that itself and clones a process that has nothing but the workload's own credentials from its first instruction on, as
 * others in the namespace may trace it.
 *
 * All of this runs in a copy of the agent: nothing here allocates memory, takes a lock, or returns to the agent's
 * code. Every step returns 0, or a negative errno with helper->error filled.
 */
#ifndef NACRE_AGENT_CONTAINER_HELPER_H
#define NACRE_AGENT_CONTAINER_HELPER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/container/cgroup.h"
#include "agent/container/launch.h"
#include "agent/container/plan.h"
#include "lib/error.h"

#define HELPER_PTMX "/dev/pts/ptmx"

struct helper {
	struct plan plan; /* a copy, whose fds are the helper's own numbers */
	int report;	  /* the socket */
	int pair[2];	  /* between the helper and the workload's process */
	int stdio[3];
	int proc;	  /* the guest's /proc: trusted, and usable in any mount namespace */
	int ptmx;	  /* the guest's HELPER_PTMX (O_PATH), for a container without its own; -1 */
	int root;	  /* the container's root (O_PATH), once there is one */
	int tool;	  /* the guest's program to execute (O_PATH); -1 for one of the container's */
	int early[PLAN_EARLY_MAX]; /* trees for plan_mount.early; not -1 where there is none */
	int dev_mount;	  /* the filesystem on the container's /dev, to be made read-only; -1 */
	uint32_t limits_kept; /* a bit for each of the plan's limits that is in force already */
	struct cgroup_entrance entrance;
	char home[PATH_MAX + sizeof("HOME=")];
	char executable[PATH_MAX];
	enum launch_class failure_class;
	struct error error;
};

/* Whether the helper itself becomes the workload, and is cloned into the new pid namespace. */
static inline bool helper_is_workload(const struct plan *plan)
{
	return plan->namespaces[PLAN_PID].mode == PLAN_NAMESPACE_NEW && plan->namespaces[PLAN_USER].mode == PLAN_NAMESPACE_KEEP &&
	       plan->namespaces[PLAN_TIME].mode == PLAN_NAMESPACE_KEEP && plan->early_count == 0;
}

/* helper.c: finds out what the caller ignores or handles, for the first helper; what it changes later it mustn't. */
void helper_learn_signals(void);

/* helper.c: never returns. `stdio` and everything in the plan are of the agent's numbers. */
_Noreturn void helper_main(const struct plan *plan, int report, const int stdio[3]);

/* Sends a report. */
int helper_report(struct helper *helper, uint32_t type, pid_t pid, const int *fds, size_t count);

/* Waits for the agent's word to go on; where the agent has given the launch up, the process ends here. */
void helper_await_word(struct helper *helper);

/* helper_fds.c: keeps the descriptors that the helper needs, on numbers from 3 up, and closes all others. */
int helper_keep_fds(struct helper *helper);

/* Opens again what an O_PATH descriptor has open, whatever has happened to its name. The fd or -errno. */
int helper_reopen(const struct helper *helper, int fd, int flags);

/* memory.c: takes away what the helper has inherited of the agent's heap. */
int helper_forget(struct helper *helper);

/* namespaces.c */
int namespaces_open(struct helper *helper);  /* those given by path */

/* Makes a user namespace with these mappings, which nobody is in. Its fd or -errno. */
int namespaces_make_users(struct helper *helper, const struct plan_mapping *uids, size_t uid_count,
			  const struct plan_mapping *gids, size_t gid_count);
int namespaces_enter(struct helper *helper); /* joins, and makes new ones but for the cgroup namespace */

/* rootfs.c: mounts, devices, masks; ends inside of the new root. */
int rootfs_assemble(struct helper *helper);

/* copy_up.c: copies what is in the folder `target` into the mount `tree`. */
int copy_up(struct helper *helper, int target, int tree);

/* mounts.c */
int mounts_map_ids(struct helper *helper);	/* makes the idmapped trees; before namespaces_enter() */
int mounts_make_procfs(struct helper *helper);	/* and those of a joined pid namespace, which the helper is to have joined */
int mounts_attach(struct helper *helper, const struct plan_mount *mount);
int mounts_propagate(struct helper *helper, const struct plan_mount *mount); /* sets that of what is mounted there */
int mounts_set_readonly(int mount, bool recursive, struct error *error);

/* Attaches a filesystem at the helper's own scratch folder, from where kernel_move_mount() takes it. The mount's fd or
 * -errno. */
int mounts_make(struct helper *helper, const char *source, const char *type, unsigned long flags, const char *data);

/* cgroup_mount.c: the container's directories of the v1 hierarchies under a tmpfs, as a mount to be moved; fd or
 * -errno. */
int cgroup_mount_v1(struct helper *helper, const struct plan_mount *mount);

/* devices.c: /dev of the container. */
int devices_make(struct helper *helper);

/* masks.c */
int masks_apply(struct helper *helper);

/* terminal.c: opens a pty, reports its master end, and takes the other one as stdio. `console`: shows it as the
 * container's /dev/console as well. */
int terminal_open(struct helper *helper, bool console);

/* process.c */
int process_raise_limits(struct helper *helper); /* while the guest's own capabilities are there */
int process_become(struct helper *helper);	 /* user, capabilities, directory, look-up of the executable, seccomp */
_Noreturn void process_execute(struct helper *helper);

/* labels.c: what the execve is to bring of AppArmor and SELinux. */
int labels_apply(struct helper *helper);

/* executable.c: finds the command and looks at it as the kernel will; fills helper->executable and failure_class. */
int executable_find(struct helper *helper);

/* guest_tool.c: opens the plan's tool, as the guest has it; fills helper->tool and failure_class. */
int guest_tool_open(struct helper *helper);

/* home.c: HOME from the container's passwd, by number only, into the plan's environment. */
int home_find(struct helper *helper);

#endif
