/* The requests of vhost-user: what each does to the device's state. Receiving and answering is vhost_user.c's. */
#include <errno.h>
#include <string.h>

#include "lib/fd.h"
#include "proxy/vhost_user_private.h"

#define FEATURE_PROTOCOL (UINT64_C(1) << 30)
#define PROTOCOL_MQ (UINT64_C(1) << 0)
#define PROTOCOL_CONFIG (UINT64_C(1) << 9)
#define PROTOCOL_RESET_DEVICE (UINT64_C(1) << 13)

#define FEATURES (VHOST_VSOCK_FEATURES | FEATURE_PROTOCOL)
#define PROTOCOL_FEATURES (PROTOCOL_MQ | VHOST_USER_REPLY_ACK | PROTOCOL_CONFIG | PROTOCOL_RESET_DEVICE)

#define RING_MASK 0xffu
#define RING_NO_FD 0x100u

enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	RESET_DEVICE = 34,
	REQUESTS,
};

struct ring_state {
	uint32_t index;
	uint32_t number;
};

struct ring_addresses {
	uint32_t index;
	uint32_t flags;
	uint64_t descriptors, used, available, log;
};

struct memory_region {
	uint64_t guest_address, size, user_address, offset;
};

struct memory_table {
	uint32_t count;
	uint32_t padding;
	struct memory_region regions[GUEST_MEMORY_REGIONS];
};

struct config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[VHOST_USER_PAYLOAD_MAX - 12];
};

void vhost_user_clear_ring(struct virtqueue_state *ring)
{
	fd_close(&ring->kick);
	fd_close(&ring->call);
	fd_close(&ring->error);
	/* Enabled until the VMM says otherwise, and not, as the protocol has it, only when it says so: there are QEMUs
	 * which never do for a vsock device. */
	*ring = (struct virtqueue_state){.kick = -1, .call = -1, .error = -1, .enabled = true};
}

static struct virtqueue_state *ring_at(struct vhost_user *vhost, uint64_t index, struct error *error)
{
	if (index < VHOST_VSOCK_QUEUES)
		return &vhost->state->rings[index];
	error_set(error, EPROTO, "ring %llu of %d", (unsigned long long)index, VHOST_VSOCK_QUEUES);
	return NULL;
}

static int get_features(struct vhost_user *vhost, void *payload, struct error *error)
{
	(void)payload, (void)error;
	return vhost_user_reply(vhost, FEATURES);
}

static int set_features(struct vhost_user *vhost, void *payload, struct error *error)
{
	uint64_t features;

	memcpy(&features, payload, sizeof(features));
	if (features & ~FEATURES)
		return error_set(error, EPROTO, "features 0x%llx, which weren't offered",
				 (unsigned long long)(features & ~FEATURES));
	vhost->state->features = features;
	return 0;
}

static int get_protocol_features(struct vhost_user *vhost, void *payload, struct error *error)
{
	(void)payload, (void)error;
	return vhost_user_reply(vhost, PROTOCOL_FEATURES);
}

static int set_protocol_features(struct vhost_user *vhost, void *payload, struct error *error)
{
	uint64_t features;

	memcpy(&features, payload, sizeof(features));
	if (features & ~PROTOCOL_FEATURES)
		return error_set(error, EPROTO, "protocol features 0x%llx, which weren't offered",
				 (unsigned long long)(features & ~PROTOCOL_FEATURES));
	vhost->protocol_features = features;
	return 0;
}

static int set_owner(struct vhost_user *vhost, void *payload, struct error *error)
{
	(void)vhost, (void)payload, (void)error;
	return 0;
}

static int reset_device(struct vhost_user *vhost, void *payload, struct error *error)
{
	(void)payload, (void)error;
	vhost->device->stop(vhost->device);
	for (size_t i = 0; i < VHOST_VSOCK_QUEUES; i++)
		vhost_user_clear_ring(&vhost->state->rings[i]);
	return 0;
}

static int get_queue_num(struct vhost_user *vhost, void *payload, struct error *error)
{
	(void)payload, (void)error;
	return vhost_user_reply(vhost, VHOST_VSOCK_QUEUES);
}

static int set_mem_table(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct guest_region regions[GUEST_MEMORY_REGIONS];
	struct memory_table table = {0};
	size_t count = vhost->fd_count, size = vhost->message.header.size;

	memcpy(&table, payload, size < sizeof(table) ? size : sizeof(table));
	if (table.count != count || size < 8 + count * sizeof(table.regions[0]))
		return error_set(error, EPROTO, "%u regions with %zu descriptors in %zu bytes", table.count, count,
				 size);
	for (size_t i = 0; i < count; i++)
		regions[i] = (struct guest_region){
			.guest_address = table.regions[i].guest_address,
			.size = table.regions[i].size,
			.user_address = table.regions[i].user_address,
			.offset = table.regions[i].offset,
			.fd = vhost->fds[i],
		};
	vhost->fd_count = 0; /* the memory's, from here on */
	return guest_memory_set(&vhost->state->memory, regions, count, error);
}

static int set_ring_size(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct ring_state *value = payload;
	struct virtqueue_state *ring = ring_at(vhost, value->index, error);

	if (!ring)
		return -EPROTO;
	ring->size = value->number;
	return 0;
}

static int set_ring_addresses(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct ring_addresses value;
	struct virtqueue_state *ring;

	memcpy(&value, payload, sizeof(value));
	ring = ring_at(vhost, value.index, error);
	if (!ring)
		return -EPROTO;
	ring->descriptors = value.descriptors;
	ring->available = value.available;
	ring->used = value.used;
	ring->addressed = true;
	return 0;
}

