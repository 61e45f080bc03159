/* Control groups of containers, for both versions.
 *
 * A *tree* is what the guest has mounted: one cgroup v2 hierarchy, or several v1 ones. A *cgroup* is one container's
 * path in it. *Limits* are the OCI resources turned into a list of files to write and a list of device rules, so that
 * applying them is one loop; a limit whose controller the guest doesn't have is an error, a silent controller is none.
 *
 * Everything that takes a cgroup may block on the kernel: call it from the helper or from a job, never on the loop.
 * Implements: OCI runtime-spec config-linux.md "Control groups"; Documentation/admin-guide/cgroup-v2.rst and cgroup-v1.
 */
#ifndef NACRE_AGENT_CONTAINER_CGROUP_H
#define NACRE_AGENT_CONTAINER_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

struct plan_resource_extras;

#define CGROUP_HIERARCHIES_MAX 16
#define CGROUP_CONTROLLERS_SIZE 64
#define CGROUP_PATH_SIZE 1024

/* One mounted hierarchy; on v2 the only one, which has all controllers and none named here. */
struct cgroup_hierarchy {
	char controllers[CGROUP_CONTROLLERS_SIZE]; /* "cpu,cpuacct", or "name=systemd" */
	char mount[CGROUP_CONTROLLERS_SIZE * 2];   /* "/sys/fs/cgroup/cpu" */
};

struct cgroup_tree {
	bool unified; /* version 2 */
	struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
	size_t hierarchy_count;
	dev_t guest_disks[2]; /* under the guest's own root (partition and disk), which no rule gives away; 0: none */
};

struct cgroup {
	const struct cgroup_tree *tree;
	char path[CGROUP_PATH_SIZE]; /* from the top of each hierarchy: "/kubepods/pod1/ctr1" */
};

/* One file to write. */
struct cgroup_setting {
	const char *controller; /* "cpu" */
	const char *file;	/* "cpu.max" */
	const char *value;
	enum cgroup_need {
		CGROUP_REQUIRED,
		CGROUP_IF_PRESENT,  /* passed over where the kernel has no such file */
		CGROUP_IF_POSSIBLE, /* passed over where it is refused: numbers that may be the host's (CPUs, disks) */
	} need;
};

/* One rule of the device policy; later ones win. */
struct device_rule {
	bool allow;
	char type;	/* 'a', 'b' or 'c' */
	int64_t major;	/* -1: any */
	int64_t minor;
	unsigned access; /* BPF_DEVCG_ACC_MKNOD, _READ, _WRITE (linux/bpf.h) */
};

struct cgroup_limits {
	const struct cgroup_setting *settings;
	size_t setting_count;
	const struct device_rule *rules; /* everything else is denied */
	size_t rule_count;
	bool devices_given; /* the resources had device rules */
};

/* Finds out what is mounted, from /proc/self/mountinfo. With cgroup2 on /sys/fs/cgroup it is unified; a hybrid layout
 * is v1. 0, or -errno (ENOENT: no cgroups at all). */
int cgroup_tree_find(struct cgroup_tree *tree, struct error *error);

/* Names a container's cgroup: `cgroups_path` of the spec with ':' replaced by '/', or "/ID" where it is empty
 * (as Kata has it). "." and ".." and empty components, and the top itself, are refused. Touches nothing. */
int cgroup_init(struct cgroup *cgroup, const struct cgroup_tree *tree, const char *cgroups_path, const char *id,
		struct error *error);

/* Turns resources (NULL: the defaults only) into limits, which live in `arena`; `extras` has what the protocol doesn't
 * carry, or is NULL. The default devices are always allowed. In this protocol 0 means unset; -1 is no limit, where there
 * can be one. 0, -EINVAL, -ENOMEM. */
int cgroup_limits_plan(struct cgroup_limits *limits, struct arena *arena, const struct cgroup_tree *tree,
		       const Grpc__LinuxResources *resources, const struct plan_resource_extras *extras,
		       struct error *error);

/* Makes the cgroup in every hierarchy, with its parents, and enables the controllers on the way. An existing empty
 * one is taken over; one with processes in it or below is -EBUSY, and on v1 one with cgroups below. The helper calls this. */
int cgroup_create(const struct cgroup *cgroup, struct error *error);

/* Writes the limits of a new cgroup, device policy and all. */
int cgroup_apply(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error);

