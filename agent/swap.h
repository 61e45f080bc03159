/* Memory that disks of the host lend: AddSwap, AddSwapPath (behaviour.md section 3). Blocks: for jobs. */
#ifndef NACRE_AGENT_SWAP_H
#define NACRE_AGENT_SWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct swap_request {
	const char *place; /* "02/00", a PCI path; or "/dev/vdb", or another file */
	bool pci;
	uint64_t hotplug_timeout; /* nanoseconds that the disk may take to appear */
};

/* Swaps to what mkswap(8) has prepared there. 0; -EINVAL for what isn't prepared, or no such place; -ETIMEDOUT. */
int swap_add(const struct swap_request *request, struct error *error);

#endif
