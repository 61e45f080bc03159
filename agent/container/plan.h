/* What is to be run, decided before anything is done.
 *
 * A container's OCI spec (or an exec's OCI process) is checked and turned into a *plan*: every name is resolved to
 * its number, every text has been looked at, every array is sized, the seccomp profile is a compiled program. The
 * helper process (launch.h) executes the plan in straight-line code and allocates nothing.
 *
 * A plan lives in an arena made with ARENA_FORK, as the helper reads it from its copy of the agent's memory. It
 * refers to nothing outside of that arena but the file descriptors which the caller named in the parameters: these
 * must stay until launch_start() has returned. After that the arena can be freed.
 *
 * Bad input is -EINVAL (or -ENOMEM, -E2BIG for the arena's limit) with one line of text that names it.
 * Implements: OCI runtime-spec config.md and config-linux.md, as carried by proto/oci.proto.
 */
#ifndef NACRE_AGENT_CONTAINER_PLAN_H
#define NACRE_AGENT_CONTAINER_PLAN_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "agent/container/cgroup.h"
#include "agent/container/hooks.h"
#include "agent/container/plan_extras.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

#define PLAN_LIMITS_MAX 16 /* at least RLIM_NLIMITS */

/* The agent's own state at its start, which a container gets where its spec is silent. */
struct boot_limits {
	struct rlimit limits[PLAN_LIMITS_MAX];
	uint64_t capabilities; /* that can be given at all */
};

/* Reads the current ones; call it before the agent changes its own. */
void boot_limits_read(struct boot_limits *limits);

/* Whether the guest's kernel has AppArmor, and was told to use it. */
bool apparmor_started(void);

enum plan_mount_kind {
	PLAN_MOUNT_FILESYSTEM,	/* a filesystem of `type` */
	PLAN_MOUNT_BIND,
	PLAN_MOUNT_PROC,	/* the procfs of the container's pid namespace */
	PLAN_MOUNT_CGROUP,	/* cgroup2, or the container's directories of the v1 hierarchies */
	PLAN_MOUNT_REMOUNT,	/* other options for what is mounted there: a filesystem's */
	PLAN_MOUNT_REMOUNT_BIND, /* or a mount's alone */
};

struct plan_mount {
	enum plan_mount_kind kind;
	const char *source;
	const char *target;	  /* in the container, absolute */
	const char *type;
	const char *data;	  /* the filesystem's own options, comma-separated; NULL for none */
	unsigned long flags;	  /* MS_RDONLY and its fellows */
	unsigned long clear;	  /* per-mount flags that were taken away by "rw", "dev", "exec", ... */
	unsigned long propagation; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE, with or without MS_REC; or 0 */
	unsigned long recursive_flags, recursive_clear; /* the same of the mounts below as well: "rro", "rsuid", ... */
	bool recursive;		  /* rbind */
	bool copy_up;		  /* tmpcopyup: what is at the target is copied into it */
	size_t early;		  /* made while the guest's rights are there: its place in helper.early from 1 on, or 0 */
	/* A bind with ids of its own, an early one. */
	bool idmap, idmap_recursive;
	const struct plan_mapping *uid_mappings, *gid_mappings; /* none: those of the container's user namespace */
	size_t uid_mapping_count, gid_mapping_count;
};

#define PLAN_EARLY_MAX 32

struct plan_device {
	const char *path; /* mostly below /dev */
	mode_t mode;	  /* with S_IFCHR, S_IFBLK or S_IFIFO */
	dev_t number;
	uid_t uid;
	gid_t gid;
	bool chown_wanted; /* false for the default devices in a user namespace */
};

struct plan_sysctl {
	const char *path; /* below /proc/sys: "net/ipv4/ip_forward" */
	const char *value;
};

struct plan_limit {
	int resource; /* RLIMIT_* */
	struct rlimit value;
};

/* One kind of namespace. */
struct plan_namespace {
	enum { PLAN_NAMESPACE_KEEP, PLAN_NAMESPACE_NEW, PLAN_NAMESPACE_JOIN } mode;
	int fd;		  /* JOIN: the namespace, or -1 where it is a path */
	const char *path; /* JOIN: as the agent sees it */
};

enum plan_namespace_kind {
	PLAN_USER, /* in the order in which they are joined */
	PLAN_IPC,
	PLAN_UTS,
	PLAN_NETWORK,
	PLAN_CGROUP,
	PLAN_TIME,
	PLAN_PID,
	PLAN_MOUNT,
	PLAN_NAMESPACES,
};

