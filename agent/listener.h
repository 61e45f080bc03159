/* The sockets that the agent listens on.
 *
 * In a guest all of them are bound before the first container exists and live in the supervisor's fd store, so that no
 * container ever gets one of the ports, also not while the agent is started again (security.md A33). vsock knows no
 * namespaces: each accept checks that the peer is the host (A32).
 */
#ifndef NACRE_AGENT_LISTENER_H
#define NACRE_AGENT_LISTENER_H

#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"

struct listener {
	struct loop *loop;
	int fd; /* -1 where connections come from agent/serial.h */
	struct loop_source source;
	/* Gets a connection, which it owns from here on, and the peer's port (0 on a Unix socket). */
	void (*accepted)(struct listener *listener, int fd, uint32_t peer_port);
};

/* Binds a socket and listens on it: "vsock://CID:PORT" (-1 for any CID) or "unix://PATH", mode 0600, replacing a socket
 * that is there; PATH may be @NAME, an abstract one, which has no mode. The fd, or -errno. */
int listener_bind(const char *address, struct error *error);

/* The port of "vsock://CID:PORT"; 0 where it is another address. */
uint32_t listener_vsock_port(const char *address);

/* Accepts on `fd` from here on. 0 or -errno. */
int listener_open(struct listener *listener, struct loop *loop, int fd,
		  void (*accepted)(struct listener *listener, int fd, uint32_t peer_port));

/* Accepts what is waiting right now. */
void listener_drain(struct listener *listener);

#endif
