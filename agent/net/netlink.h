/* Requests to the kernel's network configuration: rtnetlink(7). */
#ifndef NACRE_AGENT_NET_NETLINK_H
#define NACRE_AGENT_NET_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define NETLINK_MESSAGE_SIZE 1024

/* One that is being put together. What doesn't fit is noticed when it is sent. */
struct netlink_message {
	union {
		struct nlmsghdr header;
		uint8_t bytes[NETLINK_MESSAGE_SIZE];
	};
	bool overflow;
};

/* A socket for them. The fd, or -errno. */
int netlink_open(struct error *error);

/* Begins a request: NLM_F_REQUEST is added to the flags; `body` is the family's header (struct ifinfomsg, ...). */
void netlink_begin(struct netlink_message *message, uint16_t type, uint16_t flags, const void *body, size_t size);
void netlink_add(struct netlink_message *message, uint16_t attribute, const void *data, size_t size);

/* Sends it and waits for the kernel's answer: 0, or the -errno that it says. */
int netlink_send(int fd, struct netlink_message *message);

/* Sends a dump request; `each` gets every message of the answer, until it returns something other than 0, which is the
 * result then. 0 or -errno. */
int netlink_dump(int fd, struct netlink_message *message, int (*each)(const struct nlmsghdr *header, void *data),
		 void *data);

/* The attributes behind a message's header of `size` bytes: NULL for those that it hasn't, in `table` by number, of
 * which there are `count`. */
void netlink_attributes(const struct nlmsghdr *header, size_t size, const struct rtattr **table, size_t count);

#endif
