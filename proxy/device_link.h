/* What keeper and worker say to each other of the vhost-user device: one SEQPACKET socket, on which the keeper tells the
 * device's state, and asks for its end.
 */
#ifndef NACRE_PROXY_DEVICE_LINK_H
#define NACRE_PROXY_DEVICE_LINK_H

#include "lib/error.h"
#include "proxy/vhost_vsock.h"

enum device_request {
	DEVICE_RUN = 1, /* with this state, as vhost_vsock_update() */
	DEVICE_STOP,	/* as vhost_vsock_stop(); answered by the positions */
};

struct device_answer {
	uint16_t bases[VHOST_VSOCK_QUEUES];
};

struct device_order {
	enum device_request request;
	bool resumed;	  /* another worker has run these rings, and died */
	bool with_memory; /* the memory table has changed */
	struct vhost_vsock_state state;
};

/* The keeper's: tells the state, whose descriptors stay its own. 0 or -errno (EAGAIN: the worker doesn't read). */
int device_link_run(int link, const struct vhost_vsock_state *state, bool resumed, bool with_memory);

/* The keeper's: stops the device, and waits some seconds for the answer. 0 or -errno (ETIMEDOUT; ECONNRESET: the worker is
 * gone). */
int device_link_stop(int link, struct device_answer *answer);

/* The worker's: the next order. The descriptors in its state are the caller's; without memory that has count 0. 1, 0 at the
 * end of the link, or -errno. */
int device_link_receive(int link, struct device_order *order);

/* The worker's: the answer to DEVICE_STOP. 0 or -errno. */
int device_link_answer(int link, const struct device_answer *answer);

#endif
