/* Adding routes. */
#include "agent/net/route.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/net/netlink.h"
#include "lib/cleanup.h"

#define NETWORK_SIZE 80

static size_t size_of(int family)
{
	return family == AF_INET ? 4 : 16;
}

int route_parse_network(struct interface_address *network, const char *text, int family, struct error *error)
{
	char copy[NETWORK_SIZE];
	const char *prefix;
	char *slash;

	*network = (struct interface_address){.family = family};
	if (!*text)
		return 0;
	if (strlen(text) >= sizeof(copy))
		return error_set(error, EINVAL, "'%.60s...' is no network", text);
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = '\0';
	prefix = slash ? slash : strchr(copy, ':') ? "128" : "32";
	return interface_parse_address(network, copy, prefix, error);
}

static int add(int fd, const struct route *route, struct error *error)
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
	size_t size = size_of(destination->family);
	struct netlink_message message;
	int index = interface_index(fd, route->device, error);

	if (index < 0)
		return index;
	if (route->has_source && route->source.prefix > 0)
		wanted.rtm_src_len = (uint8_t)route->source.prefix;
	netlink_begin(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &wanted, sizeof(wanted));
	if (destination->prefix > 0)
		netlink_add(&message, RTA_DST, destination->bytes, size);
	if (route->has_gateway)
		netlink_add(&message, RTA_GATEWAY, route->gateway.bytes, size);
	if (route->has_source)
		netlink_add(&message, route->source.prefix > 0 ? RTA_SRC : RTA_PREFSRC, route->source.bytes, size);
	netlink_add(&message, RTA_OIF, &(uint32_t){(uint32_t)index}, sizeof(uint32_t));
	if (route->mtu > 0)
		netlink_add(&message, RTA_METRICS, &metrics, sizeof(metrics));
	return netlink_send(fd, &message);
}

static int add_some(int fd, const struct route *routes, size_t count, bool gateways, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		int status = routes[i].has_gateway == gateways ? add(fd, &routes[i], error) : 0;
		char text[INET6_ADDRSTRLEN];

		if (status == -ENODEV)
			return status;
		if (status < 0 && status != -EEXIST)
			return error_errno(error, -status, "add a route to %s/%u over %s",
					   inet_ntop(routes[i].destination.family, routes[i].destination.bytes, text,
						     sizeof(text)),
					   routes[i].destination.prefix, routes[i].device);
	}
	return 0;
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
	if (attribute && RTA_PAYLOAD(attribute) == size_of(family))
		memcpy(address->bytes, RTA_DATA(attribute), size_of(family));
}

static int take_route(const struct nlmsghdr *header, void *data)
{
	const struct rtmsg *message = NLMSG_DATA(header);
	const struct rtattr *attributes[RTA_PREFSRC + 1];
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
