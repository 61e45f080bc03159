/* A split virtqueue (virtio 1.2, section 2.7), seen from the device.
 *
 * Everything in the ring was written by the guest, and may change while it is read: each field is fetched once, and
 * checked before it is used. Descriptor chains are used in the order in which they were made available, so that one
 * number, the position, says everything about a queue's progress.
 */
#ifndef NACRE_PROXY_VIRTQUEUE_H
#define NACRE_PROXY_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/error.h"
#include "proxy/guest_memory.h"

#define VIRTQUEUE_SIZE_MAX 1024 /* so that a chain fits into one readv(2) or writev(2) */

#define VIRTIO_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_EVENT_IDX (UINT64_C(1) << 29)
#define VIRTIO_VERSION_1 (UINT64_C(1) << 32)

/* What the VMM says about a ring: this, with the memory table, is all that it takes to go on with it. */
struct virtqueue_state {
	uint32_t size; /* descriptors */
	uint64_t descriptors, available, used; /* addresses of the VMM's */
	uint16_t base; /* position at which to start */
	int kick, call, error; /* eventfds; -1 where there is none */
	bool addressed, enabled;
};

struct virtqueue {
	const struct guest_memory *memory;
	struct virtqueue_descriptor *descriptors;
	struct virtqueue_available *available;
	struct virtqueue_used *used;
	uint16_t size;
	bool event_index, indirect;
	uint16_t position; /* of the next chain, in the available and in the used ring */
	uint16_t seen; /* the guest's index when it was last read */
	uint16_t signalled; /* position at the last virtqueue_signal() */
	bool fresh; /* nothing has been signalled yet */
	uint16_t *record; /* where else the position is kept, for a process that goes on with the queue; NULL for nowhere */
};

enum virtqueue_direction { VIRTQUEUE_FROM_GUEST, VIRTQUEUE_TO_GUEST };

struct virtqueue_chain {
	uint16_t head;
	size_t count; /* parts */
	size_t size; /* bytes */
};

/* Finds the three rings in memory. 0, or -EINVAL with `error` filled. */
int virtqueue_start(struct virtqueue *queue, const struct guest_memory *memory, const struct virtqueue_state *state,
		    uint64_t features, struct error *error);

/* Looks at the chain `ahead` places behind the next one, whose buffers must all be of the given direction, and fills
 * at most `room` parts. 1; 0 where the guest hasn't made it available yet; or -errno with `error` filled, for a
 * ring that isn't valid: nothing more can be done with it then. */
int virtqueue_chain(struct virtqueue *queue, uint16_t ahead, enum virtqueue_direction direction,
		    struct virtqueue_chain *chain, struct iovec *parts, size_t room, struct error *error);

/* Gives the next chain, whose head the caller has from virtqueue_chain(), back with `written` bytes in it. */
void virtqueue_use(struct virtqueue *queue, uint16_t head, uint32_t written);

/* Announces what the process before, which has died, may have used without saying so. */
void virtqueue_resume(struct virtqueue *queue);

/* True where the guest wants to be told of the chains used since this was last called. */
bool virtqueue_signal(struct virtqueue *queue);

/* Asks the guest for a kick with the next chain. True where there is one already, for which no kick need come. */
bool virtqueue_listen(struct virtqueue *queue);

/* Tells the guest that kicks are of no use now; some may come. */
void virtqueue_ignore(struct virtqueue *queue);

#endif
