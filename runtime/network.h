/* The guest's network: QEMU's own stack in user space, with addresses that are always the same. */
#ifndef NACRE_RUNTIME_NETWORK_H
#define NACRE_RUNTIME_NETWORK_H

#include "runtime/publish.h"

enum network {
	NETWORK_NONE,	   /* no network device */
	NETWORK_PUBLISHED, /* published ports are reached from outside, and nothing else from inside */
	NETWORK_USER,	   /* and what this machine reaches, from inside */
};

/* What QEMU gives away (its option -netdev user). */
#define NETWORK_MAC "52:54:00:12:34:56"
#define NETWORK_GUEST "10.0.2.15"
#define NETWORK_PREFIX "24"
#define NETWORK_GATEWAY "10.0.2.2"
#define NETWORK_NAME_SERVER "10.0.2.3"
#define NETWORK_DEVICE "eth0"

#endif
