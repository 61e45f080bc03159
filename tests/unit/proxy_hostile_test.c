// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c proxy/guest_memory.c proxy/virtqueue.c
// uses: proxy/vhost_user.c proxy/vhost_user_requests.c proxy/vhost_vsock.c lib/vsock_engine.c lib/vsock_send.c
// uses: proxy/stream.c lib/vsock_socket.c proxy/line.c
/* The proxy with a guest that breaks the rules of the ring, one that breaks those of vsock, and a VMM that breaks those
 * of vhost-user. Whatever they do: nothing outside of guest memory is touched (the sanitizers see to that), the device
 * stops, and a guest which starts over is served again.
 */
#include "tests/unit/proxy_fake_guest.h"

#include <fcntl.h>

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

/* ---- Rings --------------------------------------------------------------------------------------------------- */

/* A guest with one client, just before it does something bad. */
struct scene {
	struct fake_guest *guest;
	int client;
	uint32_t port;
};

static struct scene scene_new(uint64_t features)
{
	struct scene scene = {.guest = guest_new(features, LAYOUT_SPLIT)};

	guest_start(scene.guest);
	scene.client = client_connected(scene.guest, &scene.port);
	assert_false(scene.guest->device.broken);
	return scene;
}

/* The device has stopped and the client is closed; after a reset by the driver everything works again. */
static void scene_broken(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;

	steps(guest, 5);
	assert_true(guest->device.broken);
	assert_false(guest->device.running);
	assert_int_equal(client_read(guest, scene->client, &(char){0}, 1), 0);
	close(scene->client);
	assert_int_equal(guest->streams.from_host, 0);
	guest_kick(guest, &guest->tx, (uint16_t)(guest->tx.available[1] - 1));
	steps(guest, 3);
	vmm_stop_ring(guest, 0);
	vmm_stop_ring(guest, 1);
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
	scene->client = client_connected(guest, &scene->port);
	guest_send(guest, VSOCK_RW, 1024, scene->port, "fine", 4);
	client_expect(guest, scene->client, "fine");
	close(scene->client);
	guest_free(guest);
}

static struct test_descriptor *tx_descriptor(struct scene *scene, uint16_t index)
{
	return &scene->guest->tx.descriptors[index];
}

static void publish_tx(struct scene *scene, uint16_t head)
{
	publish(scene->guest, &scene->guest->tx, head);
}

static void head_out_of_range(struct scene *scene)
{
	publish_tx(scene, RING_SIZE);
}

static void head_far_out_of_range(struct scene *scene)
{
	publish_tx(scene, 0xffff);
}

static void next_out_of_range(struct scene *scene)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){
		.address = scene->guest->tx.slots, .length = 44, .flags = 1, .next = RING_SIZE};
	publish_tx(scene, 5);
}

static void chain_to_itself(struct scene *scene)
{
	*tx_descriptor(scene, 5) =
		(struct test_descriptor){.address = scene->guest->tx.slots, .length = 1, .flags = 1, .next = 5};
	publish_tx(scene, 5);
}

static void chain_in_a_circle_of_nothing(struct scene *scene)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){.flags = 1, .next = 6};
	*tx_descriptor(scene, 6) = (struct test_descriptor){.flags = 1, .next = 5};
	publish_tx(scene, 5);
}

static void address_beyond_memory(struct scene *scene)
{
	*tx_descriptor(scene, 5) =
		(struct test_descriptor){.address = GUEST_BASE + 2 * REGION_SIZE, .length = 44};
	publish_tx(scene, 5);
}

static void buffer_over_the_end(struct scene *scene)
{
	*tx_descriptor(scene, 5) =
		(struct test_descriptor){.address = GUEST_BASE + 2 * REGION_SIZE - 43, .length = 44};
	publish_tx(scene, 5);
}

static void address_that_wraps(struct scene *scene)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = UINT64_MAX - 10, .length = 0xffffffff};
	publish_tx(scene, 5);
}

static void huge_length(struct scene *scene)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = GUEST_BASE, .length = 0xffffffff};
	publish_tx(scene, 5);
}

static void packet_without_a_header(struct scene *scene)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = scene->guest->tx.slots, .length = 43};
	publish_tx(scene, 5);
}

