/* UpdateInterface, UpdateRoutes, AddARPNeighbors. */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/device/pci_path.h"
#include "agent/device/wait.h"
#include "agent/net/interface.h"
#include "agent/net/neighbor.h"
#include "agent/net/route.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"

#define NETWORK_TIMEOUT (30 * LOOP_SECOND)
#define ARENA_LIMIT (1u << 20)

static int take_name(char name[IFNAMSIZ], const char *text, struct error *error)
{
	if (!*text || strlen(text) >= IFNAMSIZ || strchr(text, '/'))
		return error_set(error, EINVAL, "'%.40s' is no name of a network interface", text);
	strcpy(name, text);
	return 0;
}

/* UpdateInterface ---------------------------------------------------------------------------------------------- */

struct update {
	struct interface interface;
	bool plugged; /* it is the one in this place, once it is there */
	struct pci_path place;
	const char *place_text;
	uint64_t timeout;
};

static int fill_interface(struct update *update, struct arena *arena, const Types__Interface *from,
			  struct error *error)
{
	struct interface *interface = &update->interface;
	struct interface_address *addresses;
	int status;

	if (!from)
		return error_set(error, EINVAL, "no interface in the request");
	addresses = arena_array(arena, from->n_ipaddresses, sizeof(*addresses));
	update->place_text = arena_strdup(arena, from->devicepath);
	if (!addresses || !update->place_text)
		return error_errno(error, ENOMEM, "interface");
	update->plugged = *from->devicepath != '\0';
	if (update->plugged && pci_path_parse(&update->place, from->devicepath, error) < 0)
		return error_wrap(error, "devicePath");
	interface->addresses = addresses;
	interface->address_count = from->n_ipaddresses;
	interface->has_hardware = *from->hwaddr != '\0';
	interface->no_arp = from->raw_flags & IFF_NOARP;
	if (interface->has_hardware && interface_parse_hardware(from->hwaddr, interface->hardware) < 0)
		return error_set(error, EINVAL, "hwAddr: '%.40s' is no hardware address", from->hwaddr);
	if (from->mtu > UINT32_MAX)
		return error_set(error, EINVAL, "mtu: %llu is none", (unsigned long long)from->mtu);
	interface->mtu = (unsigned)from->mtu;
	status = take_name(interface->name, from->name, error);
	for (size_t i = 0; i < from->n_ipaddresses && status == 0; i++)
		status = interface_parse_address(&addresses[i], from->ipaddresses[i]->address, from->ipaddresses[i]->mask,
						 error);
	return status;
}

static bool is_plugged(void *wanted)
{
	struct update *update = wanted;
	char name[PCI_NAME_SIZE];

	if (pci_path_find_virtio(&update->place, "/sys/devices", "net", name) < 0)
		return false;
	snprintf(update->interface.device, IFNAMSIZ, "%.*s", IFNAMSIZ - 1, name);
	return true;
}

static int update_interface(const void *argument, struct job_result *result)
{
	struct update update = *(const struct update *)argument;
	int status = 0;

	if (update.plugged)
		status = device_wait_until(is_plugged, &update, update.place_text, update.timeout, &result->error);
	return status < 0 ? status : interface_update(&update.interface, &result->error);
}

/* The answer is the request's own interface. */
static void answer_interface(struct ttrpc_call *call)
{
	const Grpc__UpdateInterfaceRequest *request = (const void *)call->request;

	ttrpc_call_reply(call, &request->interface->base);
}

void rpc_update_interface(struct ttrpc_call *call)
{
	const Grpc__UpdateInterfaceRequest *request = (const void *)call->request;
	const struct agent *agent = call->server->context;
	struct update update = {.timeout = agent->config.hotplug_timeout};
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	if (fill_interface(&update, &arena, request->interface, &error) < 0)
		rpc_fail(call, &error);
	else
		rpc_run_job_then(call, "set an interface up", NETWORK_TIMEOUT + update.timeout, update_interface, &update,
				 answer_interface);
	arena_free(&arena);
}

/* UpdateRoutes ------------------------------------------------------------------------------------------------- */

struct routes {
	struct route *list;
	size_t count;
};

static bool is_zero(const struct interface_address *address)
{
	static const struct interface_address zero;

	return memcmp(address->bytes, zero.bytes, sizeof(zero.bytes)) == 0;
}

