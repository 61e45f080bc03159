/* The guest's cgroup hierarchies, and the supervisor's own cgroup. */
#ifndef NACRE_INIT_GUEST_CGROUP_H
#define NACRE_INIT_GUEST_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

/* Mounts cgroup v2 on /sys/fs/cgroup, or v1 below it where that is asked for or all there is. 0 or -errno. */
int guest_cgroup_mount(bool v1, struct error *error);

/* Moves the supervisor and the agent into a v2 cgroup of their own, whose memory isn't taken away from them. Later
 * agents are born in it. 0 or -errno; nothing and 0 on v1. */
int guest_cgroup_enter(pid_t agent, struct error *error);

#endif
