/* The vsock device: moves packets between the rings and the engine. */
#include "proxy/vhost_vsock.h"

#include <endian.h>
#include <errno.h>
#include <unistd.h>

#define LOG_SUBSYSTEM "device"
#include "lib/log.h"

/* syscalls: write */

#define BATCH 64 /* chains from the guest between two writes to streams */
#define EVENT_TRANSPORT_RESET 0

static void device_work(struct loop_timer *timer);

static void schedule(struct vhost_vsock *device)
{
	if (device->work.deadline == 0)
		loop_timer_set(device->loop, &device->work, 0, device_work);
}

static void signal_guest(struct vhost_vsock_ring *ring)
{
	uint64_t one = 1;

	/* The counter can't be full: its reader takes all at once. */
	if (virtqueue_signal(&ring->queue) && ring->call >= 0 && write(ring->call, &one, sizeof(one)) < 0)
		log_debug("signal: %m");
}

/* Whatever came of it first: what was read there were zeros. */
static const struct error lost_memory = {
	.number = EFAULT, .text = "its memory is gone: the file was cut short, or has no page for it"};

/* The device ends at once; the log says so the first time only, since the guest can do it as often as it likes. */
static void breakdown(struct vhost_vsock *device, const struct error *error)
{
	uint64_t one = 1;

	if (device->broken)
		return;
	log_write(device->broken_before ? LOG_DEBUG : LOG_WARNING, LOG_SUBSYSTEM,
		  "the guest broke the device, which stops: %s",
		  device->state->memory.lost ? lost_memory.text : error->text);
	device->broken = device->broken_before = true;
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		if (device->state->rings[i].error >= 0 &&
		    write(device->state->rings[i].error, &one, sizeof(one)) < 0)
			log_debug("report: %m");
	schedule(device);
}

/* ---- From the guest ------------------------------------------------------------------------------------------ */

static int receive_packet(struct vhost_vsock *device, struct iovec *parts, const struct virtqueue_chain *chain,
			  struct error *error)
{
	struct vsock_wire_header wire;
	struct vsock_header header;
	size_t count;

	if (iovec_read(parts, chain->count, &wire, sizeof(wire)) < sizeof(wire))
		return error_set(error, EPROTO, "a packet of %zu bytes", chain->size);
	header = vsock_header_decode(&wire);
	if (header.length > chain->size - sizeof(wire))
		return error_set(error, EPROTO, "a packet with %u bytes of payload in %zu bytes", header.length,
				 chain->size);
	count = iovec_slice(parts, parts, chain->count, sizeof(wire), header.length);
	vsock_engine_receive(device->engine, &header, parts, count);
	return 0;
}

/* The chains of a batch are given back only after vsock_engine_flush(): until then their payload is in use. How many
 * there were, or -errno after the first bad one. */
static int receive_batch(struct vhost_vsock *device, struct error *error)
{
	struct virtqueue *queue = &device->tx.queue;
	uint16_t heads[BATCH], count = 0;
	int status = 1;

	while (count < BATCH) {
		struct virtqueue_chain chain;

		status = virtqueue_chain(queue, count, VIRTQUEUE_FROM_GUEST, &chain, device->parts, IOVEC_MAX, error);
		if (status > 0)
			status = receive_packet(device, device->parts, &chain, error) < 0 ? -EPROTO : 1;
		if (status <= 0)
			break;
		heads[count++] = chain.head;
	}
	vsock_engine_flush(device->engine);
	for (uint16_t i = 0; i < count; i++)
		virtqueue_use(queue, heads[i], 0);
	return status < 0 ? status : count;
}

/* At most a ring's worth of packets in one turn, so that a guest which goes on sending doesn't keep the loop. True
 * where there is more. */
static bool receive_all(struct vhost_vsock *device)
{
	struct virtqueue *queue = &device->tx.queue;
	struct error error;
	int total = 0, count;

	virtqueue_ignore(queue);
	do {
		count = receive_batch(device, &error);
		if (count < 0) {
			breakdown(device, &error);
			return false;
		}
		total += count;
	} while (count == BATCH && total < queue->size);
	return count == BATCH || virtqueue_listen(queue);
}

/* ---- To the guest -------------------------------------------------------------------------------------------- */

static struct vhost_vsock *of_carrier(struct vsock_carrier *carrier)
{
	return container_of(carrier, struct vhost_vsock, carrier);
}

