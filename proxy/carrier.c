/* The carriers that there are. */
#include "proxy/carrier.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/cleanup.h"

static const struct carrier_ops *const types[] = {
	[CARRIER_VHOST_USER] = &vhost_user_carrier,
	[CARRIER_HYBRID] = &hybrid_carrier,
	[CARRIER_VSOCK] = &vsock_carrier,
	[CARRIER_SERIAL] = &serial_carrier,
};

struct carrier *carrier_open(const struct carrier_options *options, int listener, struct loop *loop,
			     struct vsock_engine *engine, void (*ended)(struct carrier *carrier), struct error *error)
{
	const struct carrier_ops *ops = types[options->type];
	cleanup_close int passed = listener;
	struct carrier *carrier;

	if (listener >= 0 && !ops->listens) {
		error_set(error, EINVAL, "a socket for the VMM was passed, and --carrier names what doesn't listen for it");
		return NULL;
	}
	carrier = calloc(1, ops->size);
	if (!carrier) {
		error_errno(error, ENOMEM, "--carrier");
		return NULL;
	}
	*carrier = (struct carrier){.ops = ops, .loop = loop, .engine = engine, .ended = ended};
	if (ops->open(carrier, options, take_fd(&passed), error) < 0) {
		carrier_free(carrier);
		return NULL;
	}
	return carrier;
}

void carrier_free(struct carrier *carrier)
{
	if (!carrier)
		return;
	carrier_close(carrier);
	free(carrier);
}
