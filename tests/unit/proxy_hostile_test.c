// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c proxy/guest_memory.c proxy/virtqueue.c
// uses: proxy/vhost_user.c proxy/vhost_user_requests.c proxy/vhost_vsock.c lib/vsock_engine.c lib/vsock_send.c
// uses: proxy/stream.c proxy/message_socket.c lib/vsock_socket.c proxy/line.c
/* The proxy with a guest that breaks the rules of the ring, one that breaks those of vsock, and a VMM that breaks those
 * of vhost-user: the table `attacks`, below, of what each does and what must come of it. Each is a test of its own.
 *
 * Besides that, of each: the log has no line, or the one; as many descriptors are open and as many bytes allocated afterwards as
 * before; no byte beside guest memory is read or written, which fences on both sides of the regions see to (proxy_fake_guest.h);
 * and the device, or who starts it over, serves a client again.
 *
 * With NACRE_RECORD=FOLDER each attack is written into it as a program for the fuzz target `rings`.
 */
#include "tests/unit/ring_recorder.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

/* The sanitizer's; gcc comes without the header. */
size_t __sanitizer_get_current_allocated_bytes(void);

#define GROWTH_MAX (1u << 20) /* of what is allocated, while an attack goes on */

/* ---- The scene ----------------------------------------------------------------------------------------------- */

enum outcome {
	STOPS,	/* the device, with a line of the log, and its clients are closed; a driver that starts over is served */
	RESET,	/* the client's connection, and nothing else */
	GOES_ON, /* nothing comes of it: it is dropped, or the guest's own affair; the client is served */
	EITHER, /* the guest overwrites what it shares with the device: that stops, or goes on */
};

/* A guest with one client, just before it does something bad. */
struct scene {
	struct fake_guest *guest;
	int client;
	uint32_t port;
};

static int log_file;

