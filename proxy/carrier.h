/* What brings the engine's packets to the guest, as --carrier names it. All the proxy knows of a carrier is here; a new one
 * is a line in the table of carrier.c.
 */
#ifndef NACRE_PROXY_CARRIER_H
#define NACRE_PROXY_CARRIER_H

#include "lib/error.h"
#include "lib/loop.h"
#include "lib/vsock_engine.h"

enum carrier_type {
	CARRIER_NONE,
	CARRIER_VHOST_USER, /* the vsock device of a VMM that connects to `path` */
	CARRIER_HYBRID,	    /* a device of somebody else's, behind the Unix socket `path`, and `path`_PORT */
	CARRIER_VSOCK,	    /* the host's AF_VSOCK */
	CARRIER_SERIAL,	    /* a virtio-serial port, whose other end is the VMM's socket `path` */
};

struct carrier_options {
	enum carrier_type type;
	char *path;
	uint64_t guest_cid; /* where the carrier doesn't name one: CARRIER_ANY_CID */
	bool half_close;    /* of CARRIER_HYBRID: it can end one direction of a connection */
	bool reconnect;	    /* of CARRIER_VHOST_USER: the VMM comes back where it has ended its connection */
};

/* Where it works: what the keeper has for the carrier that needs it (CARRIER_VHOST_USER). */
struct vhost_vsock_record;
struct carrier_place {
	int link; /* over which it is told of the device (device_link.h) */
	struct vhost_vsock_record *record;
	struct vsock_ledger *ledger;
};

#define CARRIER_ANY_CID 3 /* packets that never leave the process need some */

struct carrier {
	const struct carrier_ops *ops;
	struct loop *loop;
	struct vsock_engine *engine;
	void (*ended)(struct carrier *carrier); /* the VM is gone, as far as the carrier can tell */
};

struct carrier_ops {
	size_t size; /* of the structure that begins with the struct carrier */

	/* Begins to serve, perhaps before there is a VMM. `options` are kept. 0, or -errno with `error` filled, close() being
	 * due as well. */
	int (*open)(struct carrier *carrier, const struct carrier_options *options, const struct carrier_place *place,
		    struct error *error);

	/* Hands over what the guest has already sent, stops the engine, and removes what it has made. Harmless the second
	 * time. */
	void (*close)(struct carrier *carrier);

	/* Whether the guest is to find somebody at a port of the host. NULL where packets for any port come anyway. 0 or
	 * -errno with `error` filled (ENOSPC: too many). */
	int (*serve_port)(struct carrier *carrier, uint32_t host_port, bool served, struct error *error);
};

/* Opens a carrier of that type, which keeps `options`. NULL with `error` filled where that fails. */
struct carrier *carrier_open(const struct carrier_options *options, const struct carrier_place *place, struct loop *loop,
			     struct vsock_engine *engine, void (*ended)(struct carrier *carrier), struct error *error);

/* Nothing more comes or goes. It stays as it is until it is freed, so that ended() may do this. */
static inline void carrier_close(struct carrier *carrier)
{
	carrier->ops->close(carrier);
}

/* Closes and frees it; NULL is harmless. */
void carrier_free(struct carrier *carrier);

extern const struct carrier_ops vhost_user_carrier, hybrid_carrier, vsock_carrier, serial_carrier;

#endif