static int fill_route(struct route *route, const Types__Route *from, struct error *error)
{
	int family = from->family == TYPES__IPFAMILY__v6 ? AF_INET6 : AF_INET, status;

	if (strchr(from->gateway, ':') || strchr(from->dest, ':'))
		family = AF_INET6;
	if (from->scope > UINT8_MAX)
		return error_set(error, EINVAL, "%u is no scope of a route", from->scope);
	route->scope = (uint8_t)from->scope;
	route->flags = from->flags;
	route->mtu = from->mtu;
	route->has_gateway = *from->gateway != '\0';
	route->has_source = *from->source != '\0';
	status = take_name(route->device, from->device, error);
	if (status == 0)
		status = route_parse_network(&route->destination, from->dest, family, error);
	/* The other form of the default route, as ListRoutes has it. */
	if (status == 0 && is_zero(&route->destination))
		route->destination.prefix = 0;
	if (status == 0 && route->has_gateway)
		status = route_parse_network(&route->gateway, from->gateway, family, error);
	if (status == 0 && route->has_source)
		status = route_parse_network(&route->source, from->source, family, error);
	if (status == 0 && ((route->has_gateway && route->gateway.family != route->destination.family) ||
			    (route->has_source && route->source.family != route->destination.family)))
		status = error_set(error, EINVAL, "a route of two families: '%.60s' over '%.60s'", from->dest, from->gateway);
	return status;
}

static int fill_routes(struct routes *routes, struct arena *arena, const Grpc__Routes *from, struct error *error)
{
	int status = 0;

	if (!from)
		return error_set(error, EINVAL, "no routes in the request");
	routes->list = arena_array(arena, from->n_routes, sizeof(*routes->list));
	routes->count = from->n_routes;
	if (!routes->list)
		return error_errno(error, ENOMEM, "routes");
	for (size_t i = 0; i < from->n_routes && status == 0; i++)
		status = fill_route(&routes->list[i], from->routes[i], error);
	return status;
}

/* The answer is what the table holds then. */
static int update_routes(const void *argument, struct job_result *result)
{
	const struct routes *routes = argument;
	int status = route_update(routes->list, routes->count, &result->error);

	return status < 0 ? status : rpc_answer_routes(NULL, result);
}

void rpc_update_routes(struct ttrpc_call *call)
{
	const Grpc__UpdateRoutesRequest *request = (const void *)call->request;
	struct routes routes;
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	if (fill_routes(&routes, &arena, request->routes, &error) < 0)
		rpc_fail(call, &error);
	else
		rpc_run_job(call, "set routes", NETWORK_TIMEOUT, update_routes, &routes);
	arena_free(&arena);
}

/* AddARPNeighbors ---------------------------------------------------------------------------------------------- */

struct neighbors {
	struct neighbor *list;
	size_t count;
};

static int fill_neighbor(struct neighbor *neighbor, const Types__ARPNeighbor *from, struct error *error)
{
	if (!from->toipaddress)
		return error_set(error, EINVAL, "a neighbour without toIPAddress");
	neighbor->has_hardware = *from->lladdr != '\0';
	neighbor->flags = (uint8_t)from->flags;
	if (from->state < 0 || from->state > UINT16_MAX)
		return error_set(error, EINVAL, "%d is no state of a neighbour", from->state);
	neighbor->state = (uint16_t)from->state;
	if (neighbor->has_hardware && interface_parse_hardware(from->lladdr, neighbor->hardware) < 0)
		return error_set(error, EINVAL, "lladdr: '%.40s' is no hardware address", from->lladdr);
	if (interface_parse_host(&neighbor->address, from->toipaddress->address, error) < 0)
		return error_wrap(error, "toIPAddress");
	return take_name(neighbor->device, from->device, error);
}

static int fill_neighbors(struct neighbors *neighbors, struct arena *arena, const Grpc__ARPNeighbors *from,
			  struct error *error)
{
	int status = 0;

	if (!from)
		return error_set(error, EINVAL, "no neighbors in the request");
	neighbors->list = arena_array(arena, from->n_arpneighbors, sizeof(*neighbors->list));
	neighbors->count = from->n_arpneighbors;
	if (!neighbors->list)
		return error_errno(error, ENOMEM, "neighbours");
	for (size_t i = 0; i < from->n_arpneighbors && status == 0; i++)
		status = fill_neighbor(&neighbors->list[i], from->arpneighbors[i], error);
	return status;
}

static int add_neighbors(const void *argument, struct job_result *result)
{
	const struct neighbors *neighbors = argument;

	return neighbor_add(neighbors->list, neighbors->count, &result->error);
}

void rpc_add_arp_neighbors(struct ttrpc_call *call)
{
	const Grpc__AddARPNeighborsRequest *request = (const void *)call->request;
	struct neighbors neighbors;
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	if (fill_neighbors(&neighbors, &arena, request->neighbors, &error) < 0)
		rpc_fail(call, &error);
	else
		rpc_run_job(call, "add neighbours", NETWORK_TIMEOUT, add_neighbors, &neighbors);
	arena_free(&arena);
}
