/* A hostile guest: packets of every kind in the vsock device's rings, and the rings themselves, while clients of the host come
 * and go. The input is a list of steps. */
#include "tests/unit/proxy_fake_guest.h"

#include "tests/fuzz/fuzz.h"

#define CLIENTS_MAX 8
#define PORTS_MAX 4
#define RINGS_SIZE 0x14000 /* both rings: see guest_lay_out() */

struct scene {
	struct fake_guest *guest;
	struct fuzz_input *input;
	bool rewritten; /* the rings are no driver's any more, so nothing is to be expected of them */
	int clients[CLIENTS_MAX];
	size_t client_count;
	uint32_t ports[PORTS_MAX]; /* of the host, that the guest has seen */
	size_t port_next;
};

static void keep_client(struct scene *scene, int fd)
{
	if (scene->client_count == CLIENTS_MAX)
		close(fd);
	else
		scene->clients[scene->client_count++] = fd;
}

/* What has come for the guest. Its assertions hold for a driver that keeps to the rules. */
static void take_packets(struct scene *scene)
{
	static struct test_packet packet;

	while (!scene->rewritten && guest_poll(scene->guest, &packet, true))
		scene->ports[scene->port_next++ % PORTS_MAX] = packet.header.source_port;
}

static void send_packet(struct scene *scene)
{
	struct fake_guest *guest = scene->guest;
	struct fuzz_input *input = scene->input;
	unsigned choices = fuzz_byte(input);
	uint8_t ports = fuzz_byte(input);
	struct vsock_header header;
	const uint8_t *data;
	size_t length;

	guest->layout = choices % 4;
	header = guest_header(guest, fuzz_byte(input) % (VSOCK_OPERATIONS + 1), 1024u + (ports & 3),
			      ports & 4 ? scene->ports[ports >> 6] : ports >> 3);
	length = choices & 4 ? fuzz_u16(input) : fuzz_byte(input);
	if (length > RX_PACKET - 44)
		length = RX_PACKET - 44;
	if (choices & 8) {
		header.buffer = fuzz_u32(input);
		header.forwarded = fuzz_u32(input);
		header.flags = fuzz_byte(input);
	}
	if (choices & 16) {
		header.source_cid = fuzz_byte(input);
		header.destination_cid = fuzz_byte(input);
		header.type = fuzz_byte(input);
	}
	data = fuzz_bytes(input, &length);
	header.length = choices & 32 ? fuzz_u32(input) : (uint32_t)length;
	/* No room, or a device that has given up. */
	if ((uint16_t)(guest->tx.available[1] - used_index(&guest->tx)) < GUEST_SLOTS)
		guest_send_header(guest, header, data ? data : (const uint8_t *)"", (uint32_t)length);
}

static void rewrite_rings(struct scene *scene)
{
	size_t at = fuzz_u16(scene->input) % RINGS_SIZE, length = fuzz_byte(scene->input);
	const uint8_t *bytes = fuzz_bytes(scene->input, &length);

	scene->rewritten = true;
	if (length > 0)
		memcpy(scene->guest->memory + at, bytes, length);
	eventfd_write(scene->guest->rx.kick, 1);
	eventfd_write(scene->guest->tx.kick, 1);
}

static void come(struct scene *scene)
{
	static const char line[] = "CONNECT 1024\n";
	uint8_t origin = fuzz_byte(scene->input);
	size_t length = origin >> 1;
	const uint8_t *bytes;
	int fd;

	if (scene->client_count == CLIENTS_MAX)
		return;
	bytes = fuzz_bytes(scene->input, &length);
	fd = client_new(scene->guest, origin & 1 ? STREAM_AGENT : STREAM_PORT);
	if (!(origin & 1) && length == 0)
		send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL);
	else if (length > 0)
		send(fd, bytes, length, MSG_NOSIGNAL);
	keep_client(scene, fd);
}

/* What a client does. */
static void act(struct scene *scene)
{
	static uint8_t bytes[1 << 16];
	uint8_t choices = fuzz_byte(scene->input);
	size_t length, index;
	int fd;

	if (scene->client_count == 0)
		return;
	index = (choices >> 4) % scene->client_count;
	fd = scene->clients[index];
	switch (choices % 5) {
	case 0:
		length = fuzz_u16(scene->input);
		send(fd, bytes, length, MSG_NOSIGNAL);
		break;
	case 1:
		(void)!read(fd, bytes, sizeof(bytes));
		break;
	case 2:
		shutdown(fd, SHUT_WR);
		break;
	case 3:
		shutdown(fd, SHUT_RDWR);
		break;
	case 4:
		scene->clients[index] = scene->clients[--scene->client_count];
		close(fd);
		break;
	}
}

/* A socket for the next connection that the guest asks for. */
static void expect_connection(struct scene *scene)
{
	int pair[2];

	if (scene->guest->accept_fd >= 0 || scene->client_count == CLIENTS_MAX)
		return;
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	scene->guest->accept_fd = pair[1];
	keep_client(scene, pair[0]);
}

static void expire_timer(struct scene *scene)
{
	if (scene->guest->loop.timers)
		scene->guest->loop.timers->deadline = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const actions[])(struct scene *scene) = {send_packet, send_packet,       send_packet, come,
							       act,	    expect_connection, expire_timer, rewrite_rings};
	struct fuzz_input input = {data, size};
	unsigned before = fuzz_count_fds();
	struct scene scene = {.input = &input, .ports = {1024, 1025, 1026, 1027}};

	scene.guest = guest_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC, LAYOUT_SPLIT);
	guest_start(scene.guest);
	while (input.size > 0 && !scene.guest->ended) {
		actions[fuzz_byte(&input) % (sizeof(actions) / sizeof(actions[0]))](&scene);
		fuzz_step(&scene.guest->loop);
		fuzz_step(&scene.guest->loop);
		take_packets(&scene);
	}
	while (scene.client_count > 0)
		close(scene.clients[--scene.client_count]);
	fd_close(&scene.guest->accept_fd);
	guest_free(scene.guest);
	fuzz_check_fds(before);
	return 0;
}