static void payload_longer_than_the_chain(struct scene *scene)
{
	struct vsock_header header = guest_header(scene->guest, VSOCK_RW, 1024, scene->port);

	header.length = 11;
	guest_send_header(scene->guest, header, "0123456789", 10);
}

static void payload_of_nearly_everything(struct scene *scene)
{
	struct vsock_header header = guest_header(scene->guest, VSOCK_RW, 1024, scene->port);

	header.length = UINT32_MAX - 20;
	guest_send_header(scene->guest, header, "0123456789", 10);
}

static void index_too_far_ahead(struct scene *scene)
{
	struct test_ring *ring = &scene->guest->tx;

	ring->available[1] = (uint16_t)(ring->available[1] + RING_SIZE + 1);
	eventfd_write(ring->kick, 1);
}

static void index_goes_back(struct scene *scene)
{
	struct test_ring *ring = &scene->guest->tx;

	ring->available[1]--;
	eventfd_write(ring->kick, 1);
}

static void writable_buffer_to_send(struct scene *scene)
{
	*tx_descriptor(scene, 5) =
		(struct test_descriptor){.address = scene->guest->tx.slots, .length = 44, .flags = 2};
	publish_tx(scene, 5);
}

static void indirect_table(struct scene *scene, uint64_t address, uint32_t length, uint16_t flags)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = address, .length = length, .flags = flags | 4};
	publish_tx(scene, 5);
}

static void indirect_of_odd_size(struct scene *scene)
{
	indirect_table(scene, scene->guest->tx.slots, 24, 0);
}

static void indirect_of_nothing(struct scene *scene)
{
	indirect_table(scene, scene->guest->tx.slots, 0, 0);
}

static void indirect_that_is_long(struct scene *scene)
{
	indirect_table(scene, scene->guest->tx.slots, (RING_SIZE + 1) * 16, 0);
}

static void indirect_beyond_memory(struct scene *scene)
{
	indirect_table(scene, GUEST_BASE + 2 * REGION_SIZE - 16, 32, 0);
}

static void indirect_over_the_border(struct scene *scene)
{
	indirect_table(scene, GUEST_BASE + REGION_SIZE - 16, 32, 0);
}

static void indirect_with_a_next(struct scene *scene)
{
	indirect_table(scene, scene->guest->tx.slots, 32, 1);
}

static void indirect_at_an_odd_address(struct scene *scene)
{
	indirect_table(scene, scene->guest->tx.slots + 3, 32, 0);
}

static void indirect_in_indirect(struct scene *scene)
{
	struct test_descriptor *table = guest_at(scene->guest, scene->guest->tx.slots);

	table[0] = (struct test_descriptor){.address = scene->guest->tx.slots, .length = 32, .flags = 4};
	indirect_table(scene, scene->guest->tx.slots, 32, 0);
}

static void indirect_next_out_of_range(struct scene *scene)
{
	struct test_descriptor *table = guest_at(scene->guest, scene->guest->tx.slots);

	table[0] = (struct test_descriptor){
		.address = scene->guest->tx.slots + 1000, .length = 44, .flags = 1, .next = 2};
	indirect_table(scene, scene->guest->tx.slots, 32, 0);
}

/* What waits in the ring for the guest has been seen already; these come into play when they are used. */
static void use_all_room(struct scene *scene)
{
	char data[100] = {0};

	for (unsigned int i = 0; i < GUEST_SLOTS + 2; i++) {
		send(scene->client, data, sizeof(data), MSG_NOSIGNAL);
		steps(scene->guest, 2);
	}
}

static void readable_room(struct scene *scene)
{
	struct test_ring *ring = &scene->guest->rx;

	for (uint16_t i = 0; i < RING_SIZE; i++)
		ring->descriptors[i].flags &= (uint16_t)~2u;
	use_all_room(scene);
}

static void room_for_less_than_a_header(struct scene *scene)
{
	struct test_ring *ring = &scene->guest->rx;

	for (uint16_t i = 0; i < RING_SIZE; i++)
		ring->descriptors[i].length = 20;
	use_all_room(scene);
}

static void room_for_a_header_only(struct scene *scene)
{
	struct test_ring *ring = &scene->guest->rx;

	for (uint16_t i = 0; i < RING_SIZE; i++)
		ring->descriptors[i].length = i % 2 == 0 ? 44 : 0;
	use_all_room(scene);
}

