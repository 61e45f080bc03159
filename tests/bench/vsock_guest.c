/* A guest that consists of its vsock driver: the vhost-user front-end, memory in a memfd, two rings, and a thread in the place of a
 * processor, which sleeps on an eventfd where a guest would wait for an interrupt. It does with the rings what Linux 6.1 does: a
 * packet is two descriptors, 44 bytes and at most 4 KiB towards it, at most 64 KiB from it; EVENT_IDX where the device has it. No
 * payload is looked at. It asks to be told of sent packets when it can't go on without.
 */
#include "vsock.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/vsock_packet.h"

#define SLOTS 64u
#define RING (2 * SLOTS)
#define HEADER 64u /* a header's place */
#define RX_SIZE 4096u
#define TX_SIZE 65536u
#define MEMORY (8u << 20)
#define EVENT_INDEX (UINT64_C(1) << 29)
#define VERSION_1 (UINT64_C(1) << 32)
#define PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define CONNECTIONS 256

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

struct ring {
	struct descriptor *descriptors;
	uint16_t *available; /* flags, index, ring, used_event */
	uint16_t *used;	     /* flags, index, ring of {u32, u32}, avail_event */
	uint8_t *headers, *data;
	uint16_t published, kicked; /* available index; the one at the last look whether to kick */
	uint16_t seen;		    /* used index */
	int kick;
};

struct connection {
	bool open;
	uint32_t host_port;
	uint32_t received, announced;
	uint32_t sent, taken, room; /* taken: of what was sent */
};

static struct {
	int socket, memory_file, call;
	uint64_t features;
	uint8_t *memory;
	struct ring rx, tx;
	struct connection connections[CONNECTIONS];
	struct connection *talking; /* the one that is measured */
	const struct bench *bench;
	uint64_t left;
	sem_t done;
} guest;

/* ---- vhost-user ---------------------------------------------------------------------------------------------- */

struct message {
	uint32_t request, flags, size;
	uint8_t payload[256];
} __attribute__((packed));

static void vmm_send(uint32_t request, const void *payload, size_t size, int fd)
{
	struct message message = {.request = request, .flags = 1, .size = (uint32_t)size};

	memcpy(message.payload, payload, size);
	if (fd_send(guest.socket, &message, 12 + size, &fd, fd >= 0) < 0)
		die("speak to the device");
}

static uint64_t vmm_get(uint32_t request)
{
	struct message message;
	uint64_t value;

	vmm_send(request, "", 0, -1);
	if (recv(guest.socket, &message, 12 + sizeof(value), MSG_WAITALL) != 12 + sizeof(value))
		die("hear the device");
	memcpy(&value, message.payload, sizeof(value));
	return value;
}

static void vmm_set(uint32_t request, uint64_t value, int fd)
{
	vmm_send(request, &value, sizeof(value), fd);
}

static void vmm_set_ring(uint32_t index, const struct ring *ring)
{
	struct {
		uint32_t index, flags;
		uint64_t descriptors, used, available, log;
	} addresses = {
		.index = index,
		.descriptors = (uintptr_t)ring->descriptors,
		.used = (uintptr_t)ring->used,
		.available = (uintptr_t)ring->available,
	};
	uint32_t pair[2] = {index, RING};

	vmm_send(8, pair, sizeof(pair), -1);
	pair[1] = 0;
	vmm_send(10, pair, sizeof(pair), -1);
	vmm_send(9, &addresses, sizeof(addresses), -1);
	vmm_set(13, index, guest.call);
	vmm_set(12, index, ring->kick);
	pair[1] = 1;
	vmm_send(18, pair, sizeof(pair), -1);
}

