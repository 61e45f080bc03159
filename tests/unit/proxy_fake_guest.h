/* A VMM and a guest for tests of the proxy: the vhost-user front-end's messages, guest memory in two memfds, and a
 * driver for the two rings. All in the test's own process and thread: whoever waits for something steps the proxy's loop.
 */
#ifndef NACRE_TESTS_PROXY_FAKE_GUEST_H
#define NACRE_TESTS_PROXY_FAKE_GUEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/fd.h"
#include "lib/poison.h"
#include "proxy/stream.h"
#include "proxy/vhost_user.h"

#define GUEST_CID 7
#define GUEST_BUFFER (256u << 10)
#define REGION_SIZE (2u << 20)
#define GUEST_BASE UINT64_C(0x40000000)
#define USER_BASE UINT64_C(0x7f1200000000)
#define RING_SIZE 64u
#define SLOT_SIZE 8192u /* a packet: 44 bytes and what follows */
#define STEPS 20000
#define FENCE 4096u /* of each file, before the region: the proxy maps it, and has no business there */
#define FENCE_BYTE 0xa5
#define EVENT_BUFFERS 8u

struct test_descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct test_ring {
	struct test_descriptor *descriptors;
	uint16_t *available; /* flags, index, ring, used_event */
	uint16_t *used; /* flags, index, ring of {u32, u32}, avail_event */
	uint64_t slots; /* guest address of the buffers */
	uint16_t position, seen;
	int kick, call;
	unsigned int kicks;
};

struct test_packet {
	struct vsock_header header;
	uint8_t data[SLOT_SIZE];
};

/* How the driver lays out a packet. */
enum test_layout { LAYOUT_SPLIT, LAYOUT_SINGLE, LAYOUT_INDIRECT, LAYOUT_PIECES };

struct fake_guest;

/* Whoever is to see each turn of the proxy: before it begins, and when it is over. */
struct turn_observer {
	void (*turn)(struct turn_observer *observer, struct fake_guest *guest, bool over);
};

struct fake_guest {
	struct turn_observer *observer; /* or NULL */
	bool remote; /* the proxy is another process, and what follows of it isn't used */

	/* The proxy. */
	struct loop loop;
	struct vsock_engine engine;
	struct vhost_vsock_state state;
	struct vhost_vsock device;
	struct vhost_user_device direct; /* to `device`, in this process */
	struct vhost_user vhost;
	struct streams streams;
	struct loop_timer tick;
	bool ended;
	unsigned int starts, agents; /* how often the driver came up, and how often the agent accepted */
	int accept_fd; /* for the next connection of the guest's; -1 to refuse */

	/* The VMM. */
	int socket;
	int files[2];
	uint64_t features;
	struct {
		void *below, *above; /* of the proxy's mappings; NULL without guest_fence() */
	} fences[2];

	/* The guest. */
	uint8_t *memory; /* both regions, next to each other */
	enum test_layout layout;
	struct test_ring rx, tx, event; /* that one only by guest_give_events() */
	uint32_t forwarded; /* fwd_cnt and buf_alloc in what it sends */
	uint32_t buffer;
};

static inline void nothing(struct loop_timer *timer)
{
	(void)timer;
}

/* The proxy gets one turn, for what is there, or what comes within the time. */
static inline void step_within(struct fake_guest *guest, uint64_t time)
{
	loop_timer_set(&guest->loop, &guest->tick, time, nothing);
	if (guest->observer)
		guest->observer->turn(guest->observer, guest, false);
	assert_int_equal(loop_step(&guest->loop), 0);
	if (guest->observer)
		guest->observer->turn(guest->observer, guest, true);
}

static inline void step(struct fake_guest *guest)
{
	step_within(guest, 0);
}

static inline void step_waiting(struct fake_guest *guest)
{
	step_within(guest, LOOP_MILLISECOND);
}

static inline void steps(struct fake_guest *guest, unsigned int count)
{
	while (count-- > 0)
		step(guest);
}

