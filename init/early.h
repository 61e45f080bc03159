/* What PID 1 of a machine does before there is an agent (behaviour.md 2.1). */
#ifndef NACRE_INIT_EARLY_H
#define NACRE_INIT_EARLY_H

#include <stdbool.h>

#include "init/settings.h"
#include "lib/error.h"

/* True in PID 1 of a machine: not in that of a container. Needs nothing mounted. */
bool early_in_guest(void);

/* Root, mounts, console, the command line (into `settings`, which has its defaults), cgroups, links, hostname, lo, modules.
 * What can be done without is logged where it fails. 0, or -errno where an agent couldn't run. */
int early_start(struct settings *settings, struct error *error);

#endif
