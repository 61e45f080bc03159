/* Adding neighbours. */
#include "agent/net/neighbor.h"

#include <arpa/inet.h>
#include <errno.h>

#include <linux/neighbour.h>

#include "agent/net/netlink.h"
#include "lib/cleanup.h"

static int add(int fd, const struct neighbor *neighbor, struct error *error)
{
	struct ndmsg wanted = {
		.ndm_family = (uint8_t)neighbor->address.family,
		.ndm_state = neighbor->state ? neighbor->state : NUD_PERMANENT,
		.ndm_flags = neighbor->flags,
		.ndm_type = RTN_UNICAST,
	};
	struct netlink_message message;
	char text[INET6_ADDRSTRLEN];
	int status;

	wanted.ndm_ifindex = interface_index(fd, neighbor->device, error);
	if (wanted.ndm_ifindex < 0)
		return wanted.ndm_ifindex;
	netlink_begin(&message, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &wanted, sizeof(wanted));
	netlink_add(&message, NDA_DST, neighbor->address.bytes, interface_address_size(neighbor->address.family));
	if (neighbor->has_hardware)
		netlink_add(&message, NDA_LLADDR, neighbor->hardware, INTERFACE_HARDWARE_SIZE);
	status = netlink_send(fd, &message);
	if (status < 0)
		return error_errno(error, -status, "add the neighbour %s on %s",
				   inet_ntop(neighbor->address.family, neighbor->address.bytes, text, sizeof(text)),
				   neighbor->device);
	return 0;
}

int neighbor_add(const struct neighbor *neighbors, size_t count, struct error *error)
{
	cleanup_close int fd = netlink_open(error);
	int status = fd;

	for (size_t i = 0; i < count && status >= 0; i++)
		status = add(fd, &neighbors[i], error);
	return status < 0 ? status : 0;
}
