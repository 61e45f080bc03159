/* What a config.json can say and proto/oci.proto can't carry.
 *
 * A front end that reads config.json fills a `struct plan_extras` beside the Grpc__Spec; the agent, which has the
 * protocol's form only, passes NULL. Everything is as the file has it: words are looked up, numbers are checked, and
 * texts are copied by planning, so that nothing here has to outlive plan_container() or plan_exec(). A zeroed struct
 * says nothing: then each field means what its absence means in the specification.
 *
 * Implements: OCI runtime-spec 1.2 config.md and config-linux.md; the name of each field's JSON form stands behind it.
 */
#ifndef NACRE_AGENT_CONTAINER_PLAN_EXTRAS_H
#define NACRE_AGENT_CONTAINER_PLAN_EXTRAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A range of ids of a user namespace, or of a mount. */
struct plan_mapping {
	uint32_t inside, outside, count; /* containerID, hostID, size */
};

struct plan_scheduler_extras {
	const char *policy; /* policy: "SCHED_FIFO"; NULL: there is no scheduler object */
	int32_t nice;
	int32_t priority;
	const char *const *flags; /* "SCHED_FLAG_RESET_ON_FORK" */
	size_t flag_count;
	uint64_t runtime, deadline, period; /* nanoseconds */
};

/* Of a process object: a container's own, or an exec's. */
struct plan_process_extras {
	bool umask_given;
	uint32_t umask;	     /* user.umask; else 022 */
	bool oom_score_kept; /* there is no oomScoreAdj: the caller's stays (else 0 is written for it) */
	struct plan_scheduler_extras scheduler;
	const char *io_class; /* ioPriority.class: "IOPRIO_CLASS_BE"; NULL: there is no ioPriority object */
	int32_t io_priority;  /* ioPriority.priority, 0 to 7 */
	/* An exec's only: lists of processors, "0-3,7"; NULL or "" for none. */
	const char *cpus_initial; /* execCPUAffinity.initial: before it is in the cgroup */
	const char *cpus_final;	  /* execCPUAffinity.final: after that */
	/* No field of the file, but what a caller asks for beside it (--preserve-fds): the workload keeps the caller's
	 * descriptors 3 up to 2 + this. All of them must be open. */
	unsigned preserved_fds;
};

/* One of timeOffsets. */
struct plan_time_offset {
	const char *clock; /* the key: "monotonic", "boottime" */
	int64_t seconds;
	uint32_t nanoseconds;
};

/* Of the mount with the same index in Grpc__Spec.mounts. */
struct plan_mount_extras {
	const struct plan_mapping *uid_mappings; /* uidMappings, gidMappings: both or neither */
	size_t uid_mapping_count;
	const struct plan_mapping *gid_mappings;
	size_t gid_mapping_count;
};

/* One of resources.unified. */
struct plan_unified {
	const char *file; /* the key: "memory.high"; not looked at yet */
	const char *value;
};

/* One of resources.rdma. */
struct plan_rdma {
	const char *device; /* the key */
	bool handles_given, objects_given;
	uint32_t handles, objects; /* hcaHandles, hcaObjects */
};

/* Of linux.resources: for cgroup_limits_plan(). */
struct plan_resource_extras {
	bool cpu_idle_given, cpu_burst_given;
	int64_t cpu_idle;		 /* cpu.idle, 0 or 1 */
	uint64_t cpu_burst;		 /* cpu.burst, microseconds */
	const struct plan_unified *unified;
	size_t unified_count;
	const struct plan_rdma *rdma;
	size_t rdma_count;
};

struct plan_extras {
	struct plan_process_extras process;
	struct plan_resource_extras resources;

	/* The namespaces are the spec's to the letter: paths are joined, and what isn't listed is the caller's. (Over the
	 * protocol Kata's rules hold: paths of ipc and uts are dropped, and there is always a new pid namespace.) The
	 * sandbox's namespaces of plan_parameters must be -1 then. */
	bool namespaces_literal;
	const struct plan_time_offset *time_offsets; /* linux.timeOffsets; they need a new time namespace */
	size_t time_offset_count;

	const char *domainname; /* NULL or "": none */
	const char *personality; /* linux.personality.domain: "LINUX", "LINUX32"; NULL: there is no object */
	size_t personality_flag_count; /* how many flags it has; the specification has none, so any is refused */

	const struct plan_mount_extras *mounts; /* as many as Grpc__Spec.mounts; or NULL */

	/* linux.seccomp */
	bool seccomp_errno_given;
	uint32_t seccomp_errno; /* defaultErrnoRet */
	/* There is a listenerPath: SCMP_ACT_NOTIFY is refused without. The caller gets the listener's descriptor by
	 * LAUNCH_LISTENER, and it is the caller who sends it there, with the state as JSON. */
	bool seccomp_listener;
};

#endif
