/* The ports of the host at which the guest finds somebody, for carriers that have to listen for each (struct carrier_ops,
 * serve_port): those which a vsock.sock_PORT in the run directory names, whenever that is made, and those of --forward.
 */
#ifndef NACRE_PROXY_GUEST_PORTS_H
#define NACRE_PROXY_GUEST_PORTS_H

#include "proxy/carrier.h"
#include "proxy/forward.h"

#define GUEST_PORTS_PREFIX "vsock.sock_"

struct guest_ports {
	struct carrier *carrier;
	const struct forward_rules *forwards;
	const char *directory;
	struct loop_source source; /* inotify(7) */
};

/* Looks now, and from now on. Nothing where the carrier needs none of this. `directory` and `forwards` are kept. 0 or -errno
 * with `error` filled, also where a port of --forward can't be served; what is zeros, or failed to open, is harmless to
 * close. */
int guest_ports_open(struct guest_ports *ports, struct carrier *carrier, const char *directory,
		     const struct forward_rules *forwards, struct error *error);
void guest_ports_close(struct guest_ports *ports);

#endif
