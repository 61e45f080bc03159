/* Network interfaces of the guest, as UpdateInterface wants them (behaviour.md section 3). */
#ifndef NACRE_AGENT_NET_INTERFACE_H
#define NACRE_AGENT_NET_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define INTERFACE_HARDWARE_SIZE 6

struct interface_address {
	int family; /* AF_INET or AF_INET6 */
	uint8_t bytes[16];
	unsigned prefix;
};

struct interface {
	char name[IFNAMSIZ];
	bool has_hardware;
	uint8_t hardware[INTERFACE_HARDWARE_SIZE];
	unsigned mtu; /* 0: as it is */
	bool no_arp;
	const struct interface_address *addresses;
	size_t address_count;
};

/* Reads "52:54:00:12:34:56". 0 or -EINVAL. */
int interface_parse_hardware(const char *text, uint8_t hardware[INTERFACE_HARDWARE_SIZE]);

/* Reads an address, of either family, and the decimal length of its prefix. 0 or -EINVAL. */
int interface_parse_address(struct interface_address *address, const char *text, const char *prefix,
			    struct error *error);

/* Finds the interface by its hardware address, or by its name, which then gets that address; gives it its name, its
 * addresses and its MTU, and brings it up. Addresses that it has already stay. Another one that has the wanted name gets
 * this one's old name. 0, or -errno: ENODEV "Link not found (...)", which runtimes wait for to go away. */
int interface_update(const struct interface *interface, struct error *error);

/* The index of the interface with that name, or -errno (ENODEV). */
int interface_index(int netlink, const char *name, struct error *error);

#endif
