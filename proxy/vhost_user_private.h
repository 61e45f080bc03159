/* What the two files of the vhost-user protocol share: vhost_user.c (messages) and vhost_user_requests.c. */
#ifndef NACRE_PROXY_VHOST_USER_PRIVATE_H
#define NACRE_PROXY_VHOST_USER_PRIVATE_H

#include "proxy/vhost_user.h"

#define VHOST_USER_REPLY_ACK (UINT64_C(1) << 3) /* protocol feature: the front-end may ask for an acknowledgement */

/* What a handler returns besides 0 and an errno: the message has become its own reply. */
#define VHOST_USER_REPLY 1

struct vhost_user_handler {
	const char *name;
	uint32_t size; /* of the payload, at least; what didn't come reads as zeros */
	int (*handle)(struct vhost_user *vhost, void *payload, struct error *error);
};

/* NULL for a request which isn't known. */
const struct vhost_user_handler *vhost_user_handler(uint32_t request);

/* Makes the message a reply of one number. */
int vhost_user_reply(struct vhost_user *vhost, uint64_t value);

/* Closes a ring's descriptors, and forgets what was said about it. */
void vhost_user_clear_ring(struct virtqueue_state *ring);

#endif
