/* Statistics of a container, from the files of its cgroup, for both versions (behaviour.md 3, StatsContainer).
 *
 * A controller that the guest doesn't have leaves its part of the answer out. Reading may wait for the kernel: call it
 * from a job.
 */
#ifndef NACRE_AGENT_STATS_H
#define NACRE_AGENT_STATS_H

#include "agent.pb-c.h"
#include "agent/container/cgroup.h"
#include "lib/arena.h"
#include "lib/error.h"

/* Fills `stats`, whose parts live in `arena`. 0, or -errno (ENOMEM; ENOENT: no such cgroup). */
int stats_read(Grpc__CgroupStats *stats, struct arena *arena, const struct cgroup *cgroup, struct error *error);

#endif
