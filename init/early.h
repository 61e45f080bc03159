/* What PID 1 of a machine does before there is an agent (behaviour.md 2.1). */
#ifndef NACRE_INIT_EARLY_H
#define NACRE_INIT_EARLY_H

#include <stdbool.h>

#include "lib/error.h"

/* What the supervisor itself wants to know from the kernel's command line. */
struct early_settings {
	bool cgroup_v1;	     /* systemd.unified_cgroup_hierarchy=0, nacre.cgroup=v1 */
	bool exit_by_reboot; /* nacre.exit=reboot */
};

/* True in PID 1 of a machine: not in that of a container. Needs nothing mounted. */
bool early_in_guest(void);

/* Root, mounts, console, cgroups, links, hostname, lo. What can be done without is logged where it fails. 0, or -errno
 * where an agent couldn't run. */
int early_start(struct early_settings *settings, struct error *error);

#endif
