/* The vhost-user protocol: the connection, and its messages. What they ask for is done in vhost_user_requests.c. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "proxy/vhost_user_private.h"

#define LOG_SUBSYSTEM "vhost-user"
#include "lib/log.h"

/* keeper's syscalls: sendto */

#define FLAG_VERSION 1u
#define FLAG_VERSION_MASK 3u
#define FLAG_REPLY 4u
#define FLAG_NEED_REPLY 8u

int vhost_user_reply(struct vhost_user *vhost, uint64_t value)
{
	memcpy(vhost->message.payload, &value, sizeof(value));
	vhost->message.header.size = sizeof(value);
	return VHOST_USER_REPLY;
}

static void close_fds(struct vhost_user *vhost)
{
	while (vhost->fd_count > 0)
		fd_close(&vhost->fds[--vhost->fd_count]);
}

/* ---- Messages ------------------------------------------------------------------------------------------------ */

static int send_reply(struct vhost_user *vhost, struct error *error)
{
	struct vhost_user_message *message = &vhost->message;
	size_t length = sizeof(message->header) + message->header.size;
	ssize_t sent;

	message->header.flags = FLAG_VERSION | FLAG_REPLY;
	/* Replies are small, and the VMM waits for each: a socket that is full belongs to no VMM that reads. */
	sent = send(vhost->source.fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return error_errno(error, errno, "reply");
	return (size_t)sent == length ? 0 : error_set(error, EPROTO, "the VMM doesn't read its replies");
}

static int dispatch(struct vhost_user *vhost, const struct vhost_user_handler *handler, struct error *error)
{
	const struct vhost_user_header *header = &vhost->message.header;
	int status;

	log_debug("%s, %u bytes, %zu descriptors", handler->name, header->size, vhost->fd_count);
	if (header->size < handler->size)
		return error_set(error, EPROTO, "%s with %u bytes", handler->name, header->size);
	status = handler->handle(vhost, vhost->message.payload, error);
	if (status < 0)
		return error_wrap(error, "%s", handler->name);
	if (status != VHOST_USER_REPLY)
		return 0;
	return send_reply(vhost, error) < 0 ? error_wrap(error, "%s", handler->name) : VHOST_USER_REPLY;
}

static int handle_message(struct vhost_user *vhost, struct error *error)
{
	const struct vhost_user_handler *handler = vhost_user_handler(vhost->message.header.request);
	bool acknowledge = (vhost->message.header.flags & FLAG_NEED_REPLY) &&
			   (vhost->protocol_features & VHOST_USER_REPLY_ACK);
	int status = 0;

	if (handler)
		status = dispatch(vhost, handler, error);
	else
		log_limited(LOG_WARNING, "message %u isn't known", vhost->message.header.request);
	close_fds(vhost);
	if (status == 0)
		vhost->device->update(vhost->device);
	if (acknowledge && status <= 0) {
		vhost_user_reply(vhost, !handler || status < 0);
		if (send_reply(vhost, status < 0 ? NULL : error) < 0)
			return -EPROTO;
	}
	return status < 0 ? status : 0;
}

static size_t wanted(const struct vhost_user *vhost)
{
	size_t size = sizeof(vhost->message.header);

	if (vhost->received >= size)
		size += vhost->message.header.size;
	return size - vhost->received;
}

/* Receives no byte beyond this message: descriptors belong to the message that they come with. 1, 0 where nothing is
 * there, or -errno. */
static int receive_some(struct vhost_user *vhost, struct error *error)
{
	size_t count = array_size(vhost->fds) - vhost->fd_count;
	ssize_t length = fd_receive(vhost->source.fd, (uint8_t *)&vhost->message + vhost->received, wanted(vhost),
				    vhost->fds + vhost->fd_count, &count);

	if (length == -EAGAIN)
		return 0;
	if (length < 0)
		return error_errno(error, (int)-length, "receive");
	if (length == 0)
		return error_set(error, ECONNRESET, "the VMM has closed the connection");
	vhost->fd_count += count;
	vhost->received += (size_t)length;
	if (vhost->received == sizeof(vhost->message.header) &&
	    (vhost->message.header.size > VHOST_USER_PAYLOAD_MAX ||
	     (vhost->message.header.flags & FLAG_VERSION_MASK) != FLAG_VERSION))
		return error_set(error, EPROTO, "a message of %u bytes with flags 0x%x", vhost->message.header.size,
				 vhost->message.header.flags);
	return 1;
}

static int receive_messages(struct vhost_user *vhost, struct error *error)
{
	int status;

	while ((status = receive_some(vhost, error)) > 0) {
		if (wanted(vhost) > 0)
			continue;
		status = handle_message(vhost, error);
		vhost->received = 0;
		memset(&vhost->message, 0, sizeof(vhost->message));
		if (status < 0)
			break;
	}
	return status;
}

static void socket_ready(struct loop_source *source, uint32_t events)
{
	struct vhost_user *vhost = container_of(source, struct vhost_user, source);
	struct error error = {0};
	int status = receive_messages(vhost, &error);

	(void)events;
	if (status >= 0)
		return;
	log_limited(status == -ECONNRESET ? LOG_INFO : LOG_ERROR, "%s", error.text);
	vhost_user_close(vhost);
	vhost->ended(vhost);
}

/* ---- The connection ------------------------------------------------------------------------------------------ */

void vhost_user_init(struct vhost_user *vhost, struct loop *loop, struct vhost_user_device *device,
		     struct vhost_vsock_state *state, uint64_t guest_cid, void (*ended)(struct vhost_user *vhost))
{
	*vhost = (struct vhost_user){
		.loop = loop,
		.source.fd = -1,
		.device = device,
		.state = state,
		.guest_cid = guest_cid,
		.ended = ended,
	};
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++) {
		struct virtqueue_state *ring = &vhost->state->rings[i];

		ring->kick = ring->call = ring->error = -1;
		vhost_user_clear_ring(ring);
	}
}

int vhost_user_serve(struct vhost_user *vhost, int fd)
{
	int status = fd_set_blocking(fd, false);

	if (status == 0)
		status = loop_add(vhost->loop, &vhost->source, fd, EPOLLIN, socket_ready);
	if (status < 0)
		fd_close(&fd);
	return status;
}

void vhost_user_close(struct vhost_user *vhost)
{
	int fd = vhost->source.fd;

	vhost->device->stop(vhost->device);
	loop_remove(vhost->loop, &vhost->source);
	fd_close(&fd);
	close_fds(vhost);
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		vhost_user_clear_ring(&vhost->state->rings[i]);
	guest_memory_clear(&vhost->state->memory);
	vhost->state->features = vhost->protocol_features = 0;
	vhost->received = 0;
}
