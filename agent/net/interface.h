/* Network interfaces of the guest, as UpdateInterface wants them (behaviour.md section 3). */
#ifndef NACRE_AGENT_NET_INTERFACE_H
#define NACRE_AGENT_NET_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/error.h"

#define INTERFACE_HARDWARE_SIZE 6
#define INTERFACE_HARDWARE_MAX 32 /* of those that are listed: InfiniBand has 20 */

struct interface_address {
	int family; /* AF_INET or AF_INET6 */
	uint8_t bytes[16];
	unsigned prefix;
};

struct interface {
	char name[IFNAMSIZ];
	char device[IFNAMSIZ]; /* the one that has this name now is meant; "": see interface_update() */
	bool has_hardware;
	uint8_t hardware[INTERFACE_HARDWARE_SIZE];
	unsigned mtu; /* 0: as it is */
	bool no_arp;
	const struct interface_address *addresses;
	size_t address_count;
};

/* Reads "52:54:00:12:34:56". 0 or -EINVAL. */
int interface_parse_hardware(const char *text, uint8_t hardware[INTERFACE_HARDWARE_SIZE]);

/* Reads an address of either family; its prefix is the longest. 0 or -EINVAL. */
int interface_parse_host(struct interface_address *address, const char *text, struct error *error);

/* Reads an address, of either family, and the decimal length of its prefix. 0 or -EINVAL. */
int interface_parse_address(struct interface_address *address, const char *text, const char *prefix,
			    struct error *error);

/* Finds the interface by its device, or else by its hardware address, or else by its name, and gives it that hardware
 * address, its name, its addresses and its MTU, and brings it up. Addresses that it has already stay. Another one that has
 * the wanted name gets this one's old name. 0, or -errno: ENODEV "Link not found (...)", which runtimes wait for to go
 * away. One that was up is up again after a failure. */
int interface_update(const struct interface *interface, struct error *error);

/* One as the kernel has it. */
struct interface_link {
	int index;
	char name[IFNAMSIZ];
	unsigned flags; /* IFF_ */
	unsigned mtu;
	uint8_t hardware[INTERFACE_HARDWARE_MAX];
	size_t hardware_size; /* 0: it has no such address */
};

/* Calls `each` for every interface, and for every address of every interface, until it returns something other than 0.
 * 0 or -errno. */
int interface_list(int (*each)(const struct interface_link *link, void *data), void *data, struct error *error);
int interface_list_addresses(int (*each)(int index, const struct interface_address *address, void *data), void *data,
			     struct error *error);

/* The size of an address of the family: 4 or 16. */
static inline size_t interface_address_size(int family)
{
	return family == AF_INET ? 4 : 16;
}

/* The index of the interface with that name, or -errno (ENODEV). */
int interface_index(int netlink, const char *name, struct error *error);

#endif
