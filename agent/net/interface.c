/* Setting interfaces up. */
#include "agent/net/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>

#include "agent/net/interface_parts.h"
#include "agent/net/netlink.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define TEMPORARY_SUFFIX "_temp"

struct search {
	const char *name;	 /* or */
	const uint8_t *hardware; /* this */
	struct interface_link found; /* index 0: none */
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

int interface_parse_host(struct interface_address *address, const char *text, struct error *error)
{
	*address = (struct interface_address){.family = strchr(text, ':') ? AF_INET6 : AF_INET};
	address->prefix = 8 * (unsigned)interface_address_size(address->family);
	if (inet_pton(address->family, text, address->bytes) != 1)
		return error_set(error, EINVAL, "'%.60s' is no IP address", text);
	return 0;
}

int interface_parse_address(struct interface_address *address, const char *text, const char *prefix,
			    struct error *error)
{
	char *end;
	unsigned long length = strtoul(prefix, &end, 10);

	if (interface_parse_host(address, text, error) < 0)
		return -EINVAL;
	if (*prefix < '0' || *prefix > '9' || *end || length > address->prefix)
		return error_set(error, EINVAL, "'%.20s' is no prefix length for %s", prefix, text);
	address->prefix = (unsigned)length;
	return 0;
}

static int compare_link(const struct interface_link *link, void *data)
{
	struct search *search = data;

	if (search->found.index > 0 || (search->name && strcmp(link->name, search->name) != 0))
		return 0;
	if (search->hardware && (link->hardware_size != INTERFACE_HARDWARE_SIZE ||
				 memcmp(link->hardware, search->hardware, INTERFACE_HARDWARE_SIZE) != 0))
		return 0;
	search->found = *link;
	return 0;
}

/* 0 with search->found.index 0 where there is none. */
static int find(int fd, struct search *search, struct error *error)
{
	return interface_dump(fd, compare_link, search, error);
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
static int take_name(int fd, const struct interface_link *link, const char *name, struct error *error)
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
	/* The other one has a name again in any case. */
	if (set_name(fd, other.found.index, status == 0 ? link->name : name, status == 0 ? error : NULL) < 0 && status == 0)
		status = -EIO;
	change(fd, other.found.index, other.found.flags, IFF_UP, 0, NULL, 0);
	return status;
}

/* Anything but "0" switches it off; so does a kernel without it. */
static bool ipv6_disabled(const char *scope)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", scope);
	return fd_read_file(AT_FDCWD, path, text, sizeof(text), NULL) < 0 || strcmp(text, "0") != 0;
}

static bool has_ipv6(void)
{
	return !ipv6_disabled("all") || !ipv6_disabled("default");
}

static int add_address(int fd, int index, const struct interface_address *address, struct error *error)
{
	const struct ifaddrmsg wanted = {
		.ifa_family = (uint8_t)address->family,
		.ifa_prefixlen = (uint8_t)address->prefix,
		.ifa_index = (unsigned)index,
	};
	size_t size = interface_address_size(address->family);
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

/* The one of the device, or that of the hardware address, or that of the name. */
static int choose(int fd, const struct interface *interface, struct interface_link *link, struct error *error)
{
	struct search by_device = {.name = interface->device}, by_hardware = {.hardware = interface->hardware},
		      by_name = {.name = interface->name}, *searches[] = {&by_device, &by_hardware, &by_name};

	for (size_t i = *interface->device ? 0 : interface->has_hardware ? 1 : 2; i < array_size(searches); i++) {
		int status = find(fd, searches[i], error);

		if (status < 0)
			return status;
		*link = searches[i]->found;
		/* Where a device is told, no other will do. */
		if (link->index > 0 || i == 0)
			break;
	}
	return link->index > 0 ? 0 : error_set(error, ENODEV, "Link not found (%.20s)", interface->name);
}

static int set_hardware(int fd, const struct interface *interface, const struct interface_link *link,
			struct error *error)
{
	int status = 0;

	if (interface->has_hardware && (link->hardware_size != INTERFACE_HARDWARE_SIZE ||
					memcmp(link->hardware, interface->hardware, INTERFACE_HARDWARE_SIZE) != 0))
		status = change(fd, link->index, 0, 0, IFLA_ADDRESS, interface->hardware, INTERFACE_HARDWARE_SIZE);
	return status < 0 ? error_errno(error, -status, "set the hardware address of %s", link->name) : 0;
}

static int configure(int fd, const struct interface *interface, const struct interface_link *link, struct error *error)
{
	const uint32_t mtu = interface->mtu;
	int status = change(fd, link->index, 0, IFF_UP, 0, NULL, 0);

	if (status < 0)
		return error_errno(error, -status, "take %s down", link->name);
	status = set_hardware(fd, interface, link, error);
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
	struct interface_link link;
	int status;

	if (fd < 0)
		return fd;
	status = choose(fd, interface, &link, error);
	if (status < 0)
		return status;
	status = configure(fd, interface, &link, error);
	if (status < 0)
		change(fd, link.index, link.flags, IFF_UP, 0, NULL, 0);
	return status;
}