static void room_beyond_memory(struct scene *scene)
{
	struct test_ring *ring = &scene->guest->rx;

	for (uint16_t i = 0; i < RING_SIZE; i++)
		ring->descriptors[i].address += 2 * REGION_SIZE;
	use_all_room(scene);
}

static void (*const bad_rings[])(struct scene *scene) = {
	head_out_of_range,
	head_far_out_of_range,
	next_out_of_range,
	chain_to_itself,
	chain_in_a_circle_of_nothing,
	address_beyond_memory,
	buffer_over_the_end,
	address_that_wraps,
	huge_length,
	packet_without_a_header,
	payload_longer_than_the_chain,
	payload_of_nearly_everything,
	index_too_far_ahead,
	index_goes_back,
	writable_buffer_to_send,
	indirect_of_odd_size,
	indirect_of_nothing,
	indirect_that_is_long,
	indirect_beyond_memory,
	indirect_over_the_border,
	indirect_with_a_next,
	indirect_at_an_odd_address,
	indirect_in_indirect,
	indirect_next_out_of_range,
	readable_room,
	room_for_less_than_a_header,
	room_for_a_header_only,
	room_beyond_memory,
};

static void bad_rings_stop_the_device(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(bad_rings); i++) {
		struct scene scene = scene_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC);

		bad_rings[i](&scene);
		scene_broken(&scene);
	}
}

static void indirect_without_the_feature(void **state)
{
	struct scene scene = scene_new(VIRTIO_EVENT_IDX);

	(void)state;
	indirect_table(&scene, scene.guest->tx.slots, 32, 0);
	scene_broken(&scene);
}

/* What came before the bad packet is delivered. */
static void good_packets_before_a_bad_one(void **state)
{
	struct scene scene = scene_new(VIRTIO_EVENT_IDX);

	(void)state;
	guest_send(scene.guest, VSOCK_RW, 1024, scene.port, "good", 4);
	publish_tx(&scene, 0xffff);
	client_expect(scene.guest, scene.client, "good");
	scene_broken(&scene);
}

/* The rings' own places are the driver's choice too. */
static void rings_outside_memory(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint8_t *memory = guest->memory;

	(void)state;
	guest_start(guest);
	vmm_stop_ring(guest, 0);
	vmm_stop_ring(guest, 1);
	guest->memory += 1; /* an odd address, at last past the end */
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	assert_false(guest->device.running);
	vmm_stop_ring(guest, 0);
	vmm_stop_ring(guest, 1);
	guest->memory = memory - 2 * REGION_SIZE + 0x100;
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	assert_false(guest->device.running);
	assert_false(guest->ended);
	guest->memory = memory;
	guest_free(guest);
}

/* Random changes to everything that the guest can write, with a client at work. */
static void random_rings(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (unsigned int round = 0; round < 150; round++) {
		struct scene scene = scene_new(VIRTIO_EVENT_IDX | (round % 2 ? VIRTIO_INDIRECT_DESC : 0));
		struct fake_guest *guest = scene.guest;
		char data[3000] = {0};

		for (unsigned int change = 0; change < 60; change++) {
			uint64_t area = rand_r(&seed) % 2 ? 0 : 0x10000;
			uint64_t table = (uint64_t)(rand_r(&seed) % 3) * 0x1000;
			uint64_t offset = area + table + (uint64_t)rand_r(&seed) % 1028;

			guest->memory[offset] = (uint8_t)(rand_r(&seed) % 4 ? rand_r(&seed) % 70 : rand_r(&seed));
			if (change % 5 == 0)
				guest->tx.available[1]++;
			if (change % 7 == 0)
				guest->rx.available[1]++;
			eventfd_write(guest->tx.kick, 1);
			eventfd_write(guest->rx.kick, 1);
			send(scene.client, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT);
			step(guest);
			while (read(scene.client, data, sizeof(data)) > 0)
				;
			if (guest->device.broken)
				break;
		}
		close(scene.client);
		guest_free(guest);
	}
}

/* ---- Packets ------------------------------------------------------------------------------------------------- */