static const char *log_text(void)
{
	static char text[1 << 16];
	ssize_t length = pread(log_file, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return text;
}

static unsigned int log_lines(void)
{
	unsigned int lines = 0;

	for (const char *text = log_text(); *text; text++)
		lines += *text == '\n';
	return lines;
}

static unsigned int open_descriptors(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static struct scene scene_new(uint64_t features)
{
	struct scene scene = {.guest = guest_new(features, LAYOUT_SPLIT)};

	guest_start(scene.guest);
	guest_fence(scene.guest);
	scene.client = client_connected(scene.guest, &scene.port);
	assert_false(scene.guest->device.broken);
	return scene;
}

static void scene_end(struct scene *scene)
{
	close(scene->client);
	guest_free(scene->guest);
}

/* A packet of this operation for a host port, whatever else comes before. */
static void scene_expect(struct scene *scene, enum vsock_operation operation, uint32_t port)
{
	struct test_packet packet;

	for (int i = 0; i < STEPS; i++) {
		while (guest_poll(scene->guest, &packet, true))
			if (packet.header.operation == operation && packet.header.source_port == port)
				return;
		step_waiting(scene->guest);
	}
	fail_msg("packet %d didn't come", operation);
}

static void scene_served(struct scene *scene)
{
	guest_send(scene->guest, VSOCK_RW, 1024, scene->port, "fine", 4);
	client_expect(scene->guest, scene->client, "fine");
	assert_int_equal(write(scene->client, "back", 4), 4);
	scene_expect(scene, VSOCK_RW, scene->port);
}

/* A new client, in the place of the one whose connection is over. */
static void scene_served_again(struct scene *scene)
{
	struct test_packet packet;

	do {
		while (guest_poll(scene->guest, &packet, true))
			;
		steps(scene->guest, 3);
	} while (guest_poll(scene->guest, &packet, true));
	scene->client = client_connected(scene->guest, &scene->port);
	scene_served(scene);
}

static void scene_stopped(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;

	steps(guest, 5);
	assert_true(guest->device.broken);
	assert_false(guest->device.running);
	assert_int_equal(client_read(guest, scene->client, &(char){0}, 1), 0);
	close(scene->client);
	assert_int_equal(guest->streams.from_host, 0);
	/* It takes no notice of the rings any more. */
	eventfd_write(guest->tx.kick, 1);
	eventfd_write(guest->rx.kick, 1);
	steps(guest, 3);
	guest_restart(scene->guest);
	scene_served_again(scene);
}

static void scene_reset(struct scene *scene)
{
	scene_expect(scene, VSOCK_RST, scene->port);
	assert_int_equal(client_read(scene->guest, scene->client, &(char){0}, 1), 0);
	close(scene->client);
	scene_served_again(scene);
}

/* What the guest has in its rings afterwards is nobody's business: they are started again in any case. */
static void scene_either(struct scene *scene)
{
	steps(scene->guest, 5);
	guest_restart(scene->guest);
	close(scene->client);
	scene_served_again(scene);
}

/* ---- Rings --------------------------------------------------------------------------------------------------- */

static struct test_descriptor *tx_descriptor(struct scene *scene, uint16_t index)
{
	return &scene->guest->tx.descriptors[index];
}

static void publish_tx(struct scene *scene, uint16_t head)
{
	publish(scene->guest, &scene->guest->tx, head);
}

/* A packet of the client's connection, behind the slots: so `length` bytes that follow are what is there. */
static uint64_t packet_at(struct scene *scene, uint32_t length)
{
	struct vsock_header header = guest_header(scene->guest, VSOCK_RW, 1024, scene->port);
	uint64_t address = scene->guest->tx.slots + GUEST_SLOTS * SLOT_SIZE;
	struct vsock_wire_header wire;

	header.length = length;
	wire = vsock_header_encode(&header);
	memcpy(guest_at(scene->guest, address), &wire, sizeof(wire));
	return address;
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

/* A table whose first descriptor is a good packet, so that nothing is bad but what is said of it. */
static uint64_t good_table(struct scene *scene)
{
	uint64_t packet = packet_at(scene, 0), address = packet + 1024;
	struct test_descriptor *table = guest_at(scene->guest, address);

	table[0] = (struct test_descriptor){.address = packet, .length = 44};
	return address;
}

static void indirect_without_the_feature(struct scene *scene)
{
	scene->guest->features &= ~VIRTIO_INDIRECT_DESC;
	vmm_set(scene->guest, 2, scene->guest->features, -1);
	indirect_table(scene, good_table(scene), 32, 0);
}

static void indirect_of_odd_size(struct scene *scene)
{
	indirect_table(scene, good_table(scene), 24, 0);
}

static void indirect_of_nothing(struct scene *scene)
{
	indirect_table(scene, good_table(scene), 0, 0);
}

static void indirect_that_is_long(struct scene *scene)
{
	indirect_table(scene, good_table(scene), (RING_SIZE + 1) * 16, 0);
}

static void indirect_beyond_memory(struct scene *scene)
{
	uint64_t address = GUEST_BASE + 2 * REGION_SIZE - 16;

	memcpy(guest_at(scene->guest, address), guest_at(scene->guest, good_table(scene)), 16);
	indirect_table(scene, address, 32, 0);
}

static void indirect_over_the_border(struct scene *scene)
{
	uint64_t address = GUEST_BASE + REGION_SIZE - 16;

	memcpy(guest_at(scene->guest, address), guest_at(scene->guest, good_table(scene)), 16);
	indirect_table(scene, address, 32, 0);
}

static void indirect_with_a_next(struct scene *scene)
{
	indirect_table(scene, good_table(scene), 32, 1);
}

static void indirect_at_an_odd_address(struct scene *scene)
{
	uint64_t address = good_table(scene) + 259;

	memcpy(guest_at(scene->guest, address), guest_at(scene->guest, good_table(scene)), 16);
	indirect_table(scene, address, 32, 0);
}

static void indirect_in_indirect(struct scene *scene)
{
	uint64_t inner = good_table(scene), outer = inner + 256;
	struct test_descriptor *table = guest_at(scene->guest, outer);

	table[0] = (struct test_descriptor){.address = inner, .length = 16, .flags = 4};
	indirect_table(scene, outer, 16, 0);
}

static void indirect_next_out_of_range(struct scene *scene)
{
	uint64_t address = good_table(scene);
	struct test_descriptor *table = guest_at(scene->guest, address);

	table[0].flags = 1;
	table[0].next = 2;
	/* Where it leads there would be something. */
	table[2] = (struct test_descriptor){.address = address, .length = 1};
	indirect_table(scene, address, 32, 0);
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

/* What came before the bad packet is delivered. */
static void good_packet_before_a_bad_one(struct scene *scene)
{
	guest_send(scene->guest, VSOCK_RW, 1024, scene->port, "good", 4);
	publish_tx(scene, 0xffff);
	client_expect(scene->guest, scene->client, "good");
}

/* The log knows already. */
static void breaks_it_again_and_again(struct scene *scene)
{
	for (unsigned int i = 0; i < 20; i++) {
		publish_tx(scene, 0xffff);
		steps(scene->guest, 3);
		assert_true(scene->guest->device.broken);
		guest_restart(scene->guest);
	}
	publish_tx(scene, 0xffff);
}

static void chain_of_nothing(struct scene *scene)
{
	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = scene->guest->tx.slots, .flags = 1, .next = 6};
	*tx_descriptor(scene, 6) = (struct test_descriptor){.address = UINT64_MAX};
	publish_tx(scene, 5);
}

static void empty_descriptors_between(struct scene *scene)
{
	uint64_t address = packet_at(scene, 3);

	memcpy(guest_at(scene->guest, address + 44), "abc", 3);
	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = address, .flags = 1, .next = 6};
	*tx_descriptor(scene, 6) = (struct test_descriptor){.address = address, .length = 44, .flags = 1, .next = 7};
	*tx_descriptor(scene, 7) = (struct test_descriptor){.flags = 1, .next = 8};
	*tx_descriptor(scene, 8) = (struct test_descriptor){.address = address + 44, .length = 3, .flags = 1, .next = 9};
	*tx_descriptor(scene, 9) = (struct test_descriptor){.address = 1};
	publish_tx(scene, 5);
	client_expect(scene->guest, scene->client, "abc");
}

/* The header is the payload as well: so it is delivered. */
static void payload_over_its_header(struct scene *scene)
{
	uint64_t address = packet_at(scene, 44);
	uint8_t data[44];

	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = address, .length = 44, .flags = 1, .next = 6};
	*tx_descriptor(scene, 6) = (struct test_descriptor){.address = address, .length = 44};
	publish_tx(scene, 5);
	assert_int_equal(client_read(scene->guest, scene->client, data, sizeof(data)), 44);
	assert_memory_equal(data, guest_at(scene->guest, address), 44);
}

/* All chains for one packet, the same buffer in each descriptor. */
static void payload_of_one_buffer_often(struct scene *scene)
{
	uint64_t address = packet_at(scene, (RING_SIZE - 1) * 4000);
	uint8_t data[4000];

	memset(guest_at(scene->guest, address + 44), 'x', sizeof(data));
	for (uint16_t i = 0; i < RING_SIZE; i++)
		*tx_descriptor(scene, i) = (struct test_descriptor){.address = i == 0 ? address : address + 44,
								   .length = i == 0 ? 44 : 4000,
								   .flags = i + 1 < (int)RING_SIZE,
								   .next = (uint16_t)(i + 1)};
	publish_tx(scene, 0);
	for (size_t left = (RING_SIZE - 1) * sizeof(data); left > 0;)
		left -= (size_t)client_read(scene->guest, scene->client, data, left < sizeof(data) ? left : sizeof(data));
	/* The guest counts, too. */
	scene->guest->tx.available[1] = used_index(&scene->guest->tx);
}

static void a_head_twice(struct scene *scene)
{
	uint64_t address = packet_at(scene, 0);

	*tx_descriptor(scene, 5) = (struct test_descriptor){.address = address, .length = 44};
	publish_tx(scene, 5);
	publish_tx(scene, 5);
}

/* Where the device writes what it has for the guest: into its own rings. */
static void room_over(struct scene *scene, const void *place)
{
	struct fake_guest *guest = scene->guest;
	uint64_t address = GUEST_BASE + (uint64_t)((const uint8_t *)place - guest->memory);
	uint8_t data[3000];

	memset(data, 0xff, sizeof(data));
	for (uint16_t i = 0; i < RING_SIZE; i++)
		guest->rx.descriptors[i] = (struct test_descriptor){.address = address, .length = 2048, .flags = 2};
	for (unsigned int i = 0; i < GUEST_SLOTS + 2; i++) {
		send(scene->client, data, sizeof(data), MSG_NOSIGNAL);
		steps(guest, 2);
	}
}

static void room_over_descriptors(struct scene *scene)
{
	room_over(scene, scene->guest->rx.descriptors);
}

static void room_over_what_is_available(struct scene *scene)
{
	room_over(scene, scene->guest->rx.available);
}

static void room_over_what_is_used(struct scene *scene)
{
	room_over(scene, scene->guest->rx.used);
}

static void room_over_the_other_ring(struct scene *scene)
{
	room_over(scene, scene->guest->tx.available);
	eventfd_write(scene->guest->tx.kick, 1);
}

/* All room is one buffer: what is in it is overwritten, which is the guest's loss. */
static void room_that_overlaps(struct scene *scene)
{
	room_over(scene, guest_at(scene->guest, scene->guest->rx.slots));
}

static void rings_over_each_other(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	struct test_ring rx = guest->rx;

	vmm_stop_ring(guest, 0);
	rx.used = rx.available;
	rx.descriptors = guest->tx.descriptors;
	vmm_set_ring(guest, 0, &rx);
	eventfd_write(guest->tx.kick, 1);
	use_all_room(scene);
}

/* ---- Notifications ------------------------------------------------------------------------------------------- */

static void kicks_for_nothing(struct scene *scene)
{
	for (unsigned int i = 0; i < 1000; i++) {
		eventfd_write(scene->guest->tx.kick, i % 7 ? 1 : UINT32_MAX);
		eventfd_write(scene->guest->rx.kick, 1);
		step(scene->guest);
	}
	/* And then there is nothing to do. */
	steps(scene->guest, 3);
	assert_int_equal(scene->guest->device.work.deadline, 0);
}

/* The proxy's eventfds aren't ones that block, however full. */
static void calls_that_nobody_reads(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;

	assert_int_equal(eventfd_write(guest->tx.call, UINT64_MAX - 1 - 1), 0);
	eventfd_write(guest->rx.call, UINT64_MAX - 1 - 1);
	for (unsigned int i = 0; i < 100; i++) {
		guest->tx.available[2 + RING_SIZE] = used_index(&guest->tx);
		guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, scene->port, "", 0);
		step(guest);
	}
}

