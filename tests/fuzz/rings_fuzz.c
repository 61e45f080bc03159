/* A hostile guest as a program for its rings (tests/fuzz/rings.h): memory, indices, EVENT_IDX, memory tables and files change between
 * the device's turns. Whatever the program does: nothing beside guest memory is touched, nothing is left, and a driver that starts
 * over is served. */
#include "tests/fuzz/rings.h"

#include <signal.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/proxy_fake_guest.h"

#define CLIENTS_MAX 8
#define MEMORY_SIZE (2 * REGION_SIZE)
#define PAGES (REGION_SIZE / 4096 + 1)

struct scene {
	struct fake_guest *guest;
	struct fuzz_input *input;
	int clients[CLIENTS_MAX];
	size_t client_count;
	uint32_t port; /* the host's, of the first client */
	size_t sizes[2]; /* of the files: what is behind is no memory, for the guest either */
};

static void keep_client(struct scene *scene, int fd)
{
	if (scene->client_count == CLIENTS_MAX)
		close(fd);
	else
		scene->clients[scene->client_count++] = fd;
}

/* Where the guest can write, or NULL. */
static void *place(const struct scene *scene, uint64_t offset, size_t size)
{
	size_t region = offset / REGION_SIZE, start = offset % REGION_SIZE;

	return region < 2 && start + size <= REGION_SIZE && FENCE + start + size <= scene->sizes[region]
		       ? scene->guest->memory + offset
		       : NULL;
}

static struct test_ring *take_ring(struct scene *scene, uint8_t number)
{
	struct test_ring *ring = number & 1 ? &scene->guest->tx : &scene->guest->rx;

	/* Both are in the first pages of their file, or none of theirs is. */
	return place(scene, 0x14000, 1) ? ring : NULL;
}

static void turn(struct scene *scene)
{
	static char bytes[1 << 16];

	eventfd_write(scene->guest->tx.kick, 1);
	eventfd_write(scene->guest->rx.kick, 1);
	if (scene->client_count > 0)
		send(scene->clients[0], bytes, 100, MSG_NOSIGNAL);
	fuzz_step(&scene->guest->loop);
	fuzz_step(&scene->guest->loop);
	for (size_t i = 0; i < scene->client_count; i++)
		(void)!read(scene->clients[i], bytes, sizeof(bytes));
}

static void write_memory(struct scene *scene)
{
	uint64_t offset = fuzz_u16(scene->input);
	size_t size;
	const uint8_t *bytes;
	void *to;

	offset |= (uint64_t)fuzz_byte(scene->input) << 16;
	size = fuzz_byte(scene->input);
	bytes = fuzz_bytes(scene->input, &size);
	to = place(scene, offset, size);
	if (to && size > 0)
		memcpy(to, bytes, size);
}

static void write_descriptor(struct scene *scene)
{
	struct test_ring *ring = take_ring(scene, fuzz_byte(scene->input));
	uint8_t index = fuzz_byte(scene->input);
	struct test_descriptor descriptor = {.address = GUEST_BASE + fuzz_u32(scene->input)};

	descriptor.length = fuzz_u32(scene->input);
	descriptor.flags = fuzz_byte(scene->input);
	descriptor.next = fuzz_byte(scene->input);
	if (ring)
		ring->descriptors[index % RING_SIZE] = descriptor;
}

static void publish_head(struct scene *scene)
{
	struct test_ring *ring = take_ring(scene, fuzz_byte(scene->input));
	uint8_t head = fuzz_byte(scene->input);

	if (ring)
		ring->available[2 + ring->available[1]++ % RING_SIZE] = head;
}

static void wish(struct scene *scene)
{
	uint8_t which = fuzz_byte(scene->input);
	struct test_ring *ring = take_ring(scene, which);
	uint16_t index = fuzz_u16(scene->input);

	if (ring && which & 2)
		ring->used[2 + RING_SIZE * 4] = index;
	else if (ring)
		ring->available[2 + RING_SIZE] = index;
}

static void write_packet(struct scene *scene)
{
	uint64_t offset = scene->guest->tx.slots - GUEST_BASE + fuzz_byte(scene->input) % GUEST_SLOTS * SLOT_SIZE;
	struct vsock_header header = guest_header(scene->guest, fuzz_byte(scene->input), 1024, scene->port);
	struct vsock_wire_header wire;
	void *to = place(scene, offset, sizeof(wire));

	header.length = fuzz_u16(scene->input);
	header.type = fuzz_byte(scene->input) % 4;
	header.flags = fuzz_u32(scene->input);
	header.forwarded = fuzz_u32(scene->input);
	wire = vsock_header_encode(&header);
	if (to)
		memcpy(to, &wire, sizeof(wire));
}

