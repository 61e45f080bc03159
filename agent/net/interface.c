/* Links and addresses. */
#include "agent/net/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>

#include "agent/net/netlink.h"
#include "lib/cleanup.h"

#define TEMPORARY_SUFFIX "_temp"

struct link {
	int index;
	char name[IFNAMSIZ];
};

struct search {
	const char *name;	 /* or */
	const uint8_t *hardware; /* this */
	struct link found;
};

int interface_parse_hardware(const char *text, uint8_t hardware[INTERFACE_HARDWARE_SIZE])
{
	for (int i = 0; i < INTERFACE_HARDWARE_SIZE; i++) {
		char *end;
		unsigned long byte = strtoul(text, &end, 16);

		if (end == text || end - text > 2 || byte > 0xff ||
		    *end != (i == INTERFACE_HARDWARE_SIZE - 1 ? '\0' : ':'))
			return -EINVAL;
		hardware[i] = (uint8_t)byte;
		text = end + 1;
	}
	return 0;
}

int interface_parse_address(struct interface_address *address, const char *text, const char *prefix,
			    struct error *error)
{
	char *end;
	unsigned long length = strtoul(prefix, &end, 10);

	*address = (struct interface_address){.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	if (inet_pton(address->family, text, address->bytes) != 1)
		return error_set(error, EINVAL, "'%.60s' is no IP address", text);
	if (*prefix < '0' || *prefix > '9' || *end || length > (address->family == AF_INET ? 32 : 128))
		return error_set(error, EINVAL, "'%.20s' is no prefix length for %s", prefix, text);
	address->prefix = (unsigned)length;
	return 0;
}

static int compare_link(const struct nlmsghdr *header, void *data)
{
	const struct ifinfomsg *information = NLMSG_DATA(header);
	const struct rtattr *attributes[IFLA_IFNAME + 1];
	struct search *search = data;
	const char *name;

	if (header->nlmsg_type != RTM_NEWLINK || header->nlmsg_len < NLMSG_LENGTH(sizeof(*information)))
		return 0;
	netlink_attributes(header, sizeof(*information), attributes, array_size(attributes));
	if (!attributes[IFLA_IFNAME] || search->found.index > 0)
		return 0;
	name = RTA_DATA(attributes[IFLA_IFNAME]);
	if (search->name && strncmp(name, search->name, IFNAMSIZ) != 0)
		return 0;
	if (search->hardware && (!attributes[IFLA_ADDRESS] ||
				 RTA_PAYLOAD(attributes[IFLA_ADDRESS]) != INTERFACE_HARDWARE_SIZE ||
				 memcmp(RTA_DATA(attributes[IFLA_ADDRESS]), search->hardware, INTERFACE_HARDWARE_SIZE) != 0))
		return 0;
	search->found.index = information->ifi_index;
	snprintf(search->found.name, IFNAMSIZ, "%s", name);
	return 0;
}

/* 0 with search->found.index 0 where there is none. */
static int find(int fd, struct search *search, struct error *error)
{
	const struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
	struct netlink_message message;
	int status;

	netlink_begin(&message, RTM_GETLINK, 0, &any, sizeof(any));
	status = netlink_dump(fd, &message, compare_link, search);
	return status < 0 ? error_errno(error, -status, "list the network interfaces") : 0;
}

int interface_index(int netlink, const char *name, struct error *error)
{
	struct search search = {.name = name};
	int status = find(netlink, &search, error);

	if (status < 0)
		return status;
	return search.found.index > 0 ? search.found.index :
					error_set(error, ENODEV, "Link not found (%.20s)", name);
}

/* Changes flags among `changed`, and one attribute (or none). */
static int change(int fd, int index, unsigned flags, unsigned changed, uint16_t attribute, const void *data,
		  size_t size)
{
	const struct ifinfomsg link = {.ifi_index = index, .ifi_flags = flags, .ifi_change = changed};
	struct netlink_message message;

	netlink_begin(&message, RTM_NEWLINK, 0, &link, sizeof(link));
	if (data)
		netlink_add(&message, attribute, data, size);
	return netlink_send(fd, &message);
}

static int set_name(int fd, int index, const char *name, struct error *error)
{
	int status = change(fd, index, 0, 0, IFLA_IFNAME, name, strlen(name) + 1);

	return status < 0 ? error_errno(error, -status, "name a network interface %s", name) : 0;
}

/* A name can only be given while the interface, and whoever has the name, is down. */
static int take_name(int fd, const struct link *link, const char *name, struct error *error)
{
	struct search other = {.name = name};
	char temporary[IFNAMSIZ];
	int status;

	if (strcmp(link->name, name) == 0)
		return 0;
	status = find(fd, &other, error);
	if (status < 0)
		return status;
	if (other.found.index == 0)
		return set_name(fd, link->index, name, error);
	snprintf(temporary, sizeof(temporary), "%.*s" TEMPORARY_SUFFIX, IFNAMSIZ - (int)sizeof(TEMPORARY_SUFFIX), name);
	change(fd, other.found.index, 0, IFF_UP, 0, NULL, 0);
	status = set_name(fd, other.found.index, temporary, error);
	if (status == 0)
		status = set_name(fd, link->index, name, error);
	if (status == 0)
		status = set_name(fd, other.found.index, link->name, error);
	return status;
}

static bool has_ipv6(void)
{
	return access("/proc/sys/net/ipv6", F_OK) == 0;
}

static int add_address(int fd, int index, const struct interface_address *address, struct error *error)
{
	const struct ifaddrmsg wanted = {
		.ifa_family = (uint8_t)address->family,
		.ifa_prefixlen = (uint8_t)address->prefix,
		.ifa_index = (unsigned)index,
	};
	size_t size = address->family == AF_INET ? 4 : 16;
	struct netlink_message message;
	char text[INET6_ADDRSTRLEN];
	int status;

	netlink_begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &wanted, sizeof(wanted));
	netlink_add(&message, IFA_LOCAL, address->bytes, size);
	netlink_add(&message, IFA_ADDRESS, address->bytes, size);
	status = netlink_send(fd, &message);
	if (status < 0)
		return error_errno(error, -status, "add the address %s/%u",
				   inet_ntop(address->family, address->bytes, text, sizeof(text)), address->prefix);
	return 0;
}

