/* ListInterfaces, ListRoutes. The kernel's tables are read by a job: whoever changes one has the reader wait. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent.pb-c.h"
#include "agent/net/interface.h"
#include "agent/net/route.h"
#include "agent/rpc.h"
#include "agent/rpc_job.h"
#include "lib/cleanup.h"

#define LIST_TIMEOUT (30 * LOOP_SECOND)
/* A packed answer is 4 MiB at most; here its texts and structures lie one by one. */
#define LIST_LIMIT (32u << 20)

struct listed_interface {
	Types__Interface message;
	int index;
};

/* Adds to a repeated field, which is allocated anew whenever its count is a power of two. 0 or -ENOMEM. */
static int append(struct arena *arena, void *field, size_t *count, void *message)
{
	void **list, **larger;

	memcpy(&list, field, sizeof(list));
	if ((*count & (*count - 1)) == 0) {
		larger = arena_array(arena, *count > 0 ? 2 * *count : 1, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		if (*count > 0)
			memcpy(larger, list, *count * sizeof(*list));
		memcpy(field, &larger, sizeof(larger));
		list = larger;
	}
	list[(*count)++] = message;
	return 0;
}

static char *host_text(struct arena *arena, const struct interface_address *address)
{
	char text[INET6_ADDRSTRLEN];

	return arena_strdup(arena, inet_ntop(address->family, address->bytes, text, sizeof(text)));
}

static Types__IPFamily family_of(const struct interface_address *address)
{
	return address->family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
}

/* ListInterfaces ----------------------------------------------------------------------------------------------- */

struct interfaces {
	Grpc__Interfaces message;
	struct arena arena;
};

static char *hardware_text(struct arena *arena, const struct interface_link *link)
{
	char text[3 * INTERFACE_HARDWARE_MAX + 1] = "";

	for (size_t i = 0; i < link->hardware_size; i++)
		sprintf(text + 3 * i, "%02X:", link->hardware[i]);
	text[link->hardware_size > 0 ? 3 * link->hardware_size - 1 : 0] = '\0';
	return arena_strdup(arena, text);
}

static int add_interface(const struct interface_link *link, void *data)
{
	struct interfaces *answer = data;
	struct listed_interface *interface = arena_alloc(&answer->arena, sizeof(*interface));

	if (!interface)
		return -ENOMEM;
	types__interface__init(&interface->message);
	interface->index = link->index;
	interface->message.name = arena_strdup(&answer->arena, link->name);
	interface->message.hwaddr = hardware_text(&answer->arena, link);
	interface->message.mtu = link->mtu;
	return append(&answer->arena, &answer->message.interfaces, &answer->message.n_interfaces, &interface->message);
}

static struct listed_interface *find_interface(const struct interfaces *answer, int index)
{
	for (size_t i = 0; i < answer->message.n_interfaces; i++) {
		struct listed_interface *interface =
			container_of(answer->message.interfaces[i], struct listed_interface, message);

		if (interface->index == index)
			return interface;
	}
	return NULL;
}

static int add_address(int index, const struct interface_address *address, void *data)
{
	struct interfaces *answer = data;
	struct listed_interface *interface = find_interface(answer, index);
	Types__IPAddress *message = arena_alloc(&answer->arena, sizeof(*message));

	/* It has come since the interfaces were listed. */
	if (!interface)
		return 0;
	if (!message)
		return -ENOMEM;
	types__ipaddress__init(message);
	message->family = family_of(address);
	message->address = host_text(&answer->arena, address);
	message->mask = arena_printf(&answer->arena, "%u", address->prefix);
	return append(&answer->arena, &interface->message.ipaddresses, &interface->message.n_ipaddresses, message);
}

/* A text that there was no room for would be an empty one. */
static int answer_from(struct job_result *result, const ProtobufCMessage *message, const struct arena *arena)
{
	if (arena->exhausted)
		return error_errno(&result->error, ENOMEM, "make the answer");
	return rpc_job_answer(result, message);
}

static int list_interfaces(const void *argument, struct job_result *result)
{
	struct interfaces answer = {.message = GRPC__INTERFACES__INIT};
	int status;

	(void)argument;
	arena_init(&answer.arena, ARENA_FORK, LIST_LIMIT);
	status = interface_list(add_interface, &answer, &result->error);
	if (status == 0)
		status = interface_list_addresses(add_address, &answer, &result->error);
	return status < 0 ? status : answer_from(result, &answer.message.base, &answer.arena);
}

void rpc_list_interfaces(struct ttrpc_call *call)
{
	rpc_run_job(call, "list the interfaces", LIST_TIMEOUT, list_interfaces, NULL);
}

/* ListRoutes --------------------------------------------------------------------------------------------------- */

struct routes {
	Grpc__Routes message;
	struct arena arena;
};

static char *destination_text(struct arena *arena, const struct route *route)
{
	if (route->destination.prefix == 0)
		return host_text(arena, &route->destination);
	return arena_printf(arena, "%s/%u", host_text(arena, &route->destination), route->destination.prefix);
}

static int add_route(const struct route *route, void *data)
{
	struct routes *answer = data;
	struct arena *arena = &answer->arena;
	Types__Route *message = arena_alloc(arena, sizeof(*message));

	if (!message)
		return -ENOMEM;
	types__route__init(message);
	message->dest = destination_text(arena, route);
	if (route->has_gateway)
		message->gateway = host_text(arena, &route->gateway);
	if (route->has_source)
		message->source = host_text(arena, &route->source);
	message->device = arena_strdup(arena, route->device);
	message->scope = route->scope;
	message->flags = route->flags;
	message->mtu = route->mtu;
	message->family = family_of(&route->destination);
	return append(arena, &answer->message.routes, &answer->message.n_routes, message);
}

int rpc_answer_routes(const void *argument, struct job_result *result)
{
	struct routes answer = {.message = GRPC__ROUTES__INIT};
	int status;

	(void)argument;
	arena_init(&answer.arena, ARENA_FORK, LIST_LIMIT);
	status = route_list(add_route, &answer, &result->error);
	return status < 0 ? status : answer_from(result, &answer.message.base, &answer.arena);
}

void rpc_list_routes(struct ttrpc_call *call)
{
	rpc_run_job(call, "list the routes", LIST_TIMEOUT, rpc_answer_routes, NULL);
}
