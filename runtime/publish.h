/* `--publish [IP:]HOSTPORT:PORT[/tcp|udp]`: ports of the container on this machine. */
#ifndef NACRE_RUNTIME_PUBLISH_H
#define NACRE_RUNTIME_PUBLISH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define PUBLISH_MOST 64

struct publish {
	char address[INET_ADDRSTRLEN]; /* of this machine; "" for all */
	uint16_t host, guest;
	bool udp;
};

/* Reads one. 0, or -EINVAL: no such form, a port that isn't 1 to 65535, an address that isn't IPv4's. */
int publish_parse(struct publish *publish, const char *text, struct error *error);

#endif
