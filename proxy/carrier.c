/* The carriers that there are. */
#include "proxy/carrier.h"

#include <errno.h>
#include <stdlib.h>

static const struct carrier_ops *const types[] = {
	[CARRIER_VHOST_USER] = &vhost_user_carrier,
	[CARRIER_HYBRID] = &hybrid_carrier,
	[CARRIER_VSOCK] = &vsock_carrier,
	[CARRIER_SERIAL] = &serial_carrier,
};

struct carrier *carrier_open(const struct carrier_options *options, const struct carrier_place *place, struct loop *loop,
			     struct vsock_engine *engine, void (*ended)(struct carrier *carrier), struct error *error)
{
	const struct carrier_ops *ops = types[options->type];
	struct carrier *carrier = calloc(1, ops->size);

	if (!carrier) {
		error_errno(error, ENOMEM, "--carrier");
		return NULL;
	}
	*carrier = (struct carrier){.ops = ops, .loop = loop, .engine = engine, .ended = ended};
	if (ops->open(carrier, options, place, error) < 0) {
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
