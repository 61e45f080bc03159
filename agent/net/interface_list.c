/* What interfaces and addresses there are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>

#include "agent/net/interface_parts.h"
#include "agent/net/netlink.h"
#include "lib/cleanup.h"

struct link_listing {
	int (*each)(const struct interface_link *link, void *data);
	void *data;
};

struct address_listing {
	int (*each)(int index, const struct interface_address *address, void *data);
	void *data;
};

static int take_link(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *information = NLMSG_DATA(header);
	const struct rtattr *attributes[IFLA_MTU + 1];
	const struct link_listing *listing = data;
	struct interface_link link = {0};

	if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_LENGTH(sizeof(*information)))
		return 0;
	netlink_attributes(header, sizeof(*information), attributes, array_size(attributes));
	if (!attributes[IFLA_IFNAME])
		return 0;
	link.index = information->ifi_index;
	link.flags = information->ifi_flags;
	snprintf(link.name, sizeof(link.name), "%.*s", (int)RTA_PAYLOAD(attributes[IFLA_IFNAME]),
		 (const char *)RTA_DATA(attributes[IFLA_IFNAME]));
	if (attributes[IFLA_MTU] && RTA_PAYLOAD(attributes[IFLA_MTU]) == sizeof(link.mtu))
		memcpy(&link.mtu, RTA_DATA(attributes[IFLA_MTU]), sizeof(link.mtu));
	if (attributes[IFLA_ADDRESS] && RTA_PAYLOAD(attributes[IFLA_ADDRESS]) <= sizeof(link.hardware)) {
		link.hardware_size = RTA_PAYLOAD(attributes[IFLA_ADDRESS]);
		memcpy(link.hardware, RTA_DATA(attributes[IFLA_ADDRESS]), link.hardware_size);
	}
	return listing->each(&link, listing->data);
}

static int take_address(const struct nlmsghdr *header, void *data)
{
	const struct ifaddrmsg *information = NLMSG_DATA(header);
	const struct rtattr *attributes[IFA_LOCAL + 1], *bytes;
	const struct address_listing *listing = data;
	struct interface_address address = {0};

	if (header->nlmsg_type != RTM_NEWADDR || header->nlmsg_len < NLMSG_LENGTH(sizeof(*information)) ||
	    (information->ifa_family != AF_INET && information->ifa_family != AF_INET6))
		return 0;
	netlink_attributes(header, sizeof(*information), attributes, array_size(attributes));
	/* The other end's, where it is a line with two ends. */
	bytes = attributes[attributes[IFA_LOCAL] ? IFA_LOCAL : IFA_ADDRESS];
	address.family = information->ifa_family;
	address.prefix = information->ifa_prefixlen;
	if (!bytes || RTA_PAYLOAD(bytes) != interface_address_size(address.family))
		return 0;
	memcpy(address.bytes, RTA_DATA(bytes), RTA_PAYLOAD(bytes));
	return listing->each((int)information->ifa_index, &address, listing->data);
}

int interface_dump(int fd, int (*each)(const struct interface_link *link, void *data), void *data, struct error *error)
{
	const struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
	struct link_listing listing = {each, data};
	struct netlink_message message;
	int status;

	netlink_begin(&message, RTM_GETLINK, 0, &any, sizeof(any));
	status = netlink_dump(fd, &message, take_link, &listing);
	return status < 0 ? error_errno(error, -status, "list the network interfaces") : 0;
}

int interface_list(int (*each)(const struct interface_link *link, void *data), void *data, struct error *error)
{
	cleanup_close int fd = netlink_open(error);

	return fd < 0 ? fd : interface_dump(fd, each, data, error);
}

int interface_list_addresses(int (*each)(int index, const struct interface_address *address, void *data), void *data,
			     struct error *error)
{
	cleanup_close int fd = netlink_open(error);
	const struct ifaddrmsg any = {.ifa_family = AF_UNSPEC};
	struct address_listing listing = {each, data};
	struct netlink_message message;
	int status;

	if (fd < 0)
		return fd;
	netlink_begin(&message, RTM_GETADDR, 0, &any, sizeof(any));
	status = netlink_dump(fd, &message, take_address, &listing);
	return status < 0 ? error_errno(error, -status, "list the addresses") : 0;
}