static int look_at_room(struct vhost_vsock *device, size_t index, size_t first, size_t limit,
			struct virtqueue_chain *chain, struct error *error)
{
	int status = virtqueue_chain(&device->rx.queue, (uint16_t)index, VIRTQUEUE_TO_GUEST, chain,
				     device->parts + first, limit, error);

	if (status > 0 && chain->size <= VSOCK_HEADER_SIZE)
		return error_set(error, EPROTO, "room for a packet of %zu bytes", chain->size);
	return status;
}

static size_t carrier_room(struct vsock_carrier *carrier, size_t packets, struct iovec parts[IOVEC_MAX],
			   size_t *part_count, uint32_t sizes[VSOCK_READ_PACKETS])
{
	struct vhost_vsock *device = of_carrier(carrier);
	size_t used = 0, count = 0;

	*part_count = 0;
	device->room_next = 0;
	/* Chains that are longer than usual: the second finds no space. */
	while (!device->broken && count < packets && (count == 0 || used < IOVEC_MAX / 2)) {
		struct virtqueue_chain chain;
		struct error error;
		int status = look_at_room(device, count, used, IOVEC_MAX, &chain, &error);

		if (status < 0)
			breakdown(device, &error);
		if (status <= 0 || used + chain.count > IOVEC_MAX)
			break;
		sizes[count] = chain.size - VSOCK_HEADER_SIZE < UINT32_MAX
				       ? (uint32_t)(chain.size - VSOCK_HEADER_SIZE)
				       : UINT32_MAX - VSOCK_HEADER_SIZE;
		*part_count += iovec_slice(parts + *part_count, device->parts + used, chain.count, VSOCK_HEADER_SIZE,
					   sizes[count]);
		device->rooms[count++] =
			(struct vhost_vsock_room){.head = chain.head, .first = used, .count = chain.count};
		used += chain.count;
	}
	return device->broken ? 0 : count;
}

static void carrier_send(struct vsock_carrier *carrier, const struct vsock_header *header)
{
	struct vhost_vsock *device = of_carrier(carrier);
	const struct vhost_vsock_room *room = &device->rooms[device->room_next++];
	struct vsock_wire_header wire = vsock_header_encode(header);

	iovec_write(device->parts + room->first, room->count, &wire, sizeof(wire));
	virtqueue_use(&device->rx.queue, room->head, VSOCK_HEADER_SIZE + header->length);
}

static void carrier_wake(struct vsock_carrier *carrier)
{
	schedule(of_carrier(carrier));
}

static const struct vsock_carrier_ops carrier_ops = {
	.room = carrier_room,
	.send = carrier_send,
	.wake = carrier_wake,
};

/* ---- The loop ------------------------------------------------------------------------------------------------ */

static void device_work(struct loop_timer *timer)
{
	struct vhost_vsock *device = container_of(timer, struct vhost_vsock, work);

	if (!device->running)
		return;
	if (device->sending && !device->broken)
		device->sending = receive_all(device);
	if (!device->broken && vsock_engine_run(device->engine) && virtqueue_listen(&device->rx.queue))
		schedule(device);
	if (device->state->memory.lost)
		breakdown(device, &lost_memory);
	if (device->broken) {
		vhost_vsock_stop(device);
		return;
	}
	signal_guest(&device->tx);
	signal_guest(&device->rx);
	if (device->sending)
		schedule(device);
}

/* Kicks are watched edge-triggered: an eventfd reports each write so, and needs no read. */
static void tx_kicked(struct loop_source *source, uint32_t events)
{
	struct vhost_vsock *device = container_of(source, struct vhost_vsock, tx.kick);

	(void)events;
	device->sending = true;
	schedule(device);
}

static void rx_kicked(struct loop_source *source, uint32_t events)
{
	(void)events;
	schedule(container_of(source, struct vhost_vsock, rx.kick));
}

void vhost_vsock_unwatch(struct vhost_vsock *device)
{
	loop_remove(device->loop, &device->rx.kick);
	loop_remove(device->loop, &device->tx.kick);
}

void vhost_vsock_init(struct vhost_vsock *device, struct loop *loop, struct vsock_engine *engine,
		      struct vhost_vsock_state *state)
{
	*device = (struct vhost_vsock){
		.carrier.ops = &carrier_ops,
		.engine = engine,
		.loop = loop,
		.state = state,
		.rx = {.kick.fd = -1, .call = -1},
		.tx = {.kick.fd = -1, .call = -1},
	};
}

static bool ready(const struct virtqueue_state *ring)
{
	return ring->kick >= 0 && ring->addressed && ring->enabled;
}