static void wishes_for_other_notifications(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	unsigned int seed = 1;

	for (unsigned int i = 0; i < 500; i++) {
		guest->tx.available[2 + RING_SIZE] = (uint16_t)rand_r(&seed);
		guest->rx.available[2 + RING_SIZE] = (uint16_t)rand_r(&seed);
		/* What the device asks for, too. */
		guest->tx.used[2 + RING_SIZE * 4] = (uint16_t)rand_r(&seed);
		guest->rx.used[2 + RING_SIZE * 4] = (uint16_t)rand_r(&seed);
		guest->tx.available[0] = guest->rx.available[0] = (uint16_t)rand_r(&seed);
		guest->tx.used[0] = guest->rx.used[0] = (uint16_t)rand_r(&seed);
		guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, scene->port, "", 0);
		eventfd_write(guest->tx.kick, 1);
		eventfd_write(guest->rx.kick, 1);
		step(guest);
	}
}

struct sender {
	struct test_ring *ring;
	bool over;
};

static void *send_on(void *data)
{
	struct sender *sender = data;

	while (!__atomic_load_n(&sender->over, __ATOMIC_RELAXED))
		__atomic_store_n(&sender->ring->available[1], (uint16_t)(used_index(sender->ring) + RING_SIZE),
				 __ATOMIC_RELEASE);
	return NULL;
}

