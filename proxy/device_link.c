/* The device's state as a message, and its descriptors beside it. */
#include "proxy/device_link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define STOP_TIME 5000 /* milliseconds: what the guest has said last is passed on meanwhile */

#define RING_FDS 3
#define FDS_MAX (GUEST_MEMORY_REGIONS + RING_FDS * VHOST_VSOCK_QUEUES)

/* The places of all descriptors, in the order in which they go. */
static size_t descriptors(struct device_order *order, int *places[FDS_MAX])
{
	struct guest_memory *memory = &order->state.memory;
	size_t count = 0;

	for (size_t i = 0; i < memory->count; i++)
		places[count++] = &memory->regions[i].fd;
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++) {
		struct virtqueue_state *ring = &order->state.rings[i];

		places[count++] = &ring->kick;
		places[count++] = &ring->call;
		places[count++] = &ring->error;
	}
	return count;
}

static int send_order(int link, struct device_order *order)
{
	int *places[FDS_MAX], fds[FDS_MAX];
	size_t all = descriptors(order, places), count = 0;

	for (size_t i = 0; i < all; i++)
		if (*places[i] >= 0)
			fds[count++] = *places[i];
	return fd_send(link, order, sizeof(*order), fds, count);
}

int device_link_run(int link, const struct vhost_vsock_state *state, bool resumed, bool with_memory)
{
	struct device_order order;

	/* No initializer: gcc 12 clears padding behind one (-ftrivial-auto-var-init), and of the second array in a structure it
	 * does so in the first, whose regions would change. */
	memset(&order, 0, sizeof(order));
	order.request = DEVICE_RUN;
	order.resumed = resumed;
	order.with_memory = with_memory;
	order.state = *state;
	if (!with_memory)
		order.state.memory.count = 0;
	return send_order(link, &order);
}

int device_link_stop(int link, struct device_answer *answer)
{
	struct device_order order = {.request = DEVICE_STOP};
	struct pollfd poll_link = {.fd = link, .events = POLLIN};
	size_t none = 0;
	ssize_t length;
	int status;

	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		order.state.rings[i].kick = order.state.rings[i].call = order.state.rings[i].error = -1;
	status = send_order(link, &order);
	if (status < 0)
		return status;
	do {
		status = poll(&poll_link, 1, STOP_TIME);
	} while (status < 0 && errno == EINTR);
	if (status <= 0)
		return status < 0 ? -errno : -ETIMEDOUT;
	length = fd_receive(link, answer, sizeof(*answer), NULL, &none);
	if (length == 0)
		return -ECONNRESET;
	if (length < 0)
		return (int)length;
	return length == (ssize_t)sizeof(*answer) ? 0 : -EPROTO;
}

int device_link_receive(int link, struct device_order *order)
{
	int *places[FDS_MAX], fds[FDS_MAX];
	size_t all, used = 0, count = FDS_MAX;
	ssize_t length = fd_receive(link, order, sizeof(*order), fds, &count);

	if (length <= 0)
		return (int)length;
	/* The other end is the keeper: what doesn't fit is a fault in here. */
	if (length != (ssize_t)sizeof(*order))
		return -EPROTO;
	all = descriptors(order, places);
	for (size_t i = 0; i < all; i++)
		if (*places[i] >= 0)
			*places[i] = used < count ? fds[used++] : -1;
	return 1;
}

int device_link_answer(int link, const struct device_answer *answer)
{
	return fd_send(link, answer, sizeof(*answer), NULL, 0);
}