/* As sched_setattr(2) takes it. */
struct plan_scheduler {
	uint32_t size; /* 0: the caller's scheduler stays */
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

#define PLAN_CPUS_MAX 1024

/* Processors, as sched_setaffinity(2) takes them. */
struct plan_cpus {
	unsigned long mask[PLAN_CPUS_MAX / (8 * sizeof(unsigned long))];
};

/* Sets of capabilities, one bit each, numbered as in linux/capability.h. */
struct plan_capabilities {
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/* The workload itself: filled for a container's first process and for an exec alike. */
struct plan_process {
	char **arguments;   /* NULL-terminated, never empty */
	const char *tool;   /* exec: a program of the guest's that is executed, not the container's; NULL */
	char **environment; /* NULL-terminated */
	size_t environment_count; /* there is room for HOME in front of the NULL */
	bool home_wanted;   /* the spec has no HOME: it is to be found in the container's passwd */
	const char *search_path; /* the environment's PATH, or the default one */
	const char *directory; /* cwd */
	uid_t uid;
	gid_t gid;
	const gid_t *groups;
	size_t group_count;
	struct plan_capabilities capabilities;
	const struct plan_limit *limits; /* the boot's with the spec's in their place: a whole set */
	size_t limit_count;
	bool oom_score_kept;
	int oom_score_adjust;
	mode_t umask;
	unsigned long personality; /* for personality(2); PLAN_PERSONALITY_KEEP */
	struct plan_scheduler scheduler;
	int io_priority; /* for ioprio_set(2); 0: it stays */
	const struct plan_cpus *cpus_initial, *cpus_final; /* exec: before and after it is in the cgroup; NULL: they stay */
	unsigned preserved_fds; /* the caller's descriptors from 3 on that the workload keeps */
	const char *apparmor_profile, *selinux_label; /* for its execve; NULL for none */
	bool no_new_privileges;
	bool terminal;
	uint16_t terminal_rows, terminal_columns; /* 0 where the spec is silent */
	const struct sock_filter *seccomp; /* NULL for none */
	size_t seccomp_count;
	unsigned seccomp_flags; /* SECCOMP_FILTER_FLAG_*; with NEW_LISTENER the listener is reported */
};

#define PLAN_LABEL_MAX 4096 /* with its end */
#define PLAN_PERSONALITY_KEEP (~0ul)

struct plan {
	struct arena *arena;
	const char *id;
	bool exec; /* joins a running container; what describes a root below is empty then */
	const struct cgroup *cgroup;
	struct plan_namespace namespaces[PLAN_NAMESPACES];
	int init_pidfd; /* exec: the container's first process, whose namespaces are joined */
	pid_t init_pid;
	struct plan_process process;

	/* A new container's. */
	const char *bundle;    /* a folder for it, made if needed; the root is seen at its "rootfs" */
	const char *root_path; /* Root.Path of the spec, bound at bundle/rootfs where that isn't the same */
	bool root_readonly;
	unsigned long root_propagation; /* MS_SLAVE | MS_REC, ...; 0: MS_SLAVE but for what a mount says itself */
	const char *hostname, *domainname; /* NULL: keep */
	const struct plan_time_offset *time_offsets;
	size_t time_offset_count;
	bool procfs_made; /* a joined pid namespace's procfs is made by the helper, and not brought in `procfs` */
	const struct plan_mount *mounts;
	size_t mount_count, early_count;
	bool dev_is_bind; /* /dev is brought by the spec: nothing is put there */
	bool dev_readonly;
	const struct plan_device *devices; /* the default ones with the spec's */
	size_t device_count;
	const struct plan_sysctl *sysctls;
	size_t sysctl_count;
	const char *const *masked_paths;
	size_t masked_count;
	const char *const *readonly_paths;
	size_t readonly_count;
	const struct plan_mapping *uid_mappings, *gid_mappings;
	size_t uid_mapping_count, gid_mapping_count;
	struct hooks hooks;
	const struct cgroup_limits *limits; /* applied before the process is in the cgroup */
	const char *procfs;   /* joined pid namespace: where the agent has mounted its procfs */
	bool procfs_exported; /* new pid namespace: its procfs is passed to the agent */
};

/* What the agent adds to a container's spec. Namespaces are fds, -1 for none. */
struct plan_parameters {
	const char *id;
	const char *bundle;	     /* "/run/kata-containers/ID" */
	int ipc_namespace;	     /* the sandbox's: take the place of what the spec says, where it lists the kind */
	int uts_namespace;
	int pid_namespace;	     /* the shared one, or -1: a new one, whether the spec lists it or not */
	const char *procfs;	     /* for pid_namespace: see launch_keep_procfs() */
	bool procfs_exported;	     /* this container's pid namespace will be shared: LAUNCH_PROCESS brings procfs */
	const struct cgroup *cgroup; /* the container's, not made yet */
	const struct boot_limits *limits;
	bool apparmor_ignored;	     /* a profile is a host's word, and passed over in a guest that has no AppArmor */
	struct hooks_parameters hooks; /* beside the spec's */
	const struct plan_extras *extras; /* what the protocol has no room for; NULL: nothing */
};

/* What an exec joins. */
struct plan_exec_parameters {
	const char *id;
	int init_pidfd; /* pins the namespaces: where that process is gone, the launch fails with ESRCH */
	pid_t init_pid;
	const struct cgroup *cgroup;
	const struct boot_limits *limits;
	bool apparmor_ignored;
	const char *tool; /* the name of the guest's program to execute; NULL: the container's own */
	const struct plan_extras *extras; /* the container's; NULL: none */
	const struct plan_process_extras *process_extras; /* the exec's own; NULL: none */
};

/* Plans a container. `*plan` is overwritten. */
int plan_container(struct plan *plan, struct arena *arena, const Grpc__Spec *spec,
		   const struct plan_parameters *parameters, struct error *error);

/* Plans a process in a running container. Rlimits, oom score and seccomp profile come from the container's spec, and so
 * do the capabilities where the process names none (as Kata has it). */
int plan_exec(struct plan *plan, struct arena *arena, const Grpc__Process *process, const Grpc__Spec *container,
	      const struct plan_exec_parameters *parameters, struct error *error);

#endif
