/* Processors and memory that were plugged in, and are to be used: sysfs, Documentation/admin-guide/cputopology.rst and
 * mm/memory-hotplug.rst. All of it may wait for the kernel: it is for jobs. */
#ifndef NACRE_AGENT_ONLINE_H
#define NACRE_AGENT_ONLINE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define ONLINE_CPUS_SIZE 1024

/* Brings processors up until `count` are, waiting for those that aren't there yet, for about five seconds. 0, or -EIO where
 * fewer came. */
int online_cpus(uint32_t count, struct error *error);

/* Which are up, as a list ("0-3,6"). 0 or -errno. */
int online_cpu_list(char list[ONLINE_CPUS_SIZE], struct error *error);

/* Takes every block of memory that is there into use. 0, or -errno at the first that can't be. */
int online_memory(struct error *error);

/* Has the kernel do so with each that comes from now on, where it doesn't yet. */
void online_memory_as_it_comes(void);

/* Where a kernel is told about memory that nobody announces: it has the file by CONFIG_ARCH_MEMORY_PROBE. */
#define ONLINE_MEMORY_PROBE "/sys/devices/system/memory/probe"

/* Tells the kernel about memory at these addresses, by that file. 0, or -errno at the first one that it refuses; -ENODEV where
 * there is no such file. */
int online_probe_memory(const char *file, const uint64_t *addresses, size_t count, struct error *error);

#endif
