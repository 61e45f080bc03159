/* The carrier vhost-user:PATH,cid=N: the device itself. The VMM talks to the keeper (vhost_keeper.h), which says here what the
 * device is to do.
 */
#include <errno.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/carrier.h"
#include "proxy/device_link.h"

#define LOG_SUBSYSTEM "vhost-user"
#include "lib/log.h"

struct vhost_carrier {
	struct carrier carrier;
	struct loop_source link;
	struct vhost_vsock_state state;
	struct vhost_vsock device;
};

static void close_ring(struct virtqueue_state *ring)
{
	fd_close(&ring->kick);
	fd_close(&ring->call);
	fd_close(&ring->error);
}

static void take_memory(struct vhost_carrier *own, const struct guest_memory *memory)
{
	struct error error;

	if (guest_memory_set(&own->state.memory, memory->regions, memory->count, &error) == 0)
		return;
	log_error("%s", error.text);
	guest_memory_clear(&own->state.memory);
}

static void run(struct vhost_carrier *own, const struct device_order *order)
{
	vhost_vsock_unwatch(&own->device);
	if (order->with_memory)
		take_memory(own, &order->state.memory);
	own->state.features = order->state.features;
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++) {
		uint16_t base = own->device.running ? own->state.rings[i].base : order->state.rings[i].base;

		close_ring(&own->state.rings[i]);
		own->state.rings[i] = order->state.rings[i];
		own->state.rings[i].base = base; /* of a running device's, only this process knows it */
	}
	own->device.resumed = order->resumed;
	vhost_vsock_update(&own->device);
}

static void stop(struct vhost_carrier *own)
{
	struct device_answer answer;

	vhost_vsock_stop(&own->device);
	/* What the VMM starts next is another device, whatever became of this one. */
	own->device.broken = false;
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++) {
		answer.bases[i] = own->state.rings[i].base;
		close_ring(&own->state.rings[i]);
	}
	if (device_link_answer(own->link.fd, &answer) < 0)
		log_debug("the keeper doesn't hear that the device has stopped");
}

static void ordered(struct loop_source *source, uint32_t events)
{
	struct vhost_carrier *own = container_of(source, struct vhost_carrier, link);
	struct device_order order;
	int status = device_link_receive(source->fd, &order);

	(void)events;
	if (status > 0 && order.request == DEVICE_RUN)
		run(own, &order);
	else if (status > 0)
		stop(own);
	else if (status != -EAGAIN)
		loop_remove(own->carrier.loop, source); /* the end of the keeper, of which others are told */
}

static int open_device(struct carrier *carrier, const struct carrier_options *options, const struct carrier_place *place,
		       struct error *error)
{
	struct vhost_carrier *own = container_of(carrier, struct vhost_carrier, carrier);
	int status;

	(void)options;
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		own->state.rings[i].kick = own->state.rings[i].call = own->state.rings[i].error = -1;
	vhost_vsock_init(&own->device, carrier->loop, carrier->engine, &own->state);
	own->device.record = place->record;
	vsock_engine_keep(carrier->engine, place->ledger);
	status = loop_add(carrier->loop, &own->link, place->link, EPOLLIN, ordered);
	if (status < 0)
		return error_errno(error, -status, "watch the keeper");
	/* Before there are clients, who would be refused while there is no guest. */
	ordered(&own->link, EPOLLIN);
	return 0;
}

static void close_device(struct carrier *carrier)
{
	struct vhost_carrier *own = container_of(carrier, struct vhost_carrier, carrier);
	int fd = own->link.fd;

	vhost_vsock_stop(&own->device);
	loop_remove(carrier->loop, &own->link);
	fd_close(&fd);
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		close_ring(&own->state.rings[i]);
	guest_memory_clear(&own->state.memory);
}

const struct carrier_ops vhost_user_carrier = {
	.size = sizeof(struct vhost_carrier),
	.open = open_device,
	.close = close_device,
};
