/* What the files of the interface code share. */
#ifndef NACRE_AGENT_NET_INTERFACE_PARTS_H
#define NACRE_AGENT_NET_INTERFACE_PARTS_H

#include "agent/net/interface.h"

/* interface_list.c: interface_list() over an open netlink socket. */
int interface_dump(int fd, int (*each)(const struct interface_link *link, void *data), void *data, struct error *error);

#endif