static void packets_of_others_are_dropped(void **state)
{
	struct scene scene = scene_new(VIRTIO_EVENT_IDX);
	struct vsock_header header = guest_header(scene.guest, VSOCK_RW, 1024, scene.port);

	(void)state;
	header.length = 3;
	header.source_cid = GUEST_CID + 1;
	guest_send_header(scene.guest, header, "bad", 3);
	header.source_cid = 2;
	guest_send_header(scene.guest, header, "bad", 3);
	header.source_cid = GUEST_CID;
	header.destination_cid = 1;
	guest_send_header(scene.guest, header, "bad", 3);
	header.destination_cid = (UINT64_C(1) << 32) + 2;
	guest_send_header(scene.guest, header, "bad", 3);
	guest_silent(scene.guest);
	header.destination_cid = 2;
	guest_send_header(scene.guest, header, "yes", 3);
	client_expect(scene.guest, scene.client, "yes");
	close(scene.client);
	guest_free(scene.guest);
}

static void packets_out_of_place_are_reset(void **state)
{
	struct scene scene = scene_new(VIRTIO_EVENT_IDX);
	struct fake_guest *guest = scene.guest;
	struct vsock_header header = guest_header(guest, VSOCK_REQUEST, 9, 9);
	static const enum vsock_operation unexpected[] = {VSOCK_RESPONSE, VSOCK_SHUTDOWN, VSOCK_RW,
							  VSOCK_CREDIT_UPDATE, VSOCK_INVALID, 99};

	(void)state;
	/* Of no connection. */
	for (size_t i = 0; i < array_size(unexpected); i++) {
		guest_send(guest, unexpected[i], 5, 6, "", 0);
		assert_int_equal(guest_expect(guest, VSOCK_RST).header.destination_port, 5);
	}
	guest_send(guest, VSOCK_RST, 5, 6, "", 0);
	guest_silent(guest);
	/* Of another type of socket. */
	header.type = 2;
	guest_send_header(guest, header, "", 0);
	assert_int_equal(guest_expect(guest, VSOCK_RST).header.destination_port, 9);
	/* An answer that was given already. */
	guest_send(guest, VSOCK_RESPONSE, 1024, scene.port, "", 0);
	guest_expect(guest, VSOCK_RST);
	assert_int_equal(client_read(guest, scene.client, &(char){0}, 1), 0);
	close(scene.client);
	/* Data after the end of data. */
	scene.client = client_connected(guest, &scene.port);
	guest_shut(guest, 1024, scene.port, VSOCK_SHUTDOWN_SEND);
	guest_send(guest, VSOCK_RW, 1024, scene.port, "x", 1);
	guest_expect(guest, VSOCK_RST);
	close(scene.client);
	/* Data instead of an answer: tried again, as with any refusal. */
	scene.client = client_new(guest, STREAM_AGENT);
	scene.port = guest_expect(guest, VSOCK_REQUEST).header.source_port;
	guest_send(guest, VSOCK_RW, 1024, scene.port, "x", 1);
	assert_int_equal(guest_expect(guest, VSOCK_RST).header.source_port, scene.port);
	guest_expect(guest, VSOCK_REQUEST);
	close(scene.client);
	guest_free(guest);
}

/* A guest that sends and sends, and takes nothing. */
static void flood_without_room(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	struct test_packet packet;
	unsigned int resets = 0;

	(void)state;
	guest_start(guest);
	for (uint32_t i = 0; i < 5000; i++)
		guest_send(guest, VSOCK_RW, i, i, "x", 1);
	steps(guest, 10);
	for (unsigned int i = 0; i < 1000; i++) {
		while (guest_poll(guest, &packet, true))
			resets++;
		step(guest);
	}
	assert_in_range(resets, GUEST_SLOTS, GUEST_SLOTS + VSOCK_RESETS_MAX);
	assert_true(guest->device.running);
	guest_free(guest);
}

/* ---- The VMM ------------------------------------------------------------------------------------------------- */

static void vmm_ends(struct fake_guest *guest)
{
	steps(guest, 3);
	assert_true(guest->ended);
	assert_false(vhost_user_connected(&guest->vhost));
	assert_false(guest->device.running);
	guest_free(guest);
}

static struct fake_guest *running(void)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);

	guest_start(guest);
	return guest;
}

