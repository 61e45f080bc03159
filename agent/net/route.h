/* Routes of the guest, as UpdateRoutes wants them (behaviour.md section 3). */
#ifndef NACRE_AGENT_NET_ROUTE_H
#define NACRE_AGENT_NET_ROUTE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/net/interface.h"
#include "lib/error.h"

struct route {
	struct interface_address destination; /* prefix 0: the default route */
	bool has_gateway, has_source;
	struct interface_address gateway;
	struct interface_address source; /* a network; or a whole address, or one of prefix 0: that to be preferred */
	char device[IFNAMSIZ];
	uint8_t scope;
	uint32_t flags, mtu;
};

/* Reads "ADDRESS/LENGTH" or "ADDRESS", which is the longest prefix; "" is the default route of `family`. 0 or -EINVAL. */
int route_parse_network(struct interface_address *network, const char *text, int family, struct error *error);

/* Adds the routes to the main table, those without a gateway first, in the place of equal ones. Others stay. 0, or -errno
 * at the first that fails. */
int route_update(const struct route *routes, size_t count, struct error *error);

/* Calls `each` for every route of the main table, until it returns something other than 0. 0 or -errno. */
typedef int (*route_each)(const struct route *route, void *data);
int route_list(route_each each, void *data, struct error *error);

#endif