/* Another of its CPUs fills the ring while the device empties it. Others have their turn in spite of that. */
static void sends_without_end(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	struct sender sender = {.ring = &guest->tx};
	uint64_t address = packet_at(scene, 0);
	int other = client_new(guest, STREAM_PORT);
	pthread_t thread;

	for (uint16_t i = 0; i < RING_SIZE; i++) {
		*tx_descriptor(scene, i) = (struct test_descriptor){.address = address, .length = 44};
		guest->tx.available[2 + i] = i;
	}
	assert_int_equal(pthread_create(&thread, NULL, send_on, &sender), 0);
	eventfd_write(guest->tx.kick, 1);
	steps(guest, 100);
	assert_int_equal(write(other, "CONNECT 5000\n", 13), 13);
	scene_expect(scene, VSOCK_REQUEST, guest->engine.next_port);
	__atomic_store_n(&sender.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	close(other);
	__atomic_store_n(&guest->tx.available[1], used_index(&guest->tx), __ATOMIC_RELEASE);
}

/* ---- Memory -------------------------------------------------------------------------------------------------- */

static struct ring_recorder recorder;

static void set_regions(struct scene *scene, const int *files, const uint32_t *regions, uint32_t count, uint8_t choice)
{
	record_step(&recorder, RING_MEMORY, &choice, 1);
	vmm_set_regions(scene->guest, files, regions, count);
}

/* The table changes while a client's bytes wait for room, and others for who reads them. */
static void memory_set_again(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	uint8_t data[4096] = {0};
	uint64_t left = 0;

	for (unsigned int i = 0; i < 20; i++) {
		guest_send(guest, VSOCK_RW, 1024, scene->port, data, sizeof(data));
		left += sizeof(data);
		record_step(&recorder, RING_MEMORY, &(uint8_t){3}, 1);
		vmm_set_memory(guest);
	}
	while (left > 0)
		left -= (size_t)client_read(guest, scene->client, data, left < sizeof(data) ? left : sizeof(data));
}

static void memory_without_the_payload(struct scene *scene)
{
	set_regions(scene, scene->guest->files, (uint32_t[]){0}, 1, 1);
	guest_send(scene->guest, VSOCK_RW, 1024, scene->port, "where?", 6);
	steps(scene->guest, 3);
}

static void memory_without_the_rings(struct scene *scene)
{
	set_regions(scene, &scene->guest->files[1], (uint32_t[]){1}, 1, 2);
	eventfd_write(scene->guest->tx.kick, 1);
}

static void memory_of_something_else(struct scene *scene)
{
	int files[2] = {memfd_create("other", MFD_CLOEXEC), memfd_create("other", MFD_CLOEXEC)};
	uint8_t data[4096];

	memset(data, 0xff, sizeof(data));
	for (unsigned int i = 0; i < 2; i++)
		for (uint64_t at = 0; at < FENCE + REGION_SIZE; at += sizeof(data))
			assert_int_equal(pwrite(files[i], data, sizeof(data), (off_t)at), sizeof(data));
	set_regions(scene, files, (uint32_t[]){0, 1}, 2, 7);
	close(files[0]);
	close(files[1]);
}

/* What was written before, and not yet seen by the device, is lost for the record: it is not to be read any more. */
static void cut(struct scene *scene, unsigned int file, off_t size)
{
	const uint8_t step[] = {(uint8_t)file, (uint8_t)(size / 4096), (uint8_t)(size / 4096 >> 8), RING_TURN};

	record_step(&recorder, RING_CUT, step, sizeof(step));
	record_stop(&recorder);
	assert_int_equal(ftruncate(scene->guest->files[file], size), 0);
}

static void file_of_the_rings_is_cut(struct scene *scene)
{
	cut(scene, 0, FENCE);
	eventfd_write(scene->guest->tx.kick, 1);
	steps(scene->guest, 3);
	assert_non_null(strstr(log_text(), "its memory is gone"));
}

static void file_of_nothing(struct scene *scene)
{
	cut(scene, 0, 0);
	cut(scene, 1, 0);
	send(scene->client, "x", 1, MSG_NOSIGNAL);
}

static void file_of_the_payload_is_cut(struct scene *scene)
{
	guest_send(scene->guest, VSOCK_RW, 1024, scene->port, "where?", 6);
	cut(scene, 1, FENCE);
}

static void file_is_cut_and_grows_again(struct scene *scene)
{
	cut(scene, 0, FENCE);
	cut(scene, 0, FENCE + REGION_SIZE);
	eventfd_write(scene->guest->tx.kick, 1);
	eventfd_write(scene->guest->rx.kick, 1);
	send(scene->client, "x", 1, MSG_NOSIGNAL);
}

/* Only what the kernel writes is gone; it says EFAULT where a program gets a signal. */
static void room_is_cut(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;

	for (uint16_t i = 0; i < RING_SIZE; i += 2) {
		guest->rx.descriptors[i].address = GUEST_BASE + 0x40000u;
		guest->rx.descriptors[i + 1].address = GUEST_BASE + 2 * REGION_SIZE - 8192;
	}
	cut(scene, 1, FENCE);
	use_all_room(scene);
	steps(guest, 3);
	/* The end of one connection, told like any. */
	assert_int_equal(guest->device.broken, false);
}

/* ---- Packets ------------------------------------------------------------------------------------------------- */

static void packets_of_others(struct scene *scene)
{
	struct vsock_header header = guest_header(scene->guest, VSOCK_RW, 1024, scene->port);

	header.length = 3;
	header.source_cid = GUEST_CID + 1;
	guest_send_header(scene->guest, header, "bad", 3);
	header.source_cid = 2;
	guest_send_header(scene->guest, header, "bad", 3);
	header.source_cid = UINT64_MAX;
	guest_send_header(scene->guest, header, "bad", 3);
	header.source_cid = GUEST_CID;
	header.destination_cid = 1;
	guest_send_header(scene->guest, header, "bad", 3);
	header.destination_cid = (UINT64_C(1) << 32) + 2;
	guest_send_header(scene->guest, header, "bad", 3);
	guest_silent(scene->guest);
}

static void packets_of_no_connection(struct scene *scene)
{
	static const enum vsock_operation unexpected[] = {VSOCK_RESPONSE, VSOCK_SHUTDOWN, VSOCK_RW,
							  VSOCK_CREDIT_UPDATE, VSOCK_INVALID, 99, 0xffff};

	for (size_t i = 0; i < array_size(unexpected); i++) {
		guest_send(scene->guest, unexpected[i], 5, 6, "", 0);
		assert_int_equal(guest_expect(scene->guest, VSOCK_RST).header.destination_port, 5);
	}
	guest_send(scene->guest, VSOCK_RST, 5, 6, "", 0);
	guest_silent(scene->guest);
}

static void packets_of_no_type(struct scene *scene)
{
	static const uint16_t types[] = {0, 3, 257, 0xffff};
	struct vsock_header header = guest_header(scene->guest, VSOCK_REQUEST, 9, 9);

	for (size_t i = 0; i < array_size(types); i++) {
		header.type = types[i];
		guest_send_header(scene->guest, header, "", 0);
		assert_int_equal(guest_expect(scene->guest, VSOCK_RST).header.destination_port, 9);
	}
}

static void an_answer_twice(struct scene *scene)
{
	guest_send(scene->guest, VSOCK_RESPONSE, 1024, scene->port, "", 0);
}

static void an_unknown_operation(struct scene *scene)
{
	guest_send(scene->guest, 8, 1024, scene->port, "", 0);
}

static void a_request_on_a_connection(struct scene *scene)
{
	guest_send(scene->guest, VSOCK_REQUEST, 1024, scene->port, "", 0);
}

static void data_after_the_end(struct scene *scene)
{
	guest_shut(scene->guest, 1024, scene->port, VSOCK_SHUTDOWN_SEND);
	guest_send(scene->guest, VSOCK_RW, 1024, scene->port, "x", 1);
}

static void a_shutdown_of_nothing(struct scene *scene)
{
	guest_shut(scene->guest, 1024, scene->port, 0);
	guest_shut(scene->guest, 1024, scene->port, 0xfffffffcu);
}

/* Tried again, as with any refusal. */
static void data_instead_of_an_answer(struct scene *scene)
{
	int other = client_new(scene->guest, STREAM_AGENT);
	uint32_t port = guest_expect(scene->guest, VSOCK_REQUEST).header.source_port;

	guest_send(scene->guest, VSOCK_RW, 1024, port, "x", 1);
	scene_expect(scene, VSOCK_RST, port);
	guest_expect(scene->guest, VSOCK_REQUEST);
	close(other);
}

/* ---- Credit -------------------------------------------------------------------------------------------------- */

/* Whatever it says, it gets no more than the buffer it claims. */
static void lies_about_what_was_taken(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	uint8_t data[4096] = {0};
	uint64_t received = 0;
	unsigned int seed = 1;

	guest->buffer = 1000;
	for (unsigned int i = 0; i < 50; i++) {
		struct test_packet packet;

		/* Anything but what was sent, or less by no more than the buffer. */
		guest->forwarded = (uint32_t)received + 1 + (uint32_t)rand_r(&seed);
		guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, scene->port, "", 0);
		send(scene->client, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT);
		steps(guest, 2);
		while (guest_poll(guest, &packet, true))
			received += packet.header.length;
	}
	assert_true(received <= 1000);
	guest->buffer = GUEST_BUFFER;
	guest->forwarded = (uint32_t)received;
	guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, scene->port, "", 0);
}