/* ---- The VMM ------------------------------------------------------------------------------------------------- */

static inline void vmm_send_flags(struct fake_guest *guest, uint32_t request, uint32_t flags, const void *payload,
				  uint32_t size, const int *fds, size_t count)
{
	struct vhost_user_message message = {.header = {.request = request, .flags = 1 | flags, .size = size}};

	memcpy(message.payload, payload, size);
	assert_int_equal(fd_send(guest->socket, &message, sizeof(message.header) + size, fds, count), 0);
	steps(guest, 2);
}

static inline void vmm_send(struct fake_guest *guest, uint32_t request, const void *payload, uint32_t size)
{
	vmm_send_flags(guest, request, 0, payload, size, NULL, 0);
}

static inline struct vhost_user_message vmm_reply(struct fake_guest *guest)
{
	struct vhost_user_message message = {0};
	ssize_t length = recv(guest->socket, &message, sizeof(message), guest->remote ? 0 : MSG_DONTWAIT);

	assert_true(length >= (ssize_t)sizeof(message.header));
	assert_int_equal(length, sizeof(message.header) + message.header.size);
	assert_int_equal(message.header.flags, 5);
	return message;
}

static inline uint64_t vmm_get(struct fake_guest *guest, uint32_t request)
{
	struct vhost_user_message message;
	uint64_t value;

	vmm_send(guest, request, "", 0);
	message = vmm_reply(guest);
	memcpy(&value, message.payload, sizeof(value));
	return value;
}

static inline void vmm_set(struct fake_guest *guest, uint32_t request, uint64_t value, int fd)
{
	vmm_send_flags(guest, request, 0, &value, sizeof(value), &fd, fd >= 0);
}

static inline void guest_unfence(struct fake_guest *guest)
{
	for (unsigned int i = 0; i < 2 && guest->fences[i].below; i++) {
		unpoison(guest->fences[i].below, FENCE);
		if (guest->fences[i].above != MAP_FAILED)
			munmap(guest->fences[i].above, FENCE);
		guest->fences[i].below = NULL;
	}
}

/* From now on the sanitizer ends the test where the proxy reads or writes beside a region: below it is what is mapped of its file,
 * above it a page that can't be touched, or what is below another. Until the memory is set again. */