static int start_ring(struct vhost_vsock *device, struct vhost_vsock_ring *ring, size_t index,
		      void (*kicked)(struct loop_source *, uint32_t), struct error *error)
{
	struct virtqueue_state *state = &device->state->rings[index];
	int status;

	if (device->running)
		state->base = ring->queue.position;
	status = virtqueue_start(&ring->queue, &device->state->memory, state, device->state->features, error);
	if (status < 0)
		return status;
	if (device->record)
		ring->queue.record = &device->record->positions[index];
	if (device->resumed)
		virtqueue_resume(&ring->queue);
	ring->call = state->call;
	virtqueue_ignore(&ring->queue);
	status = loop_add(device->loop, &ring->kick, state->kick, EPOLLIN | EPOLLET, kicked);
	return status < 0 ? error_errno(error, -status, "watch a ring's kicks") : 0;
}

/* The guest's driver hasn't begun anew with these rings, so it has connections which the engine doesn't know. */
static bool goes_on(const struct vhost_vsock *device)
{
	return device->state->rings[VHOST_VSOCK_RX].base != 0 || device->state->rings[VHOST_VSOCK_TX].base != 0;
}

/* Without a buffer of the driver's there is nobody to be told. */
static int tell_of_reset(struct vhost_vsock *device, struct error *error)
{
	struct virtqueue_state *state = &device->state->rings[VHOST_VSOCK_EVENT];
	struct vhost_vsock_ring ring = {.call = state->call};
	struct virtqueue_chain chain;
	const uint32_t id = htole32(EVENT_TRANSPORT_RESET);
	int status;

	if (!device->reset_due || !ready(state))
		return 0;
	device->reset_due = false;
	status = virtqueue_start(&ring.queue, &device->state->memory, state, device->state->features, error);
	if (device->record)
		ring.queue.record = &device->record->positions[VHOST_VSOCK_EVENT];
	if (status == 0)
		status = virtqueue_chain(&ring.queue, 0, VIRTQUEUE_TO_GUEST, &chain, device->parts, IOVEC_MAX, error);
	if (status <= 0)
		return status;
	if (chain.size < sizeof(id))
		return error_set(error, EPROTO, "room for an event of %zu bytes", chain.size);
	iovec_write(device->parts, chain.count, &id, sizeof(id));
	virtqueue_use(&ring.queue, chain.head, sizeof(id));
	state->base = ring.queue.position;
	signal_guest(&ring);
	return 0;
}

static int start(struct vhost_vsock *device, struct error *error)
{
	int status;

	if (!(device->state->features & VIRTIO_VERSION_1))
		return error_set(error, EPROTO, "the guest's driver doesn't know virtio 1");
	if (device->state->memory.lost) {
		*error = lost_memory;
		return -EFAULT;
	}
	vhost_vsock_unwatch(device);
	status = start_ring(device, &device->rx, VHOST_VSOCK_RX, rx_kicked, error);
	if (status == 0)
		status = start_ring(device, &device->tx, VHOST_VSOCK_TX, tx_kicked, error);
	device->resumed = false;
	return status < 0 ? status : tell_of_reset(device, error);
}

static void halt(struct vhost_vsock *device)
{
	device->running = false;
	vhost_vsock_unwatch(device);
	loop_timer_clear(device->loop, &device->work);
	device->state->rings[VHOST_VSOCK_RX].base = device->rx.queue.position;
	device->state->rings[VHOST_VSOCK_TX].base = device->tx.queue.position;
	vsock_engine_stop(device->engine);
}

void vhost_vsock_stop(struct vhost_vsock *device)
{
	if (!device->running)
		return;
	/* The guest's last words. What comes while they are taken is limited, since nothing else runs meanwhile. */
	if (!device->broken)
		receive_all(device);
	halt(device);
}

void vhost_vsock_update(struct vhost_vsock *device)
{
	bool was_running = device->running;
	struct error error;

	if (!ready(&device->state->rings[VHOST_VSOCK_RX]) || !ready(&device->state->rings[VHOST_VSOCK_TX]) ||
	    device->state->memory.count == 0) {
		vhost_vsock_stop(device);
		device->broken = false;
		return;
	}
	if (device->broken)
		return;
	if (!was_running)
		device->reset_due = !device->resumed && goes_on(device);
	/* Features and addresses of rings are the guest's choice. */
	if (start(device, &error) < 0) {
		breakdown(device, &error);
		halt(device);
		return;
	}
	device->running = true;
	/* What came before the kicks were watched. */
	device->sending = true;
	schedule(device);
	if (!was_running)
		vsock_engine_start(device->engine, &device->carrier);
}