static void takes_its_buffer_back(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	static const uint32_t buffers[] = {0, UINT32_MAX, 1, 0};

	for (size_t i = 0; i < array_size(buffers); i++) {
		guest->buffer = buffers[i];
		guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, scene->port, "", 0);
		assert_int_equal(write(scene->client, "0123456789", 10), 10);
		steps(guest, 3);
	}
	guest->buffer = GUEST_BUFFER;
	guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, scene->port, "", 0);
}

static void asks_for_credit_without_end(struct scene *scene)
{
	for (unsigned int i = 0; i < 2000; i++)
		guest_send(scene->guest, VSOCK_CREDIT_REQUEST, 1024, scene->port, "", 0);
}

static void sends_more_than_it_may(struct scene *scene)
{
	uint8_t data[4096] = {0};

	for (unsigned int i = 0; i < 4 * VSOCK_BUFFER / sizeof(data); i++)
		guest_send(scene->guest, VSOCK_RW, 1024, scene->port, data, sizeof(data));
	scene_expect(scene, VSOCK_RST, scene->port);
	while (client_read(scene->guest, scene->client, data, sizeof(data)) > 0)
		;
	/* For what scene_reset() waits for: the connection is no longer known. */
	guest_send(scene->guest, VSOCK_RW, 1024, scene->port, "", 0);
}

/* ---- Floods -------------------------------------------------------------------------------------------------- */

/* It sends and sends, and takes nothing. */
static void resets_that_nobody_takes(struct scene *scene)
{
	struct test_packet packet;
	unsigned int resets = 0;

	for (uint32_t i = 0; i < 5000; i++)
		guest_send(scene->guest, VSOCK_RW, i, i, "x", 1);
	steps(scene->guest, 10);
	for (unsigned int i = 0; i < 1000; i++) {
		while (guest_poll(scene->guest, &packet, true))
			resets++;
		step(scene->guest);
	}
	assert_in_range(resets, GUEST_SLOTS, GUEST_SLOTS + VSOCK_RESETS_MAX);
}