static inline void guest_fence(struct fake_guest *guest)
{
	for (unsigned int i = 0; i < 2; i++) {
		const struct guest_region *region = &guest->state.memory.regions[i];

		poison(region->mapping, FENCE);
		guest->fences[i].below = region->mapping;
		guest->fences[i].above = mmap((uint8_t *)region->mapping + FENCE + REGION_SIZE, FENCE, PROT_NONE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	}
}

/* The table has these of the guest's regions, each with the file at its place; `fds` and `regions` are as long as `count`. */
static inline void vmm_set_regions(struct fake_guest *guest, const int *fds, const uint32_t *regions, uint32_t count)
{
	struct {
		uint32_t count, padding;
		struct {
			uint64_t guest_address, size, user_address, offset;
		} regions[2];
	} table = {.count = count};

	for (uint32_t i = 0; i < count; i++) {
		table.regions[i].guest_address = GUEST_BASE + regions[i] * REGION_SIZE;
		table.regions[i].size = REGION_SIZE;
		table.regions[i].user_address = USER_BASE + regions[i] * REGION_SIZE;
		table.regions[i].offset = FENCE;
	}
	guest_unfence(guest);
	vmm_send_flags(guest, 5, 0, &table, (uint32_t)(8 + count * sizeof(table.regions[0])), fds, count);
}

static inline void vmm_set_memory(struct fake_guest *guest)
{
	bool fenced = guest->fences[0].below;

	vmm_set_regions(guest, guest->files, (uint32_t[]){0, 1}, 2);
	if (fenced)
		guest_fence(guest);
}

static inline void vmm_set_ring(struct fake_guest *guest, uint32_t index, struct test_ring *ring)
{
	struct {
		uint32_t index, flags;
		uint64_t descriptors, used, available, log;
	} addresses = {.index = index};
	uint32_t pair[2] = {index, RING_SIZE};

	vmm_send(guest, 8, pair, sizeof(pair));
	pair[1] = ring->position;
	vmm_send(guest, 10, pair, sizeof(pair));
	addresses.descriptors = USER_BASE + (uint64_t)((uint8_t *)ring->descriptors - guest->memory);
	addresses.available = USER_BASE + (uint64_t)((uint8_t *)ring->available - guest->memory);
	addresses.used = USER_BASE + (uint64_t)((uint8_t *)ring->used - guest->memory);
	vmm_send(guest, 9, &addresses, sizeof(addresses));
	vmm_set(guest, 12, index, ring->kick);
	vmm_set(guest, 13, index, ring->call);
	pair[1] = 1;
	vmm_send(guest, 18, pair, sizeof(pair));
}

static inline uint32_t vmm_stop_ring(struct fake_guest *guest, uint32_t index)
{
	uint32_t pair[2] = {index, 0};
	struct vhost_user_message message;

	vmm_send(guest, 11, pair, sizeof(pair));
	message = vmm_reply(guest);
	memcpy(pair, message.payload, sizeof(pair));
	return pair[1];
}

/* ---- The guest's rings --------------------------------------------------------------------------------------- */

static inline void *guest_at(struct fake_guest *guest, uint64_t address)
{
	return guest->memory + (address - GUEST_BASE);
}

static inline bool event_index(const struct fake_guest *guest)
{
	return guest->features & VIRTIO_EVENT_IDX;
}

static inline void guest_kick(struct fake_guest *guest, struct test_ring *ring, uint16_t old)
{
	uint16_t new = ring->available[1], event;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = ring->used[2 + RING_SIZE * 4];
	if (event_index(guest) ? (uint16_t)(new - event - 1) >= (uint16_t)(new - old) : ring->used[0] & 1)
		return;
	ring->kicks++;
	assert_int_equal(eventfd_write(ring->kick, 1), 0);
}

/* Describes `length` bytes at `address` by the descriptors of slot `slot`. */
static inline void describe(struct fake_guest *guest, struct test_ring *ring, uint16_t slot, uint32_t length,
			    uint16_t flags)
{
	uint64_t address = ring->slots + slot * SLOT_SIZE;
	/* The last 256 bytes of a slot hold its indirect table. */
	struct test_descriptor *table = guest_at(guest, address + SLOT_SIZE - 256);
	struct test_descriptor header = {.address = address, .length = 44, .flags = flags};
	struct test_descriptor rest = {.address = address + 44, .length = length - 44, .flags = flags};
	uint16_t first = (uint16_t)(slot * 2), second = (uint16_t)(first + 1);

	if (guest->layout == LAYOUT_SINGLE) {
		header.length = length;
		ring->descriptors[first] = header;
		return;
	}
	if (guest->layout == LAYOUT_INDIRECT) {
		header.flags |= 1;
		header.next = 1;
		table[0] = header;
		table[1] = rest;
		ring->descriptors[first] = (struct test_descriptor){
			.address = address + SLOT_SIZE - 256, .length = 32, .flags = 4};
		return;
	}
	if (guest->layout == LAYOUT_PIECES && length > 60) { /* the header ends in the middle of a piece */
		header.length = 30;
		rest.address = address + 30;
		rest.length = length - 30;
	}
	header.flags |= rest.length > 0 ? 1 : 0;
	header.next = second;
	ring->descriptors[first] = header;
	ring->descriptors[second] = rest;
}

static inline void publish(struct fake_guest *guest, struct test_ring *ring, uint16_t head)
{
	uint16_t index = ring->available[1];

	ring->available[2 + index % RING_SIZE] = head;
	__atomic_store_n(&ring->available[1], (uint16_t)(index + 1), __ATOMIC_RELEASE);
	guest_kick(guest, ring, index);
}

static inline uint16_t used_index(const struct test_ring *ring)
{
	return __atomic_load_n(&ring->used[1], __ATOMIC_ACQUIRE);
}

#define GUEST_SLOTS (RING_SIZE / 2)
#define RX_PACKET (44 + 4096)

static inline void guest_offer(struct fake_guest *guest, uint16_t slot)
{
	describe(guest, &guest->rx, slot, RX_PACKET, 2);
	publish(guest, &guest->rx, (uint16_t)(slot * 2));
}

/* The next packet for the guest, whose buffer is offered again where `again`. False where there is none. */
static inline bool guest_poll(struct fake_guest *guest, struct test_packet *packet, bool again)
{
	struct test_ring *ring = &guest->rx;
	uint32_t element[2];
	uint16_t slot;
	struct vsock_wire_header wire;

	if (used_index(ring) == ring->seen)
		return false;
	memcpy(element, &ring->used[2 + (ring->seen % RING_SIZE) * 4], sizeof(element));
	slot = (uint16_t)(element[0] / 2);
	assert_in_range(element[1], 44, RX_PACKET);
	memcpy(&wire, guest_at(guest, ring->slots + slot * SLOT_SIZE), sizeof(wire));
	packet->header = vsock_header_decode(&wire);
	assert_int_equal(packet->header.length, element[1] - 44);
	assert_int_equal(packet->header.source_cid, 2);
	assert_int_equal(packet->header.destination_cid, GUEST_CID);
	memcpy(packet->data, guest_at(guest, ring->slots + slot * SLOT_SIZE + 44), packet->header.length);
	ring->seen++;
	if (event_index(guest))
		ring->available[2 + RING_SIZE] = ring->seen;
	if (again)
		guest_offer(guest, slot);
	return true;
}

/* Waits for the next packet, which must be of this operation. */
static inline struct test_packet guest_expect(struct fake_guest *guest, enum vsock_operation operation)
{
	struct test_packet packet = {0};

	for (int i = 0; i < STEPS; i++) {
		if (guest_poll(guest, &packet, true)) {
			assert_int_equal(packet.header.operation, operation);
			return packet;
		}
		step_waiting(guest);
	}
	fail_msg("no packet came");
	return packet;
}

static inline void guest_silent(struct fake_guest *guest)
{
	struct test_packet packet;

	steps(guest, 5);
	assert_false(guest_poll(guest, &packet, true));
}

/* A slot of the sending ring that is free, after waiting for one. */
static inline uint16_t guest_slot(struct fake_guest *guest)
{
	struct test_ring *ring = &guest->tx;

	for (int i = 0; (uint16_t)(ring->available[1] - used_index(ring)) >= GUEST_SLOTS && i < STEPS; i++)
		step_waiting(guest);
	return ring->available[1] % GUEST_SLOTS;
}

static inline void guest_send_header(struct fake_guest *guest, struct vsock_header header, const void *data,
				     uint32_t length)
{
	struct test_ring *ring = &guest->tx;
	uint16_t slot = guest_slot(guest);
	uint64_t address = ring->slots + slot * SLOT_SIZE;
	struct vsock_wire_header wire = vsock_header_encode(&header);

	assert_true(length <= SLOT_SIZE - 44 - 256);
	memcpy(guest_at(guest, address), &wire, sizeof(wire));
	memcpy(guest_at(guest, address + 44), data, length);
	describe(guest, ring, slot, 44 + length, 0);
	publish(guest, ring, (uint16_t)(slot * 2));
}

static inline struct vsock_header guest_header(const struct fake_guest *guest, enum vsock_operation operation,
					       uint32_t guest_port, uint32_t host_port)
{
	return (struct vsock_header){
		.source_cid = GUEST_CID,
		.destination_cid = 2,
		.source_port = guest_port,
		.destination_port = host_port,
		.type = 1,
		.operation = (uint16_t)operation,
		.buffer = guest->buffer,
		.forwarded = guest->forwarded,
	};
}

static inline void guest_send(struct fake_guest *guest, enum vsock_operation operation, uint32_t guest_port,
			      uint32_t host_port, const void *data, uint32_t length)
{
	struct vsock_header header = guest_header(guest, operation, guest_port, host_port);

	header.length = length;
	guest_send_header(guest, header, data, length);
}

static inline void guest_shut(struct fake_guest *guest, uint32_t guest_port, uint32_t host_port, uint32_t flags)
{
	struct vsock_header header = guest_header(guest, VSOCK_SHUTDOWN, guest_port, host_port);

	header.flags = flags;
	guest_send_header(guest, header, "", 0);
}

/* ---- The device, with no process between ------------------------------------------------------------------------- */

static inline void direct_update(struct vhost_user_device *direct)
{
	vhost_vsock_update(&container_of(direct, struct fake_guest, direct)->device);
}

static inline void direct_stop(struct vhost_user_device *direct)
{
	vhost_vsock_stop(&container_of(direct, struct fake_guest, direct)->device);
}

static inline void direct_unwatch(struct vhost_user_device *direct)
{
	vhost_vsock_unwatch(&container_of(direct, struct fake_guest, direct)->device);
}

static const struct vhost_user_device direct_device = {
	.update = direct_update, .stop = direct_stop, .unwatch = direct_unwatch};

/* ---- All together -------------------------------------------------------------------------------------------- */

static inline void test_ended(struct vhost_user *vhost)
{
	container_of(vhost, struct fake_guest, vhost)->ended = true;
}

static inline void test_started(struct vsock_engine *engine)
{
	struct fake_guest *guest = container_of(engine, struct fake_guest, engine);

	guest->starts++;
	streams_started(&guest->streams);
}

static inline void test_agent_opened(struct streams *streams)
{
	container_of(streams, struct fake_guest, streams)->agents++;
}

static inline struct vsock_connection *test_accept(struct vsock_engine *engine, uint32_t host_port,
						   uint32_t guest_port)
{
	struct fake_guest *guest = container_of(engine, struct fake_guest, engine);
	int fd = guest->accept_fd;

	(void)host_port;
	(void)guest_port;
	guest->accept_fd = -1;
	return fd < 0 ? NULL : streams_accept(&guest->streams, fd);
}

static const struct vsock_engine_ops test_engine_ops = {
	.accept = test_accept, .accept_messages = test_accept, .started = test_started};

static inline void guest_lay_out(struct fake_guest *guest, struct test_ring *ring, uint64_t offset)
{
	memset(guest->memory + offset, 0, 0x3000);
	*ring = (struct test_ring){
		.descriptors = (struct test_descriptor *)(void *)(guest->memory + offset),
		.available = (uint16_t *)(void *)(guest->memory + offset + 0x1000),
		.used = (uint16_t *)(void *)(guest->memory + offset + 0x2000),
		.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
}

/* A file's size, and what is before the region. */
static inline void guest_file(struct fake_guest *guest, unsigned int index)
{
	uint8_t fence[FENCE];

	memset(fence, FENCE_BYTE, sizeof(fence));
	assert_int_equal(pwrite(guest->files[index], fence, sizeof(fence), 0), sizeof(fence));
	assert_int_equal(ftruncate(guest->files[index], FENCE + REGION_SIZE), 0);
}

/* A VMM whose guest's driver isn't there yet, connected by `socket`. */
static inline struct fake_guest *guest_new_remote(uint64_t features, enum test_layout layout, int socket)
{
	struct fake_guest *guest = calloc(1, sizeof(*guest));

	assert_non_null(guest);
	guest->layout = layout;
	guest->features = features | VIRTIO_VERSION_1;
	guest->buffer = GUEST_BUFFER;
	guest->accept_fd = -1;
	guest->remote = true;
	guest->socket = socket;
	assert_int_equal(loop_init(&guest->loop), 0);
	guest->memory = mmap(NULL, 2 * REGION_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned int i = 0; i < 2; i++) {
		guest->files[i] = memfd_create("guest", MFD_CLOEXEC);
		guest_file(guest, i);
		assert_ptr_not_equal(mmap(guest->memory + i * REGION_SIZE, REGION_SIZE, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, guest->files[i], FENCE),
				     MAP_FAILED);
	}
	guest_lay_out(guest, &guest->rx, 0);
	guest_lay_out(guest, &guest->tx, 0x10000);
	guest->event.kick = guest->event.call = -1;
	/* The buffers lie around the border of the two regions, so that some are in both. */
	guest->rx.slots = GUEST_BASE + REGION_SIZE - GUEST_SLOTS * SLOT_SIZE / 2 - 100;
	guest->tx.slots = GUEST_BASE + REGION_SIZE + 0x80000;
	guest->rx.slots &= ~UINT64_C(15);
	return guest;
}

/* Another connection of the VMM's, in the place of the one that ended. */
static inline void vmm_connect_again(struct fake_guest *guest)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	guest->socket = pair[0];
	guest->ended = false;
	assert_int_equal(vhost_user_serve(&guest->vhost, pair[1]), 0);
}

/* The same, with the proxy in this process. */
static inline struct fake_guest *guest_new(uint64_t features, enum test_layout layout)
{
	struct fake_guest *guest = guest_new_remote(features, layout, -1);

	guest->remote = false;
	vsock_engine_init(&guest->engine, &guest->loop, VSOCK_HOST_CID, GUEST_CID, &test_engine_ops);
	streams_init(&guest->streams, &guest->loop, &guest->engine, test_agent_opened);
	vhost_vsock_init(&guest->device, &guest->loop, &guest->engine, &guest->state);
	guest->direct = direct_device;
	vhost_user_init(&guest->vhost, &guest->loop, &guest->direct, &guest->state, GUEST_CID, test_ended);
	vmm_connect_again(guest);
	return guest;
}

/* What a VMM says first, up to the memory. */
static inline void vmm_negotiate(struct fake_guest *guest)
{
	uint64_t offered = vmm_get(guest, 1);

	assert_int_equal(offered & guest->features, guest->features);
	vmm_send(guest, 3, "", 0);
	vmm_set(guest, 16, vmm_get(guest, 15), -1);
	vmm_set(guest, 2, guest->features | (offered & (1u << 30)), -1);
	vmm_set_memory(guest);
}

static inline void guest_start(struct fake_guest *guest)
{
	vmm_negotiate(guest);
	for (uint16_t slot = 0; slot < GUEST_SLOTS; slot++)
		guest_offer(guest, slot);
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	steps(guest, 2);
	assert_true(guest->remote || guest->device.running);
}

/* A driver that begins anew, whatever became of the rings and the memory. */
static inline void guest_restart(struct fake_guest *guest)
{
	vmm_stop_ring(guest, 0);
	vmm_stop_ring(guest, 1);
	for (unsigned int i = 0; i < 2; i++)
		guest_file(guest, i);
	vmm_set_memory(guest);
	for (unsigned int i = 0; i < 2; i++) {
		struct test_ring *ring = i == 0 ? &guest->rx : &guest->tx;

		memset(ring->descriptors, 0, RING_SIZE * 16);
		memset(ring->available, 0, 4 + RING_SIZE * 2 + 2);
		memset(ring->used, 0, 4 + RING_SIZE * 8 + 2);
		ring->position = ring->seen = 0;
	}
	for (uint16_t slot = 0; slot < GUEST_SLOTS; slot++)
		guest_offer(guest, slot);
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
}

/* A VMM which keeps no ring for itself: the driver has buffers for events there. */
static inline void guest_give_events(struct fake_guest *guest)
{
	struct test_ring *ring = &guest->event;

	if (ring->kick < 0) {
		guest_lay_out(guest, ring, 0x20000);
		ring->slots = GUEST_BASE + 0x30000;
	}
	while ((uint16_t)(ring->available[1] - ring->seen) < EVENT_BUFFERS) {
		uint16_t index = ring->available[1] % EVENT_BUFFERS;

		ring->descriptors[index] =
			(struct test_descriptor){.address = ring->slots + index * 4, .length = 4, .flags = 2};
		publish(guest, ring, index);
	}
	vmm_set_ring(guest, 2, ring);
}

/* The next event's id, or -1. */
static inline int guest_event(struct fake_guest *guest)
{
	struct test_ring *ring = &guest->event;
	uint32_t element[2], id;

	steps(guest, 3);
	if (used_index(ring) == ring->seen)
		return -1;
	memcpy(element, &ring->used[2 + (ring->seen++ % RING_SIZE) * 4], sizeof(element));
	assert_int_equal(element[1], 4);
	memcpy(&id, guest_at(guest, ring->slots + element[0] * 4), sizeof(id));
	return (int)id;
}

static inline void vmm_disconnect(struct fake_guest *guest)
{
	guest_unfence(guest);
	close(guest->socket);
	guest->socket = -1;
	steps(guest, 3);
	assert_true(guest->ended);
}

static inline void guest_free(struct fake_guest *guest)
{
	uint8_t fence[FENCE];

	guest_unfence(guest);
	/* Nothing was written there either, not even by the kernel. */
	for (unsigned int i = 0; i < 2; i++)
		if (pread(guest->files[i], fence, sizeof(fence), 0) == (ssize_t)sizeof(fence))
			for (unsigned int j = 0; j < FENCE; j++)
				assert_int_equal(fence[j], FENCE_BYTE);
	if (!guest->remote) {
		streams_destroy(&guest->streams);
		vhost_user_close(&guest->vhost);
	}
	loop_destroy(&guest->loop);
	close(guest->socket);
	for (unsigned int i = 0; i < 2; i++)
		close(guest->files[i]);
	munmap(guest->memory, 2 * REGION_SIZE);
	close(guest->rx.kick);
	close(guest->rx.call);
	close(guest->tx.kick);
	close(guest->tx.call);
	if (guest->event.kick >= 0) {
		close(guest->event.kick);
		close(guest->event.call);
	}
	free(guest);
}

/* A client of the proxy: its own end of a socket pair, not blocking. */
static inline int client_new(struct fake_guest *guest, enum stream_origin origin)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(streams_serve(&guest->streams, pair[1], origin, 1024), 0);
	return pair[0];
}

