/* The vsock device of a vhost-user back-end: the engine's carrier over two virtqueues in guest memory.
 *
 * All work on the rings is done in one place, device_work() of vhost_vsock.c, at the end of the loop's turn: so what
 * came in together is handled, and signalled to the guest, together. The third queue, for events, is kept by most VMMs; where
 * one gives it, the guest is told when the device goes on with rings that were in use before, but not with their connections
 * (virtio 1.2, section 5.10.6.7: TRANSPORT_RESET).
 *
 * The guest is hostile. A ring that isn't valid breaks the device: it stops, which closes every connection, and stays
 * so until the VMM starts the rings anew, as it does after the guest's driver has reset the device.
 */
#ifndef NACRE_PROXY_VHOST_VSOCK_H
#define NACRE_PROXY_VHOST_VSOCK_H

#include "lib/loop.h"
#include "proxy/virtqueue.h"
#include "lib/vsock_engine.h"

#define VHOST_VSOCK_QUEUES 3
#define VHOST_VSOCK_RX 0 /* to the guest */
#define VHOST_VSOCK_TX 1 /* from the guest */
#define VHOST_VSOCK_EVENT 2

#define VIRTIO_VSOCK_SEQPACKET (UINT64_C(1) << 1)

#define VHOST_VSOCK_FEATURES (VIRTIO_VERSION_1 | VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC | VIRTIO_VSOCK_SEQPACKET)

/* What the VMM has said: what a process which takes the device over has to be given. */
struct vhost_vsock_state {
	uint64_t features;
	struct guest_memory memory;
	struct virtqueue_state rings[VHOST_VSOCK_QUEUES];
};

/* The rings' positions as they are now, in memory that outlives the process. */
struct vhost_vsock_record {
	uint16_t positions[VHOST_VSOCK_QUEUES];
};

struct vhost_vsock_ring {
	struct virtqueue queue;
	struct loop_source kick;
	int call; /* state->rings[].call */
};

struct vhost_vsock {
	struct vsock_carrier carrier;
	struct vsock_engine *engine;
	struct loop *loop;
	struct vhost_vsock_state *state;
	struct vhost_vsock_record *record; /* may be set before the start */
	bool resumed; /* may be set before the start: another process has run these rings, and died */
	bool running;
	bool broken; /* until the rings are started anew */
	bool broken_before; /* and logged */
	bool sending; /* there may be packets from the guest */
	bool reset_due; /* the guest has still to be told that its connections are gone */
	struct vhost_vsock_ring rx, tx;
	struct loop_timer work;

	/* The room last looked at. */
	struct vhost_vsock_room {
		uint16_t head;
		size_t first, count; /* in `parts` */
	} rooms[VSOCK_READ_PACKETS];
	size_t room_next;
	struct iovec parts[2 * IOVEC_MAX];
};

void vhost_vsock_init(struct vhost_vsock *device, struct loop *loop, struct vsock_engine *engine,
		      struct vhost_vsock_state *state);

/* Starts or goes on with what `state` says now, whatever was there before; a running device keeps its connections. It
 * stays stopped where a ring isn't there or not enabled. */
void vhost_vsock_update(struct vhost_vsock *device);

/* Lets go of the rings' kicks: those in `state` are about to be closed, and an update follows. */
void vhost_vsock_unwatch(struct vhost_vsock *device);

/* Takes what the guest has already sent, stops, and closes every connection. The rings' positions are in
 * state->rings[].base then. */
void vhost_vsock_stop(struct vhost_vsock *device);

#endif