/* The limit's worth is taken, and of the rest the log has a few lines. */
static void connections_without_end(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	size_t limit = guest->streams.limits.from_guest, ends = 0, refused = 0;
	struct test_packet packet;
	int fds[2], clients[1000];

	for (uint32_t i = 0; i < array_size(clients); i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
		guest->accept_fd = fds[1];
		clients[i] = fds[0];
		guest_send(guest, VSOCK_REQUEST, 10000 + i, 80, "", 0);
		steps(guest, 2);
		while (guest_poll(guest, &packet, true))
			refused += packet.header.operation == VSOCK_RST;
	}
	assert_int_equal(guest->streams.from_guest, limit);
	assert_int_equal(refused, array_size(clients) - limit);
	assert_true(log_lines() <= LOG_LIMIT_LINES);
	assert_int_equal(ftruncate(log_file, 0), 0);
	for (size_t i = 0; i < array_size(clients); i++) {
		ends += read(clients[i], fds, 1) == 0;
		close(clients[i]);
	}
	assert_int_equal(ends, refused);
	/* They had gone before they were wanted. */
	for (uint32_t i = 0; i < limit; i++)
		guest_send(guest, VSOCK_RST, 10000 + i, 80, "", 0);
	steps(guest, 3);
	assert_int_equal(guest->streams.from_guest, 0);
}

/* Neither accepted nor refused: their time runs out. */
static void connections_that_stay_half_open(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	int clients[100];
	char byte;

	guest->streams.limits.handshake_time = 20 * LOOP_MILLISECOND;
	for (size_t i = 0; i < array_size(clients); i++) {
		clients[i] = client_new(guest, STREAM_PORT);
		assert_int_equal(write(clients[i], "CONNECT 5000\n", 13), 13);
	}
	for (size_t i = 0; i < array_size(clients); i++) {
		assert_int_equal(client_read(guest, clients[i], &byte, 1), 0);
		close(clients[i]);
	}
	assert_int_equal(guest->streams.from_host, 1);
}

/* Each end is announced, and the guest answers none of them. */
static void ends_that_are_not_answered(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	int clients[20];
	uint32_t port;

	for (size_t i = 0; i < array_size(clients); i++)
		clients[i] = client_connected(guest, &port);
	for (size_t i = 0; i < array_size(clients); i++)
		close(clients[i]);
	for (int i = 0; i < STEPS && guest->streams.from_host > 1; i++) {
		struct test_packet packet;

		while (guest_poll(guest, &packet, true))
			;
		step_waiting(guest);
	}
	assert_int_equal(guest->streams.from_host, 1);
}

/* ---- The table ----------------------------------------------------------------------------------------------- */

