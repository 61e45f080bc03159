/* The vhost-user protocol, as its back-end (QEMU, "Vhost-user Protocol", docs/interop/vhost-user.rst).
 *
 * One connection to the VMM. Its messages change a struct vhost_vsock_state, after each of which the device is brought
 * up to date. A message that isn't valid ends the connection.
 */
#ifndef NACRE_PROXY_VHOST_USER_H
#define NACRE_PROXY_VHOST_USER_H

#include "lib/loop.h"
#include "proxy/vhost_vsock.h"

/* Who runs the device: vhost_vsock.h in this process, or a worker (vhost_keeper.h). */
struct vhost_user_device {
	/* Starts, goes on with or stops at what the state says now (vhost_vsock_update()). */
	void (*update)(struct vhost_user_device *device);

	/* Stops; the rings' positions are in the state then (vhost_vsock_stop()). */
	void (*stop)(struct vhost_user_device *device);

	/* Descriptors of rings in the state are about to be closed; update() follows (vhost_vsock_unwatch()). */
	void (*unwatch)(struct vhost_user_device *device);
};

#define VHOST_USER_PAYLOAD_MAX 512

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
} __attribute__((packed));

struct vhost_user_message {
	struct vhost_user_header header;
	uint8_t payload[VHOST_USER_PAYLOAD_MAX];
} __attribute__((packed));

struct vhost_user {
	struct loop *loop;
	struct loop_source source; /* fd -1 while nobody is connected */
	struct vhost_user_device *device;
	struct vhost_vsock_state *state;
	uint64_t guest_cid;
	uint64_t protocol_features;
	void (*ended)(struct vhost_user *vhost); /* the VMM has closed the connection, or broken it */

	/* A message, as far as it has come. */
	struct vhost_user_message message;
	size_t received;
	int fds[GUEST_MEMORY_REGIONS];
	size_t fd_count;
};

void vhost_user_init(struct vhost_user *vhost, struct loop *loop, struct vhost_user_device *device,
		     struct vhost_vsock_state *state, uint64_t guest_cid, void (*ended)(struct vhost_user *vhost));

/* Serves a connected socket, which belongs to `vhost` from here on, also where it fails. One at a time. 0 or -errno. */
int vhost_user_serve(struct vhost_user *vhost, int fd);

static inline bool vhost_user_connected(const struct vhost_user *vhost)
{
	return vhost->source.fd >= 0;
}

/* Closes the connection, stops the device, and lets go of everything that the VMM has given. */
void vhost_user_close(struct vhost_user *vhost);

#endif