/* The one of the hardware address, or the one of the name. */
static int choose(int fd, const struct interface *interface, struct link *link, struct error *error)
{
	struct search by_hardware = {.hardware = interface->hardware}, by_name = {.name = interface->name};
	int status = interface->has_hardware ? find(fd, &by_hardware, error) : 0;

	if (status == 0 && by_hardware.found.index == 0)
		status = find(fd, &by_name, error);
	if (status < 0)
		return status;
	*link = by_hardware.found.index > 0 ? by_hardware.found : by_name.found;
	if (link->index == 0)
		return error_set(error, ENODEV, "Link not found (%.20s)", interface->name);
	if (by_hardware.found.index > 0 || !interface->has_hardware)
		return 0;
	change(fd, link->index, 0, IFF_UP, 0, NULL, 0);
	status = change(fd, link->index, 0, 0, IFLA_ADDRESS, interface->hardware, INTERFACE_HARDWARE_SIZE);
	return status < 0 ? error_errno(error, -status, "set the hardware address of %s", link->name) : 0;
}

static int configure(int fd, const struct interface *interface, const struct link *link, struct error *error)
{
	const uint32_t mtu = interface->mtu;
	int status = change(fd, link->index, 0, IFF_UP, 0, NULL, 0);

	if (status < 0)
		return error_errno(error, -status, "take %s down", link->name);
	for (size_t i = 0; i < interface->address_count && status == 0; i++)
		if (interface->addresses[i].family == AF_INET || has_ipv6())
			status = add_address(fd, link->index, &interface->addresses[i], error);
	if (status == 0)
		status = take_name(fd, link, interface->name, error);
	if (status < 0)
		return status;
	if (mtu > 0)
		status = change(fd, link->index, 0, 0, IFLA_MTU, &mtu, sizeof(mtu));
	if (status < 0)
		return error_errno(error, -status, "set the MTU of %s to %u", interface->name, mtu);
	status = change(fd, link->index, IFF_UP | (interface->no_arp ? IFF_NOARP : 0), IFF_UP | IFF_NOARP, 0, NULL, 0);
	return status < 0 ? error_errno(error, -status, "bring %s up", interface->name) : 0;
}

int interface_update(const struct interface *interface, struct error *error)
{
	cleanup_close int fd = netlink_open(error);
	struct link link;
	int status;

	if (fd < 0)
		return fd;
	status = choose(fd, interface, &link, error);
	return status < 0 ? status : configure(fd, interface, &link, error);
}
