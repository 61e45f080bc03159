/* Capabilities: names to bits, and the calling process's own sets. See capabilities(7). */
#ifndef NACRE_AGENT_CONTAINER_CAPABILITIES_H
#define NACRE_AGENT_CONTAINER_CAPABILITIES_H

#include "agent/container/plan.h"

/* What this process can give: what the kernel has, and its own bounding set. */
uint64_t capabilities_available(void);

/* Resolves the five lists of the OCI spec; NULL is the empty set. What can't be given is left out with a warning in the
 * log, which names the container `id` (config.md, "capabilities"): names that nobody knows, capabilities that aren't
 * `possible`, and ambient ones that aren't permitted and inheritable as well. */
void capabilities_plan(struct plan_capabilities *capabilities, const Grpc__LinuxCapabilities *names, uint64_t possible,
		       const char *id);

/* Drops everything outside of `keep` from the bounding set. Needs CAP_SETPCAP. */
int capabilities_bound(uint64_t keep, struct error *error);

/* Makes all that is permitted effective, as is due after a change of user under PR_SET_KEEPCAPS. */
int capabilities_raise(struct error *error);

/* Leaves only `effective` in effect, of what is permitted; capabilities_raise() undoes it. */
int capabilities_lower(uint64_t effective, struct error *error);

/* Sets the whole of the plan but the bounding set: the last step. */
int capabilities_apply(const struct plan_capabilities *capabilities, struct error *error);

#endif