/* Writes limits to a running one (UpdateContainer): the device policy is replaced only where rules were given. A value
 * that is refused takes the earlier ones back, but for numbers which may be refused without harm (CGROUP_IF_POSSIBLE):
 * that is 0, with *error, which is to be empty before, saying so. What isn't named stays as it is, also the lines of
 * other devices. */
int cgroup_update(const struct cgroup *cgroup, const struct cgroup_limits *limits, struct error *error);

/* After processors have come: the parents' cpusets become `guest` (a list of all), the cgroup's `own`, or that too where it
 * is empty. What inherits (an empty cpuset on v2) is left alone, and so is a cgroup that is gone. 0 or -errno. */
int cgroup_spread_cpus(const struct cgroup *cgroup, const char *guest, const char *own, struct error *error);

/* A cgroup held open for a process to move itself in, later and with fewer privileges: the kernel looks at the rights
 * of whoever opened the files. */
struct cgroup_entrance {
	int fds[CGROUP_HIERARCHIES_MAX];
	size_t count;
	int child; /* v2: a cgroup below, which is where it goes in the end; or -1 */
	int top;   /* delegated: the cgroup itself; or -1 */
};

/* Opens them. 0, or -errno with none left open. */
int cgroup_open_entrance(const struct cgroup *cgroup, struct cgroup_entrance *entrance, struct error *error);

/* The same for a process that joins another one: on v2, where that is now in or below the cgroup, as the container may
 * have moved it, and the cgroup itself may take no process any more. */
int cgroup_open_entrance_beside(const struct cgroup *cgroup, pid_t pid, struct cgroup_entrance *entrance,
				struct error *error);

/* v2: hands a new cgroup to a container that will manage cgroups in it. The entrance, which is open, leads to a child
 * then, so that the cgroup can have controllers for its children. `owner`, a user of the guest's, gets the folder and the
 * files that are meant for that (OCI config-linux.md, "Cgroup ownership"). 0 or -errno. */
int cgroup_delegate(const struct cgroup *cgroup, uid_t owner, struct cgroup_entrance *entrance, struct error *error);

/* Moves the calling process in, into a new cgroup namespace which has the cgroup as its top, where that is wanted, and
 * closes the entrance. */
int cgroup_enter(struct cgroup_entrance *entrance, bool new_namespace, struct error *error);

/* Sends a signal to every process of the cgroup and of its children, frozen meanwhile so that none escapes by forking,
 * and thawed after it; SIGKILL uses cgroup.kill on v2. No process, or no cgroup, is success. */
int cgroup_signal_all(const struct cgroup *cgroup, int signal, struct error *error);

/* Pids of all processes in it and below, as the caller sees them. *count is the room, then what there is (it may be
 * more than the room). 0 or -errno. */
int cgroup_processes(const struct cgroup *cgroup, pid_t *pids, size_t *count, struct error *error);

/* The number in the line "oom_kill N" of an open memory.events or memory.oom_control. 0, or -errno and nothing is set. */
int cgroup_read_oom_kills(int file, uint64_t *kills);

/* v1: the OOM kills that are counted in the cgroups below, where each counts its own for as long as it is there. A
 * container can't make it long: so many cgroups are looked at and no more, and the loop may call it. */
uint64_t cgroup_oom_kills_below(const struct cgroup *cgroup);

/* Freezes, and returns once every process of it is frozen; after `timeout` milliseconds it is thawed again, and that is
 * -EBUSY. 1 where it was frozen already. */
int cgroup_pause(const struct cgroup *cgroup, int timeout, struct error *error);

/* Thaws. */
int cgroup_resume(const struct cgroup *cgroup, struct error *error);

/* Kills what is in it, waits for the processes' end at most `timeout` milliseconds, and removes it with its children.
 * Parents stay. 0 (also where there is none), or -EBUSY after the time, or -errno. */
int cgroup_remove(const struct cgroup *cgroup, int timeout, struct error *error);

/* Removes it where it has no processes and no children, which takes no time. 0, or -errno with what is left of it still to be
 * removed. */
int cgroup_remove_empty(const struct cgroup *cgroup);

/* Opens the directory of the cgroup in the hierarchy that has `controller` ("memory"; on v2 there is only one), for
 * statistics and events. The fd (O_PATH | O_DIRECTORY), or -errno; -ENOENT where the guest has no such controller. */
int cgroup_open(const struct cgroup *cgroup, const char *controller, struct error *error);

#endif