/* The tests' own functions expect a VMM whose connection stands. */
static void set_memory(struct scene *scene)
{
	uint8_t choice = fuzz_byte(scene->input);
	int other = memfd_create("other", MFD_CLOEXEC);
	int files[2];
	uint32_t regions[2], count = 0;

	promise(other >= 0 && ftruncate(other, FENCE + REGION_SIZE) == 0);
	for (uint32_t i = 0; i < 2; i++)
		if (choice & 1u << i && (choice & 4 || scene->sizes[i] == FENCE + REGION_SIZE)) {
			files[count] = choice & 4 ? other : scene->guest->files[i];
			regions[count++] = i;
		}
	if (count > 0)
		vmm_set_regions(scene->guest, files, regions, count);
	close(other);
}

static void cut_file(struct scene *scene)
{
	unsigned file = fuzz_byte(scene->input) & 1;

	scene->sizes[file] = fuzz_u16(scene->input) % (PAGES + 1) * 4096u;
	promise(ftruncate(scene->guest->files[file], (off_t)scene->sizes[file]) == 0);
}

static void restart(struct scene *scene)
{
	guest_restart(scene->guest);
	scene->sizes[0] = scene->sizes[1] = FENCE + REGION_SIZE;
}

static void accept_next(struct scene *scene)
{
	int type = fuzz_byte(scene->input) & 1 ? SOCK_SEQPACKET : SOCK_STREAM;
	int pair[2];

	if (scene->guest->accept_fd >= 0 || scene->client_count == CLIENTS_MAX)
		return;
	promise(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	scene->guest->accept_fd = pair[1];
	keep_client(scene, pair[0]);
}

static void come(struct scene *scene)
{
	if (scene->client_count < CLIENTS_MAX)
		keep_client(scene, client_new(scene->guest, STREAM_AGENT));
}

static void (*const actions[RING_STEPS])(struct scene *scene) = {
	[RING_TURN] = turn,	    [RING_WRITE] = write_memory, [RING_DESCRIPTOR] = write_descriptor,
	[RING_PUBLISH] = publish_head, [RING_EVENT] = wish,	     [RING_PACKET] = write_packet,
	[RING_MEMORY] = set_memory,    [RING_CUT] = cut_file,	     [RING_RESTART] = restart,
	[RING_ACCEPT] = accept_next,   [RING_CLIENT] = come,
};

/* A client of a driver that has started over, as if nothing had been. */
static void check_service(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	struct test_packet packet = {0};
	char text[4];
	int client;

	while (scene->client_count > 0)
		close(scene->clients[--scene->client_count]);
	fd_close(&guest->accept_fd);
	restart(scene);
	turn(scene);
	while (guest_poll(guest, &packet, true))
		turn(scene);
	client = client_new(guest, STREAM_AGENT);
	for (int i = 0; i < 10 && packet.header.operation != VSOCK_REQUEST; i++) {
		turn(scene);
		guest_poll(guest, &packet, true);
	}
	promise(packet.header.operation == VSOCK_REQUEST);
	guest_send(guest, VSOCK_RESPONSE, 1024, packet.header.source_port, "", 0);
	guest_send(guest, VSOCK_RW, 1024, packet.header.source_port, "fine", 4);
	turn(scene);
	promise(read(client, text, sizeof(text)) == 4 && memcmp(text, "fine", 4) == 0);
	close(client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	unsigned before = fuzz_count_fds();
	struct scene scene = {.input = &input, .sizes = {FENCE + REGION_SIZE, FENCE + REGION_SIZE}};

	scene.guest = guest_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC, LAYOUT_SPLIT);
	guest_start(scene.guest);
	guest_fence(scene.guest);
	keep_client(&scene, client_connected(scene.guest, &scene.port));
	while (input.size > 0)
		actions[fuzz_byte(&input) % RING_STEPS](&scene);
	turn(&scene);
	promise(!scene.guest->ended);
	check_service(&scene);
	guest_free(scene.guest);
	fuzz_check_fds(before);
	return 0;
}
