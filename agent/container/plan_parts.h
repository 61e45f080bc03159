/* The parts of planning, each in a file of its own; plan.c puts them together. All take texts from the other side, put
 * what they make into plan->arena, and return 0, -EINVAL or -ENOMEM with `error` filled.
 */
#ifndef NACRE_AGENT_CONTAINER_PLAN_PARTS_H
#define NACRE_AGENT_CONTAINER_PLAN_PARTS_H

#include "agent/container/plan.h"

/* plan_mounts.c */
int plan_mounts(struct plan *plan, const Grpc__Spec *spec, const struct plan_extras *extras, struct error *error);

/* "shared", "rslave", ...: MS_* flags; "" is `silent`. */
int plan_propagation(const char *word, unsigned long silent, unsigned long *flags, struct error *error);

/* plan_devices.c: the default devices with the spec's. */
int plan_devices(struct plan *plan, const Grpc__Linux *linux, struct error *error);

/* plan_sysctls.c: needs the namespaces to be planned. `own_network`: net.* needs a network namespace of its own. */
int plan_sysctls(struct plan *plan, const Grpc__Linux *linux, bool own_network, struct error *error);

/* plan_process.c: everything but capabilities, rlimits, oom score and seccomp. */
int plan_workload(struct plan *plan, const Grpc__Process *process, struct error *error);

/* A resource's name: "RLIMIT_CPU". */
const char *plan_limit_name(int resource);
int plan_limits(struct plan *plan, const struct boot_limits *boot, const Grpc__Process *process, struct error *error);

/* plan_labels.c: the labels of Linux security modules. An exec's profile is the container's where it names none. */
int plan_labels(struct plan *plan, const Grpc__Process *process, const Grpc__Process *container, bool apparmor_ignored,
		struct error *error);

/* Refuses a label where the guest has no SELinux. */
int plan_check_selinux(const char *label, struct error *error);

/* plan_process_extras.c: umask, scheduler, priorities, processors; `container` is for what an exec shares with it. Either
 * may be NULL. */
int plan_process_extras(struct plan *plan, const struct plan_process_extras *extras, const struct plan_extras *container,
			struct error *error);

/* plan_mappings.c: at most what the kernel takes, none empty; a copy. */
int plan_mappings_copy(struct plan *plan, const struct plan_mapping **result, size_t *result_count,
		       const struct plan_mapping *given, size_t count, struct error *error);

/* plan_path.c: an absolute path without "..", cleaned of doubled slashes and "."; NULL with `error` filled. `what` is
 * the subject of the error text: "mount destination". */
const char *plan_path(struct arena *arena, const char *text, const char *what, struct error *error);

/* An array in the arena; NULL with `error` filled. At least one element is made, so that NULL is an error only. */
void *plan_array(struct arena *arena, size_t count, size_t size, struct error *error);
char *plan_text(struct arena *arena, const char *text, struct error *error);

#endif