static void bad_messages_end_the_connection(void **state)
{
	struct fake_guest *guest = running();
	uint32_t header[3] = {5, 1, 513};
	uint32_t pair[2] = {3, 1};

	(void)state;
	assert_int_equal(write(guest->socket, header, sizeof(header)), sizeof(header));
	vmm_ends(guest);
	guest = running();
	header[1] = 2;
	header[2] = 8;
	assert_int_equal(write(guest->socket, header, sizeof(header)), sizeof(header));
	vmm_ends(guest);
	guest = running();
	vmm_send(guest, 8, pair, sizeof(pair)); /* ring 3 of 3 */
	vmm_ends(guest);
	guest = running();
	vmm_send(guest, 9, pair, sizeof(pair)); /* cut */
	vmm_ends(guest);
	guest = running();
	vmm_set(guest, 12, 0, -1); /* a kick that isn't there */
	vmm_ends(guest);
	guest = running();
	vmm_set(guest, 2, UINT64_C(1) << 63, -1); /* an unknown feature */
	vmm_ends(guest);
	guest = running();
	close(guest->socket);
	guest->socket = -1;
	vmm_ends(guest);
}

static void unknown_messages_are_answered(void **state)
{
	struct fake_guest *guest = running();
	struct vhost_user_message reply;

	(void)state;
	vmm_send(guest, 33, "", 0);
	vmm_send_flags(guest, 4000000000u, 8, "", 0, NULL, 0);
	reply = vmm_reply(guest);
	assert_int_equal(reply.payload[0], 1);
	vmm_send_flags(guest, 3, 8, "", 0, NULL, 0);
	reply = vmm_reply(guest);
	assert_int_equal(reply.payload[0], 0);
	assert_true(guest->device.running);
	guest_free(guest);
}

/* A message byte by byte. */
static void messages_in_pieces(void **state)
{
	struct fake_guest *guest = guest_new(0, LAYOUT_SPLIT);
	uint32_t words[5] = {10, 1, 8, 1, 77};

	(void)state;
	for (size_t i = 0; i < sizeof(words); i++) {
		assert_int_equal(write(guest->socket, (char *)words + i, 1), 1);
		step(guest);
	}
	assert_int_equal(vmm_stop_ring(guest, 1), 77);
	guest_free(guest);
}

struct region {
	uint64_t guest_address, size, user_address, offset;
};

static void bad_memory(const struct region *first, const struct region *second, size_t fds)
{
	struct fake_guest *guest = running();
	struct {
		uint32_t count, padding;
		struct region regions[2];
	} table = {.count = second ? 2 : 1, .regions[0] = *first};

	if (second)
		table.regions[1] = *second;
	vmm_send_flags(guest, 5, 0, &table, sizeof(table), guest->files, fds);
	vmm_ends(guest);
}

static void bad_memory_tables(void **state)
{
	struct region good = {GUEST_BASE, REGION_SIZE, USER_BASE, FENCE}, bad = good, other = good;

	(void)state;
	bad.size = 0;
	bad_memory(&bad, NULL, 1);
	bad.size = REGION_SIZE + 1;
	bad_memory(&bad, NULL, 1);
	bad.size = UINT64_MAX;
	bad_memory(&bad, NULL, 1);
	bad = good;
	bad.offset = FENCE + 4096;
	bad_memory(&bad, NULL, 1);
	bad.offset = UINT64_MAX - 4095;
	bad_memory(&bad, NULL, 1);
	bad = good;
	bad.guest_address = UINT64_MAX - 4096;
	bad_memory(&bad, NULL, 1);
	bad_memory(&good, NULL, 0);
	bad_memory(&good, NULL, 2);
	other.user_address += REGION_SIZE;
	other.guest_address += REGION_SIZE - 1;
	bad_memory(&good, &other, 2);
	other = good;
	other.guest_address += REGION_SIZE;
	other.user_address -= 1;
	bad_memory(&good, &other, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_rings_stop_the_device),
		cmocka_unit_test(indirect_without_the_feature),
		cmocka_unit_test(good_packets_before_a_bad_one),
		cmocka_unit_test(rings_outside_memory),
		cmocka_unit_test(random_rings),
		cmocka_unit_test(packets_of_others_are_dropped),
		cmocka_unit_test(packets_out_of_place_are_reset),
		cmocka_unit_test(flood_without_room),
		cmocka_unit_test(bad_messages_end_the_connection),
		cmocka_unit_test(unknown_messages_are_answered),
		cmocka_unit_test(messages_in_pieces),
		cmocka_unit_test(bad_memory_tables),
	};

	alarm(100);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TEXT, LOG_ERROR, "test"); /* it is meant to go wrong */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
