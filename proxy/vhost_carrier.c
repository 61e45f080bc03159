/* The carrier vhost-user:PATH,cid=N: the device itself, for a VMM which connects to a socket of ours. */
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/carrier.h"
#include "proxy/listener.h"
#include "proxy/vhost_user.h"

#define LOG_SUBSYSTEM "vhost-user"
#include "lib/log.h"

struct vhost_carrier {
	struct carrier carrier;
	struct listener listener;
	bool reconnect;
	struct vhost_vsock_state state;
	struct vhost_vsock device;
	struct vhost_user vhost;
};

static struct vhost_carrier *of_carrier(struct carrier *carrier)
{
	return container_of(carrier, struct vhost_carrier, carrier);
}

static void accepted(struct listener *listener, int fd)
{
	struct vhost_carrier *own = container_of(listener, struct vhost_carrier, listener);

	if (vhost_user_connected(&own->vhost)) {
		log_limited(LOG_WARNING, "a second VMM was turned away");
		fd_close(&fd);
		return;
	}
	if (vhost_user_serve(&own->vhost, fd) < 0)
		log_error("the VMM's connection can't be served");
}

/* Where it is to come back, the listener stands and clients of agent.sock wait, as before it came. */
static void vmm_left(struct vhost_user *vhost)
{
	struct vhost_carrier *own = container_of(vhost, struct vhost_carrier, vhost);

	if (!own->reconnect)
		own->carrier.ended(&own->carrier);
}

static int open_device(struct carrier *carrier, const struct carrier_options *options, int listener,
		       struct error *error)
{
	struct vhost_carrier *own = of_carrier(carrier);

	own->reconnect = options->reconnect;
	vhost_vsock_init(&own->device, carrier->loop, carrier->engine, &own->state);
	vhost_user_init(&own->vhost, carrier->loop, &own->device, options->guest_cid, vmm_left);
	return listener_open_or(&own->listener, carrier->loop, listener, options->path, accepted, error);
}

static void close_device(struct carrier *carrier)
{
	struct vhost_carrier *own = of_carrier(carrier);

	vhost_user_close(&own->vhost);
	listener_close(&own->listener);
}

const struct carrier_ops vhost_user_carrier = {
	.size = sizeof(struct vhost_carrier),
	.listens = true,
	.open = open_device,
	.close = close_device,
};