static const struct attack {
	const char *name;
	void (*carry_out)(struct scene *scene);
	enum outcome outcome;
	const char *what;
} attacks[] = {
#define ATTACK(function, outcome, what) {#function, function, outcome, what}
	/* Bad indices. */
	ATTACK(head_out_of_range, STOPS, "a chain's head is the first number behind the ring"),
	ATTACK(head_far_out_of_range, STOPS, "a chain's head is 65535"),
	ATTACK(next_out_of_range, STOPS, "a descriptor's next is behind the ring"),
	ATTACK(index_too_far_ahead, STOPS, "more is available than the ring has places"),
	ATTACK(index_goes_back, STOPS, "less is available than was used"),
	ATTACK(good_packet_before_a_bad_one, STOPS, "what came before a bad head is delivered"),
	ATTACK(breaks_it_again_and_again, STOPS, "bad heads in 21 drivers, one after the other"),
	ATTACK(a_head_twice, GOES_ON, "a head is available twice at a time"),
	/* Loops. */
	ATTACK(chain_to_itself, STOPS, "a descriptor's next is itself"),
	ATTACK(chain_in_a_circle_of_nothing, STOPS, "two empty descriptors lead to each other"),
	/* Addresses. */
	ATTACK(address_beyond_memory, STOPS, "a buffer begins where memory ends"),
	ATTACK(buffer_over_the_end, STOPS, "a buffer ends one byte behind memory"),
	ATTACK(address_that_wraps, STOPS, "address and length are more than 64 bits"),
	ATTACK(huge_length, STOPS, "a buffer of 4 GiB"),
	ATTACK(room_beyond_memory, STOPS, "room for packets is behind memory"),
	/* Lengths. */
	ATTACK(packet_without_a_header, STOPS, "a packet of 43 bytes"),
	ATTACK(chain_of_nothing, STOPS, "a packet of no bytes, one descriptor of which is nowhere"),
	ATTACK(empty_descriptors_between, GOES_ON, "empty descriptors before, between and after"),
	ATTACK(payload_longer_than_the_chain, STOPS, "the header's length is one too many"),
	ATTACK(payload_of_nearly_everything, STOPS, "the header's length overflows with the header's"),
	ATTACK(room_for_less_than_a_header, STOPS, "room of 40 bytes"),
	ATTACK(room_for_a_header_only, STOPS, "room of 44 bytes"),
	ATTACK(readable_room, STOPS, "room that the device may not write"),
	ATTACK(writable_buffer_to_send, STOPS, "a packet that the device may write"),
	/* What overlaps. */
	ATTACK(payload_over_its_header, GOES_ON, "header and payload are the same bytes"),
	ATTACK(payload_of_one_buffer_often, GOES_ON, "a payload of 252 KB, all of it the same buffer"),
	ATTACK(room_that_overlaps, EITHER, "all room is the same buffer"),
	ATTACK(room_over_descriptors, EITHER, "room is the table of descriptors"),
	ATTACK(room_over_what_is_available, EITHER, "room is the available ring"),
	ATTACK(room_over_what_is_used, EITHER, "room is the used ring"),
	ATTACK(room_over_the_other_ring, EITHER, "room is the other queue's ring"),
	ATTACK(rings_over_each_other, EITHER, "used and available ring are one, two queues have one table"),
	/* Indirect tables. */
	ATTACK(indirect_without_the_feature, STOPS, "an indirect table that wasn't negotiated"),
	ATTACK(indirect_of_odd_size, STOPS, "an indirect table of one descriptor and a half"),
	ATTACK(indirect_of_nothing, STOPS, "an empty indirect table"),
	ATTACK(indirect_that_is_long, STOPS, "an indirect table that is longer than the ring"),
	ATTACK(indirect_beyond_memory, STOPS, "an indirect table that ends behind memory"),
	ATTACK(indirect_over_the_border, STOPS, "an indirect table in two regions"),
	ATTACK(indirect_with_a_next, STOPS, "an indirect table that something follows"),
	ATTACK(indirect_at_an_odd_address, STOPS, "an indirect table that isn't aligned"),
	ATTACK(indirect_in_indirect, STOPS, "an indirect table in an indirect table"),
	ATTACK(indirect_next_out_of_range, STOPS, "next leads out of an indirect table"),
	/* Notifications. */
	ATTACK(kicks_for_nothing, GOES_ON, "1,000 kicks, with nothing in the rings"),
	ATTACK(calls_that_nobody_reads, GOES_ON, "the counter of its interrupts is full"),
	ATTACK(wishes_for_other_notifications, GOES_ON, "all fields of EVENT_IDX and both flags are random"),
	ATTACK(sends_without_end, GOES_ON, "its ring is full whenever the device has looked"),
	/* Memory. */
	ATTACK(memory_set_again, GOES_ON, "the same table again and again, while packets wait"),
	ATTACK(memory_without_the_payload, STOPS, "the region with the packets goes"),
	ATTACK(memory_without_the_rings, STOPS, "the region with the rings goes"),
	ATTACK(memory_of_something_else, STOPS, "other files, full of ones, under the rings"),
	ATTACK(file_of_the_rings_is_cut, STOPS, "the memfd with the rings is truncated"),
	ATTACK(file_of_nothing, STOPS, "both memfds are truncated to nothing"),
	ATTACK(file_of_the_payload_is_cut, STOPS, "the memfd with a packet is truncated before it is read"),
	ATTACK(file_is_cut_and_grows_again, EITHER, "the memfd with the rings is truncated, and zeros come instead"),
	ATTACK(room_is_cut, EITHER, "the memfd with the room is truncated, where only the kernel writes"),
	/* CIDs, types, operations. */
	ATTACK(packets_of_others, GOES_ON, "packets from and to other CIDs are dropped"),
	ATTACK(packets_of_no_connection, GOES_ON, "packets of no connection are answered by RST, but for RST"),
	ATTACK(packets_of_no_type, GOES_ON, "packets of unknown types are answered by RST"),
	ATTACK(an_answer_twice, RESET, "a second RESPONSE"),
	ATTACK(an_unknown_operation, RESET, "operation 8"),
	ATTACK(a_request_on_a_connection, RESET, "a second REQUEST"),
	ATTACK(data_after_the_end, RESET, "data after SHUTDOWN"),
	ATTACK(a_shutdown_of_nothing, GOES_ON, "SHUTDOWN with no flag, or unknown ones"),
	ATTACK(data_instead_of_an_answer, GOES_ON, "data before RESPONSE resets that connection"),
	/* Credit. */
	ATTACK(lies_about_what_was_taken, GOES_ON, "it says to have taken more than was sent, or less"),
	ATTACK(takes_its_buffer_back, GOES_ON, "its buffer becomes nothing, 4 GiB, one byte"),
	ATTACK(asks_for_credit_without_end, GOES_ON, "2,000 requests for credit"),
	ATTACK(sends_more_than_it_may, RESET, "four times what it has credit for"),
	/* Floods. */
	ATTACK(resets_that_nobody_takes, GOES_ON, "5,000 packets of no connection, with no room for the answers"),
	ATTACK(connections_without_end, GOES_ON, "1,000 connections: the limit's worth is taken"),
	ATTACK(connections_that_stay_half_open, GOES_ON, "100 requests that it never answers"),
	ATTACK(ends_that_are_not_answered, GOES_ON, "20 ends that it never answers"),
};

static void (*const follow[])(struct scene *scene) = {
	[STOPS] = scene_stopped, [RESET] = scene_reset, [GOES_ON] = scene_served, [EITHER] = scene_either};

static void attack(void **state)
{
	const struct attack *attack = *state;
	unsigned int descriptors = open_descriptors();
	size_t allocated = __sanitizer_get_current_allocated_bytes();
	struct scene scene = scene_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC);

	assert_int_equal(ftruncate(log_file, 0), 0);
	record_start(&recorder, scene.guest, attack->name);
	attack->carry_out(&scene);
	record_stop(&recorder);
	assert_true(__sanitizer_get_current_allocated_bytes() < allocated + GROWTH_MAX);
	follow[attack->outcome](&scene);
	if (attack->outcome != EITHER)
		assert_int_equal(log_lines(), attack->outcome == STOPS ? 1 : 0);
	assert_true(log_lines() <= 1);
	scene_end(&scene);
	assert_int_equal(open_descriptors(), descriptors);
	assert_int_equal(__sanitizer_get_current_allocated_bytes(), allocated);
}

/* ---- At random ----------------------------------------------------------------------------------------------- */

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
	/* Each of the three, with its last bytes behind the end. */
	guest->memory = memory;
	for (unsigned int i = 0; i < 3; i++) {
		struct test_ring ring = guest->tx;
		void *end = memory + 2 * REGION_SIZE - 16;

		vmm_stop_ring(guest, 0);
		vmm_stop_ring(guest, 1);
		ring.descriptors = i == 0 ? end : ring.descriptors;
		ring.available = i == 1 ? end : ring.available;
		ring.used = i == 2 ? end : ring.used;
		vmm_set_ring(guest, 0, &guest->rx);
		vmm_set_ring(guest, 1, &ring);
		assert_false(guest->device.running);
	}
	assert_false(guest->ended);
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
		scene_end(&scene);
	}
}

