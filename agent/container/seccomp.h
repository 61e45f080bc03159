/* Seccomp profiles: OCI's form to a BPF program, and loading it. See seccomp(2), OCI config-linux.md "Seccomp". */
#ifndef NACRE_AGENT_CONTAINER_SECCOMP_H
#define NACRE_AGENT_CONTAINER_SECCOMP_H

#include "agent/container/plan.h"

/* `extras` may be NULL. Compiles `profile` (NULL or without a default action: nothing) into process->seccomp, in `arena`. Names of system
 * calls which libseccomp doesn't know are skipped, as runc does; any other unknown word is -EINVAL. */
int seccomp_plan(struct plan_process *process, struct arena *arena, const Grpc__LinuxSeccomp *profile,
		 const struct plan_extras *extras, struct error *error);

/* Loads the program into the calling process. Needs CAP_SYS_ADMIN or no_new_privs. 0, or the listener of a program which
 * notifies somebody (a descriptor, greater than 0), or -errno. */
int seccomp_load_plan(const struct plan_process *process, struct error *error);

#endif
