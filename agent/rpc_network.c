/* UpdateInterface, UpdateRoutes. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/net/interface.h"
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

static int fill_interface(struct interface *interface, struct arena *arena, const Types__Interface *from,
			  struct error *error)
{
	struct interface_address *addresses;
	int status;

	if (!from)
		return error_set(error, EINVAL, "no interface in the request");
	if (*from->devicepath)
		return error_set(error, EOPNOTSUPP, "an interface that is plugged in (devicePath)");
	addresses = arena_array(arena, from->n_ipaddresses, sizeof(*addresses));
	if (!addresses)
		return error_errno(error, ENOMEM, "interface");
	*interface = (struct interface){.addresses = addresses, .address_count = from->n_ipaddresses};
	interface->has_hardware = *from->hwaddr != '\0';
	interface->no_arp = from->raw_flags & IFF_NOARP;
	if (from->mtu > UINT32_MAX || (interface->has_hardware &&
				       interface_parse_hardware(from->hwaddr, interface->hardware) < 0))
		return error_set(error, EINVAL, "'%.40s' is no hardware address, or the MTU is none", from->hwaddr);
	interface->mtu = (unsigned)from->mtu;
	status = take_name(interface->name, from->name, error);
	for (size_t i = 0; i < from->n_ipaddresses && status == 0; i++)
		status = interface_parse_address(&addresses[i], from->ipaddresses[i]->address, from->ipaddresses[i]->mask,
						 error);
	return status;
}

static int update_interface(const void *argument, struct job_result *result)
{
	return interface_update(argument, &result->error);
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
	struct interface interface;
	struct arena arena;
	struct error error;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	if (fill_interface(&interface, &arena, request->interface, &error) < 0)
		rpc_fail(call, &error);
	else
		rpc_run_job_then(call, "set an interface up", NETWORK_TIMEOUT, update_interface, &interface,
				 answer_interface);
	arena_free(&arena);
}

/* UpdateRoutes ------------------------------------------------------------------------------------------------- */

struct routes {
	struct route *list;
	size_t count;
};

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

struct answer {
	Grpc__Routes routes;
	struct arena *arena;
	size_t room;
};

static char *address_text(struct arena *arena, const struct interface_address *address, bool network)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(address->family, address->bytes, text, sizeof(text));
	return network ? arena_printf(arena, "%s/%u", text, address->prefix) : arena_strdup(arena, text);
}

static int answer_route(const struct route *route, void *data)
{
	struct answer *answer = data;
	Types__Route *message = arena_alloc(answer->arena, sizeof(*message));

	if (!message)
		return -ENOMEM;
	if (answer->routes.n_routes == answer->room) {
		Types__Route **larger = arena_array(answer->arena, 2 * answer->room + 8, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		for (size_t i = 0; i < answer->routes.n_routes; i++)
			larger[i] = answer->routes.routes[i];
		answer->routes.routes = larger;
		answer->room = 2 * answer->room + 8;
	}
	types__route__init(message);
	if (route->destination.prefix > 0)
		message->dest = address_text(answer->arena, &route->destination, true);
	if (route->has_gateway)
		message->gateway = address_text(answer->arena, &route->gateway, false);
	if (route->has_source)
		message->source = address_text(answer->arena, &route->source, false);
	message->device = arena_strdup(answer->arena, route->device);
	message->scope = route->scope;
	message->flags = route->flags;
	message->family = route->destination.family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
	answer->routes.routes[answer->routes.n_routes++] = message;
	return 0;
}

/* The answer is what the table holds then. */
static int update_routes(const void *argument, struct job_result *result)
{
	const struct routes *routes = argument;
	struct answer answer = {.routes = GRPC__ROUTES__INIT};
	struct arena arena;
	int status;

	arena_init(&arena, ARENA_FORK, ARENA_LIMIT);
	answer.arena = &arena;
	status = route_update(routes->list, routes->count, &result->error);
	if (status == 0)
		status = route_list(answer_route, &answer, &result->error);
	return status < 0 ? status : rpc_job_answer(result, &answer.routes.base);
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