/* Another CPU of the guest's, which changes what the device is just reading: a good value, a bad one, a good one. */
struct scribbler {
	struct fake_guest *guest;
	bool over;
};

static void *scribble(void *data)
{
	struct scribbler *scribbler = data;
	struct fake_guest *guest = scribbler->guest;
	unsigned int seed = 7;

	while (!__atomic_load_n(&scribbler->over, __ATOMIC_RELAXED)) {
		struct test_ring *ring = rand_r(&seed) % 2 ? &guest->rx : &guest->tx;
		unsigned int slot = (unsigned int)rand_r(&seed) % GUEST_SLOTS;
		volatile struct test_descriptor *descriptor = &ring->descriptors[slot * 2 + rand_r(&seed) % 2];
		volatile uint32_t *length = guest_at(guest, guest->tx.slots + slot * SLOT_SIZE + 24);
		struct test_descriptor good = *descriptor;
		uint32_t good_length = *length;

		descriptor->address = GUEST_BASE + 2 * REGION_SIZE - 20;
		descriptor->length = UINT32_MAX - 3;
		descriptor->next = (uint16_t)rand_r(&seed);
		descriptor->flags = (uint16_t)(good.flags | rand_r(&seed) % 8);
		*length = (uint32_t)rand_r(&seed) % 128;
		descriptor->flags = good.flags;
		descriptor->next = good.next;
		descriptor->length = good.length;
		descriptor->address = good.address;
		*length = good_length;
	}
	return NULL;
}

/* Makes all of both rings available again and again, until the device stops. */
static void run_against(struct scene *scene, struct scribbler *scribbler, unsigned int rounds)
{
	struct fake_guest *guest = scene->guest;
	char data[3000] = {0};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, scribble, scribbler), 0);
	for (unsigned int i = 0; i < rounds && !guest->device.broken; i++) {
		for (uint16_t slot = 0; slot < RING_SIZE; slot++) {
			guest->tx.available[2 + slot] = (uint16_t)(slot % GUEST_SLOTS * 2);
			guest->rx.available[2 + slot] = (uint16_t)(slot % GUEST_SLOTS * 2);
		}
		__atomic_store_n(&guest->tx.available[1], (uint16_t)(used_index(&guest->tx) + GUEST_SLOTS), __ATOMIC_RELEASE);
		__atomic_store_n(&guest->rx.available[1], (uint16_t)(used_index(&guest->rx) + GUEST_SLOTS), __ATOMIC_RELEASE);
		eventfd_write(guest->tx.kick, 1);
		eventfd_write(guest->rx.kick, 1);
		send(scene->client, data, sizeof(data), MSG_NOSIGNAL | MSG_DONTWAIT);
		steps(guest, 2);
		while (recv(scene->client, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
	}
	__atomic_store_n(&scribbler->over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static void rings_change_while_they_are_read(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 30; round++) {
		struct scene scene = scene_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC);
		struct scribbler scribbler = {.guest = scene.guest};
		struct vsock_header header = guest_header(scene.guest, VSOCK_RW, 1024, scene.port);
		struct vsock_wire_header wire;

		header.length = 40;
		header.buffer = UINT32_MAX;
		wire = vsock_header_encode(&header);
		for (uint16_t slot = 0; slot < GUEST_SLOTS; slot++) {
			memcpy(guest_at(scene.guest, scene.guest->tx.slots + slot * SLOT_SIZE), &wire, sizeof(wire));
			describe(scene.guest, &scene.guest->tx, slot, 84, 0);
		}
		run_against(&scene, &scribbler, 100);
		scene_either(&scene);
		scene_end(&scene);
	}
}

/* ---- The VMM ------------------------------------------------------------------------------------------------- */

static void vmm_ends(struct fake_guest *guest)
{
	steps(guest, 3);
	assert_true(guest->ended);
	assert_false(vhost_user_connected(&guest->vhost));
	assert_false(guest->device.running);
	/* A line of the log says why, unless there were many such lately. */
	assert_true(log_lines() <= 1);
	guest_free(guest);
}

static struct fake_guest *running(void)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);

	guest_start(guest);
	assert_int_equal(ftruncate(log_file, 0), 0);
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

static void *no_work(void *data)
{
	return data;
}

/* What the C library keeps for threads comes with the first one, and isn't to be counted later. */
static void first_thread(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, no_work, NULL);
	pthread_join(thread, NULL);
}

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(rings_outside_memory),
		cmocka_unit_test(random_rings),
		cmocka_unit_test(rings_change_while_they_are_read),
		cmocka_unit_test(bad_messages_end_the_connection),
		cmocka_unit_test(unknown_messages_are_answered),
		cmocka_unit_test(messages_in_pieces),
		cmocka_unit_test(bad_memory_tables),
	};

	struct CMUnitTest tests[array_size(attacks) + array_size(others)];

	alarm(100);
	signal(SIGPIPE, SIG_IGN); /* as the proxy does */
	log_file = memfd_create("log", MFD_CLOEXEC);
	fcntl(log_file, F_SETFL, O_APPEND);
	log_open(log_file, LOG_TEXT, LOG_WARNING, "test");
	first_thread();
	for (size_t i = 0; i < array_size(attacks); i++)
		tests[i] = (struct CMUnitTest){attacks[i].name, attack, NULL, NULL, (void *)&attacks[i]};
	memcpy(tests + array_size(attacks), others, sizeof(others));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
