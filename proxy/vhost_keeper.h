/* The keeper's part of the carrier vhost-user: the VMM's connection, whose messages make the device's state, and the link to
 * the worker, which runs the device. A new worker is told all of it, and the VMM doesn't notice.
 */
#ifndef NACRE_PROXY_VHOST_KEEPER_H
#define NACRE_PROXY_VHOST_KEEPER_H

#include "proxy/listener.h"
#include "proxy/vhost_user.h"

struct vhost_keeper {
	struct listener listener;
	struct vhost_user_device device; /* what the messages change: over the link */
	struct vhost_user vhost;
	struct vhost_vsock_state state;
	struct vhost_vsock_record *record;
	int link; /* to the worker, which closes with it; -1 while there is none */
	bool running;		 /* the device, as far as the VMM knows */
	unsigned int memory_told; /* state.memory.changes, as the worker knows it */
	void (*vmm_left)(struct vhost_keeper *keeper);
	void (*lost)(struct vhost_keeper *keeper); /* the worker doesn't answer: it has to be ended */
};

/* Listens for the VMM: at `path`, or with the socket `listener` where that isn't -1. 0 or -errno with `error` filled;
 * vhost_keeper_close() is due in both cases. */
int vhost_keeper_open(struct vhost_keeper *keeper, struct loop *loop, const char *path, int listener, uint64_t guest_cid,
		      struct vhost_vsock_record *record, struct error *error);

/* A worker is there, at the other end of `link`, which is taken. */
void vhost_keeper_join(struct vhost_keeper *keeper, int link);

/* It is gone. Harmless where there is none. */
void vhost_keeper_part(struct vhost_keeper *keeper);

/* Stops the device, so that what the guest has sent is passed on, and closes all but the link. Harmless the second time, and
 * on zeros. */
void vhost_keeper_close(struct vhost_keeper *keeper);

#endif