static int set_ring_base(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct ring_state *value = payload;
	struct virtqueue_state *ring = ring_at(vhost, value->index, error);

	if (!ring)
		return -EPROTO;
	ring->base = (uint16_t)value->number;
	return 0;
}

/* Stops the ring, and with it the device: it needs both of its own. */
static int get_ring_base(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct ring_state *value = payload;
	struct virtqueue_state *ring = ring_at(vhost, value->index, error);

	if (!ring)
		return -EPROTO;
	vhost->device->stop(vhost->device);
	fd_close(&ring->kick);
	value->number = ring->base;
	return VHOST_USER_REPLY;
}

static int take_ring_fd(struct vhost_user *vhost, void *payload, int *(*slot)(struct virtqueue_state *ring),
			struct error *error)
{
	uint64_t value;
	struct virtqueue_state *ring;
	size_t expected;
	int status;

	memcpy(&value, payload, sizeof(value));
	ring = ring_at(vhost, value & RING_MASK, error);
	if (!ring)
		return -EPROTO;
	expected = value & RING_NO_FD ? 0 : 1;
	if (vhost->fd_count != expected)
		return error_set(error, EPROTO, "%zu descriptors instead of %zu", vhost->fd_count, expected);
	/* A device that runs goes on with the new one: the old one is closed only after it has been taken out. */
	vhost->device->unwatch(vhost->device);
	fd_close(slot(ring));
	if (expected == 0)
		return 0;
	vhost->fd_count = 0;
	*slot(ring) = vhost->fds[0];
	/* So that no VMM can make this process wait. */
	status = fd_set_blocking(vhost->fds[0], false);
	return status < 0 ? error_errno(error, -status, "set O_NONBLOCK") : 0;
}

static int *kick_slot(struct virtqueue_state *ring)
{
	return &ring->kick;
}

static int *call_slot(struct virtqueue_state *ring)
{
	return &ring->call;
}

static int *error_slot(struct virtqueue_state *ring)
{
	return &ring->error;
}

static int set_ring_kick(struct vhost_user *vhost, void *payload, struct error *error)
{
	return take_ring_fd(vhost, payload, kick_slot, error);
}

static int set_ring_call(struct vhost_user *vhost, void *payload, struct error *error)
{
	return take_ring_fd(vhost, payload, call_slot, error);
}

static int set_ring_error(struct vhost_user *vhost, void *payload, struct error *error)
{
	return take_ring_fd(vhost, payload, error_slot, error);
}

static int set_ring_enable(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct ring_state *value = payload;
	struct virtqueue_state *ring = ring_at(vhost, value->index, error);

	if (!ring)
		return -EPROTO;
	ring->enabled = value->number != 0;
	return 0;
}

/* The device's configuration space is the guest's CID, 8 bytes. A size of 0 in the reply says that it can't be read. */
static int get_config(struct vhost_user *vhost, void *payload, struct error *error)
{
	struct config *config = payload;
	uint64_t cid = htole64(vhost->guest_cid);

	(void)error;
	if (config->offset > sizeof(cid) || config->size > sizeof(cid) - config->offset ||
	    vhost->message.header.size < 12 + config->size) {
		config->size = 0;
		vhost->message.header.size = 12;
		return VHOST_USER_REPLY;
	}
	memcpy(config->data, (uint8_t *)&cid + config->offset, config->size);
	vhost->message.header.size = 12 + config->size;
	return VHOST_USER_REPLY;
}

static const struct vhost_user_handler handlers[REQUESTS] = {
	[GET_FEATURES] = {"GET_FEATURES", 0, get_features},
	[SET_FEATURES] = {"SET_FEATURES", 8, set_features},
	[SET_OWNER] = {"SET_OWNER", 0, set_owner},
	[RESET_OWNER] = {"RESET_OWNER", 0, reset_device},
	[SET_MEM_TABLE] = {"SET_MEM_TABLE", 8, set_mem_table},
	[SET_VRING_NUM] = {"SET_VRING_NUM", 8, set_ring_size},
	[SET_VRING_ADDR] = {"SET_VRING_ADDR", 40, set_ring_addresses},
	[SET_VRING_BASE] = {"SET_VRING_BASE", 8, set_ring_base},
	[GET_VRING_BASE] = {"GET_VRING_BASE", 8, get_ring_base},
	[SET_VRING_KICK] = {"SET_VRING_KICK", 8, set_ring_kick},
	[SET_VRING_CALL] = {"SET_VRING_CALL", 8, set_ring_call},
	[SET_VRING_ERR] = {"SET_VRING_ERR", 8, set_ring_error},
	[GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", 0, get_protocol_features},
	[SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", 8, set_protocol_features},
	[GET_QUEUE_NUM] = {"GET_QUEUE_NUM", 0, get_queue_num},
	[SET_VRING_ENABLE] = {"SET_VRING_ENABLE", 8, set_ring_enable},
	[GET_CONFIG] = {"GET_CONFIG", 12, get_config},
	[RESET_DEVICE] = {"RESET_DEVICE", 0, reset_device},
};

const struct vhost_user_handler *vhost_user_handler(uint32_t request)
{
	const struct vhost_user_handler *handler = request < REQUESTS ? &handlers[request] : NULL;

	return handler && handler->handle ? handler : NULL;
}