static void vmm_start(const char *path)
{
	struct {
		uint32_t count, padding;
		uint64_t guest_address, size, user_address, offset;
	} table = {.count = 1, .size = MEMORY, .user_address = (uintptr_t)guest.memory};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	guest.socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(guest.socket, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect to the device");
	guest.features = vmm_get(1);
	vmm_get(15);
	vmm_set(16, 0, -1);
	vmm_send(3, "", 0, -1);
	guest.features &= EVENT_INDEX | VERSION_1 | PROTOCOL_FEATURES;
	vmm_set(2, guest.features, -1);
	vmm_send(5, &table, sizeof(table), guest.memory_file);
	vmm_set_ring(0, &guest.rx);
	vmm_set_ring(1, &guest.tx);
	vmm_get(1); /* all of this has been done */
}

/* ---- Rings --------------------------------------------------------------------------------------------------- */

static uint16_t used_index(const struct ring *ring)
{
	return __atomic_load_n(&ring->used[1], __ATOMIC_ACQUIRE);
}

static void signal_device(struct ring *ring)
{
	if (eventfd_write(ring->kick, 1) < 0)
		die("kick");
}

/* Kicks for what has been published since the last time, where the device wants that. */
static void kick(struct ring *ring)
{
	uint16_t old = ring->kicked, event;

	__atomic_store_n(&ring->available[1], ring->published, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->published == old)
		return;
	ring->kicked = ring->published;
	event = __atomic_load_n(&ring->used[2 + RING * 4], __ATOMIC_RELAXED);
	if (guest.features & EVENT_INDEX ? (uint16_t)(ring->published - event - 1) < (uint16_t)(ring->published - old)
					 : !(ring->used[0] & 1))
		signal_device(ring);
}

static void publish(struct ring *ring, uint16_t slot)
{
	ring->available[2 + ring->published++ % RING] = (uint16_t)(slot * 2);
}

/* Asks to be told when the used index goes beyond `seen` + `ahead`. True where it has. */
static bool listen_to(struct ring *ring, uint16_t ahead)
{
	__atomic_store_n(&ring->available[2 + RING], (uint16_t)(ring->seen + ahead), __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(used_index(ring) - ring->seen) > ahead;
}

static void lay_out(struct ring *ring, uint8_t *place, uint32_t data_size, uint16_t flags)
{
	ring->descriptors = (void *)place;
	ring->available = (void *)(place + 0x1000);
	ring->used = (void *)(place + 0x2000);
	ring->headers = place + 0x4000;
	ring->data = place + 0x10000;
	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (uint16_t slot = 0; slot < SLOTS; slot++) {
		ring->descriptors[2 * slot] = (struct descriptor){
			.address = (uint64_t)(ring->headers + slot * HEADER - guest.memory),
			.length = VSOCK_HEADER_SIZE,
			.flags = flags | 1,
			.next = (uint16_t)(2 * slot + 1),
		};
		ring->descriptors[2 * slot + 1] = (struct descriptor){
			.address = (uint64_t)(ring->data + slot * data_size - guest.memory),
			.length = data_size,
			.flags = flags,
		};
	}
}

/* ---- Packets ------------------------------------------------------------------------------------------------- */

static bool slot_free(void)
{
	guest.tx.seen = used_index(&guest.tx);
	return (uint16_t)(guest.tx.published - guest.tx.seen) < SLOTS;
}

static void wait_for_slot(void)
{
	eventfd_t count;

	kick(&guest.tx);
	/* Half of them, so that it isn't woken for each. */
	while (!slot_free())
		if (!listen_to(&guest.tx, SLOTS / 2 - 1) && eventfd_read(guest.call, &count) < 0)
			die("wait for the device");
	/* The word may have been of something else. */
	eventfd_write(guest.call, 1);
}

/* There has to be a free slot for data; for anything else it is waited for. */
static void send_packet(struct connection *connection, enum vsock_operation operation, uint32_t length)
{
	struct ring *ring = &guest.tx;
	uint16_t slot = ring->published % SLOTS;
	struct vsock_header header = {
		.source_cid = BENCH_GUEST_CID,
		.destination_cid = VSOCK_HOST_CID,
		.source_port = BENCH_PORT,
		.destination_port = connection->host_port,
		.length = length,
		.type = VSOCK_TYPE_STREAM,
		.operation = (uint16_t)operation,
		.buffer = BENCH_WINDOW,
		.forwarded = connection->received,
	};
	struct vsock_wire_header wire = vsock_header_encode(&header);

	if (!slot_free())
		wait_for_slot();
	connection->announced = connection->received;
	memcpy(ring->headers + slot * HEADER, &wire, sizeof(wire));
	ring->descriptors[2 * slot].flags = length > 0;
	ring->descriptors[2 * slot + 1].length = length;
	publish(ring, slot);
}

/* A full ring aside. */
static bool may_send(void)
{
	const struct connection *connection = guest.talking;

	return connection && guest.bench->way == TO_HOST && guest.left > 0 &&
	       connection->sent - connection->taken + guest.bench->size <= connection->room;
}

static void send_data(void)
{
	while (may_send() && slot_free()) {
		uint32_t size = (uint32_t)guest.bench->size;

		send_packet(guest.talking, VSOCK_RW, size);
		guest.talking->sent += size;
		guest.left -= size;
	}
}

static void receive_data(struct connection *connection, uint32_t length)
{
	connection->received += length;
	if (connection->received - connection->announced >= BENCH_WINDOW / 2)
		send_packet(connection, VSOCK_CREDIT_UPDATE, 0);
	if (connection != guest.talking || guest.bench->way == TO_HOST)
		return;
	if (guest.bench->way == ROUND_TRIP)
		send_packet(connection, VSOCK_RW, length);
	guest.left -= length;
	if (guest.left == 0)
		sem_post(&guest.done);
}

static struct connection *find(uint32_t host_port)
{
	struct connection *unused = NULL;

	for (size_t i = 0; i < CONNECTIONS; i++) {
		if (guest.connections[i].open && guest.connections[i].host_port == host_port)
			return &guest.connections[i];
		if (!guest.connections[i].open && !unused)
			unused = &guest.connections[i];
	}
	if (!unused)
		die("have more connections");
	*unused = (struct connection){.host_port = host_port};
	return unused;
}

static void receive(const struct vsock_header *header)
{
	struct connection *connection = find(header->source_port);

	connection->room = header->buffer;
	connection->taken = header->forwarded;
	switch (header->operation) {
	case VSOCK_REQUEST:
		connection->open = true;
		if (guest.bench)
			guest.talking = connection;
		send_packet(connection, VSOCK_RESPONSE, 0);
		break;
	case VSOCK_RW:
		receive_data(connection, header->length);
		break;
	case VSOCK_CREDIT_REQUEST:
		send_packet(connection, VSOCK_CREDIT_UPDATE, 0);
		break;
	case VSOCK_SHUTDOWN:
		if (header->flags == VSOCK_SHUTDOWN_BOTH)
			send_packet(connection, VSOCK_RST, 0);
		break;
	case VSOCK_RST:
		connection->open = false;
		break;
	default:
		break;
	}
}

static void receive_all(void)
{
	struct ring *ring = &guest.rx;

	while (used_index(ring) != ring->seen) {
		struct vsock_wire_header wire;
		struct vsock_header header;
		uint16_t slot = ring->used[2 + (ring->seen % RING) * 4] / 2;

		memcpy(&wire, ring->headers + slot * HEADER, sizeof(wire));
		header = vsock_header_decode(&wire);
		ring->seen++;
		publish(ring, slot);
		receive(&header);
	}
}

static void *run(void *nothing)
{
	for (;;) {
		eventfd_t count;

		receive_all();
		send_data();
		kick(&guest.rx);
		kick(&guest.tx);
		if (may_send() && (slot_free() || listen_to(&guest.tx, SLOTS / 2 - 1)))
			continue;
		if (!listen_to(&guest.rx, 0) && eventfd_read(guest.call, &count) < 0)
			die("wait for the device");
	}
	return nothing;
}

/* ---- All together -------------------------------------------------------------------------------------------- */

void guest_start(const char *path)
{
	pthread_t thread;

	sem_init(&guest.done, 0, 0);
	guest.call = eventfd(0, EFD_CLOEXEC);
	guest.memory_file = memfd_create("guest", MFD_CLOEXEC);
	if (guest.memory_file < 0 || ftruncate(guest.memory_file, MEMORY) < 0)
		die("make memory");
	guest.memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, guest.memory_file, 0);
	if (guest.memory == MAP_FAILED)
		die("map memory");
	lay_out(&guest.rx, guest.memory, RX_SIZE, 2);
	lay_out(&guest.tx, guest.memory + (1u << 20), TX_SIZE, 0);
	for (uint16_t slot = 0; slot < SLOTS; slot++)
		publish(&guest.rx, slot);
	__atomic_store_n(&guest.rx.available[1], guest.rx.published, __ATOMIC_RELEASE);
	vmm_start(path);
	/* The device may have chosen for itself, but it is the same file. */
	if (fd_set_blocking(guest.call, true) < 0)
		die("wait for what the device says");
	signal_device(&guest.rx);
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		die("start a thread");
}

void guest_begin(const struct bench *bench)
{
	guest.left = bench->amount;
	guest.bench = bench;
}

void guest_finish(void)
{
	while (sem_wait(&guest.done) < 0)
		;
}

int guest_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[32], *end = line;
	int length = snprintf(line, sizeof(line), "CONNECT %d\n", BENCH_PORT);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || write(fd, line, (size_t)length) != length)
		die("connect to the guest");
	do {
		if (read(fd, end, 1) != 1)
			die("be connected with the guest");
	} while (*end++ != '\n' && end < line + sizeof(line));
	if (strncmp(line, "OK ", 3) != 0)
		die("understand the device");
	return fd;
}