/* Waits for bytes for the client; 0 at the end, also where what it wrote was lost. */
static inline ssize_t client_read(struct fake_guest *guest, int fd, void *data, size_t size)
{
	for (int i = 0; i < STEPS; i++) {
		ssize_t length = read(fd, data, size);

		if (length >= 0 || errno == ECONNRESET)
			return length < 0 ? 0 : length;
		assert_int_equal(errno, EAGAIN);
		step_waiting(guest);
	}
	fail_msg("nothing came for the client");
	return -1;
}

static inline void client_expect(struct fake_guest *guest, int fd, const char *text)
{
	char data[4096];
	size_t length = 0, wanted = strlen(text);

	while (length < wanted) {
		ssize_t count = client_read(guest, fd, data + length, wanted - length);

		assert_true(count > 0);
		length += (size_t)count;
	}
	assert_memory_equal(data, text, wanted);
}

/* An agent connection that the guest has accepted: the client's fd, and the host port. */
static inline int client_connected(struct fake_guest *guest, uint32_t *host_port)
{
	int fd = client_new(guest, STREAM_AGENT);
	struct test_packet packet = guest_expect(guest, VSOCK_REQUEST);

	assert_int_equal(packet.header.destination_port, 1024);
	*host_port = packet.header.source_port;
	guest_send(guest, VSOCK_RESPONSE, 1024, *host_port, "", 0);
	steps(guest, 2);
	return fd;
}

#endif
