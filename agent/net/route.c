/* Adding routes. */
#include "agent/net/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/net/netlink.h"
#include "lib/cleanup.h"

#define NETWORK_SIZE 80

int route_parse_network(struct interface_address *network, const char *text, int family, struct error *error)
{
	char copy[NETWORK_SIZE];
	char *slash;

	*network = (struct interface_address){.family = family};
	if (!*text)
		return 0;
	if (strlen(text) >= sizeof(copy))
		return error_set(error, EINVAL, "'%.60s...' is no network", text);
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (!slash)
		return interface_parse_host(network, copy, error);
	*slash = '\0';
	return interface_parse_address(network, copy, slash + 1, error);
}

/* A whole address is the one to be preferred as the source of packets. */
static bool prefers_source(const struct route *route)
{
	return route->has_source && (route->source.prefix == 0 ||
				     route->source.prefix == 8 * interface_address_size(route->source.family));
}

static int add(int fd, int index, const struct route *route, bool with_preference)
{
	const struct interface_address *destination = &route->destination;
	struct rtmsg wanted = {
		.rtm_family = (uint8_t)destination->family,
		.rtm_dst_len = (uint8_t)destination->prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_type = RTN_UNICAST,
		.rtm_scope = route->scope,
		.rtm_flags = route->flags,
	};
	struct {
		struct rtattr header;
		uint32_t value;
	} metrics = {{sizeof(metrics), RTAX_MTU}, route->mtu};
	size_t size = interface_address_size(destination->family);
	bool preference = prefers_source(route);
	struct netlink_message message;

	if (route->has_source && !preference)
		wanted.rtm_src_len = (uint8_t)route->source.prefix;
	netlink_begin(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &wanted, sizeof(wanted));
	if (destination->prefix > 0)
		netlink_add(&message, RTA_DST, destination->bytes, size);
	if (route->has_gateway)
		netlink_add(&message, RTA_GATEWAY, route->gateway.bytes, size);
	if (route->has_source && (!preference || with_preference))
		netlink_add(&message, preference ? RTA_PREFSRC : RTA_SRC, route->source.bytes, size);
	netlink_add(&message, RTA_OIF, &(uint32_t){(uint32_t)index}, sizeof(uint32_t));
	if (route->mtu > 0)
		netlink_add(&message, RTA_METRICS, &metrics, sizeof(metrics));
	return netlink_send(fd, &message);
}

/* A preference that the kernel refuses is left out: the address may not be there (yet), and runtimes know no harm of it. */
static int add_one(int fd, const struct route *route, struct error *error)
{
	int index = interface_index(fd, route->device, error), status;
	char text[INET6_ADDRSTRLEN];

	if (index < 0)
		return index;
	status = add(fd, index, route, true);
	if (status == -EINVAL && prefers_source(route))
		status = add(fd, index, route, false);
	if (status == 0 || status == -EEXIST)
		return 0;
	return error_errno(error, -status, "add a route to %s/%u over %s",
			   inet_ntop(route->destination.family, route->destination.bytes, text, sizeof(text)),
			   route->destination.prefix, route->device);
}

static int add_some(int fd, const struct route *routes, size_t count, bool gateways, struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		if (routes[i].has_gateway == gateways)
			status = add_one(fd, &routes[i], error);
	return status;
}

int route_update(const struct route *routes, size_t count, struct error *error)
{
	cleanup_close int fd = netlink_open(error);
	int status;

	if (fd < 0)
		return fd;
	status = add_some(fd, routes, count, false, error);
	return status < 0 ? status : add_some(fd, routes, count, true, error);
}

/* Listing ------------------------------------------------------------------------------------------------------ */

struct listing {
	route_each each;
	void *data;
};

static void take_address(struct interface_address *address, const struct rtattr *attribute, int family, unsigned prefix)
{
	address->family = family;
	address->prefix = prefix;
	if (attribute && RTA_PAYLOAD(attribute) == interface_address_size(family))
		memcpy(address->bytes, RTA_DATA(attribute), interface_address_size(family));
}

static uint32_t mtu_of(const struct rtattr *metrics)
{
	const struct rtattr *metric = metrics ? RTA_DATA(metrics) : NULL;
	int left = metrics ? (int)RTA_PAYLOAD(metrics) : 0;
	uint32_t mtu = 0;

	for (; RTA_OK(metric, left); metric = RTA_NEXT(metric, left))
		if (metric->rta_type == RTAX_MTU && RTA_PAYLOAD(metric) == sizeof(mtu))
			memcpy(&mtu, RTA_DATA(metric), sizeof(mtu));
	return mtu;
}

static int take_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *message = NLMSG_DATA(header);
	const struct rtattr *attributes[RTA_METRICS + 1];
	struct listing *listing = data;
	struct route route = {0};
	uint32_t index = 0;

	if (header->nlmsg_type != RTM_NEWROUTE || header->nlmsg_len < NLMSG_LENGTH(sizeof(*message)) ||
	    message->rtm_table != RT_TABLE_MAIN || (message->rtm_family != AF_INET && message->rtm_family != AF_INET6))
		return 0;
	netlink_attributes(header, sizeof(*message), attributes, array_size(attributes));
	take_address(&route.destination, attributes[RTA_DST], message->rtm_family, message->rtm_dst_len);
	route.has_gateway = attributes[RTA_GATEWAY] != NULL;
	take_address(&route.gateway, attributes[RTA_GATEWAY], message->rtm_family, 0);
	route.has_source = attributes[RTA_PREFSRC] != NULL;
	take_address(&route.source, attributes[RTA_PREFSRC], message->rtm_family, 0);
	if (attributes[RTA_OIF] && RTA_PAYLOAD(attributes[RTA_OIF]) == sizeof(index))
		memcpy(&index, RTA_DATA(attributes[RTA_OIF]), sizeof(index));
	if (!if_indextoname(index, route.device))
		*route.device = '\0';
	route.scope = message->rtm_scope;
	route.flags = message->rtm_flags;
	route.mtu = mtu_of(attributes[RTA_METRICS]);
	return listing->each(&route, listing->data);
}

int route_list(route_each each, void *data, struct error *error)
{
	cleanup_close int fd = netlink_open(error);
	const struct rtmsg any = {.rtm_family = AF_UNSPEC, .rtm_table = RT_TABLE_MAIN};
	struct listing listing = {each, data};
	struct netlink_message message;
	int status;

	if (fd < 0)
		return fd;
	netlink_begin(&message, RTM_GETROUTE, 0, &any, sizeof(any));
	status = netlink_dump(fd, &message, take_route, &listing);
	return status < 0 ? error_errno(error, -status, "list the routes") : 0;
}
