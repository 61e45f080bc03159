/* Neighbours: hardware addresses of hosts on an interface's network (ARP, NDP), as AddARPNeighbors wants them. */
#ifndef NACRE_AGENT_NET_NEIGHBOR_H
#define NACRE_AGENT_NET_NEIGHBOR_H

#include "agent/net/interface.h"

struct neighbor {
	struct interface_address address;
	bool has_hardware;
	uint8_t hardware[INTERFACE_HARDWARE_SIZE];
	char device[IFNAMSIZ];
	uint16_t state; /* NUD_ of linux/neighbour.h; 0: permanent */
	uint8_t flags;	/* NTF_ */
};

/* Adds them, in the place of equal ones. 0, or -errno at the first that fails (ENODEV: "Link not found (...)"). */
int neighbor_add(const struct neighbor *neighbors, size_t count, struct error *error);

#endif
