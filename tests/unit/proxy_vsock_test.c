// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c proxy/guest_memory.c proxy/virtqueue.c
// uses: proxy/vhost_user.c proxy/vhost_user_requests.c proxy/vhost_vsock.c lib/vsock_engine.c lib/vsock_send.c
// uses: proxy/stream.c proxy/message_socket.c lib/vsock_socket.c proxy/line.c
/* The proxy's vsock device with a guest that keeps to the rules: opening, data, credit, closing. */
#include "tests/unit/proxy_fake_guest.h"

#define MIB (1u << 20)

static uint8_t pattern(uint64_t position)
{
	return (uint8_t)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static void fill_pattern(uint8_t *data, size_t length, uint64_t position)
{
	for (size_t i = 0; i < length; i++)
		data[i] = pattern(position + i);
}

static void check_pattern(const uint8_t *data, size_t length, uint64_t position)
{
	for (size_t i = 0; i < length; i++)
		if (data[i] != pattern(position + i))
			fail_msg("byte %llu is wrong", (unsigned long long)(position + i));
}

/* ---- Opening ------------------------------------------------------------------------------------------------- */

static void configuration_is_the_cid(void **state)
{
	struct fake_guest *guest = guest_new(0, LAYOUT_SPLIT);
	uint32_t request[5] = {0, 8, 0};
	struct vhost_user_message reply;
	uint64_t cid;

	(void)state;
	vmm_send(guest, 24, request, sizeof(request));
	reply = vmm_reply(guest);
	memcpy(&cid, reply.payload + 12, sizeof(cid));
	assert_int_equal(reply.header.size, 20);
	assert_int_equal(cid, GUEST_CID);
	assert_int_equal(vmm_get(guest, 17), 3);
	guest_free(guest);
}

static void agent_clients_wait_for_the_guest(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	int fd = client_new(guest, STREAM_AGENT);
	struct test_packet packet;
	uint32_t port;

	(void)state;
	assert_int_equal(write(fd, "ping", 4), 4);
	steps(guest, 5);
	guest_start(guest);
	/* Nobody listens yet: asked again, from another port. */
	packet = guest_expect(guest, VSOCK_REQUEST);
	assert_int_equal(packet.header.destination_port, 1024);
	assert_int_equal(packet.header.buffer, VSOCK_BUFFER);
	port = packet.header.source_port;
	guest_send(guest, VSOCK_RST, 1024, port, "", 0);
	packet = guest_expect(guest, VSOCK_REQUEST);
	assert_int_not_equal(packet.header.source_port, port);
	port = packet.header.source_port;
	assert_int_equal(guest->agents, 0);
	guest_send(guest, VSOCK_RESPONSE, 1024, port, "", 0);
	packet = guest_expect(guest, VSOCK_RW);
	assert_int_equal(guest->agents, 1);
	assert_int_equal(packet.header.length, 4);
	assert_memory_equal(packet.data, "ping", 4);
	guest_send(guest, VSOCK_RW, 1024, port, "pong", 4);
	client_expect(guest, fd, "pong");
	/* Once it was up, an end is an end. */
	guest_send(guest, VSOCK_RST, 1024, port, "", 0);
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	guest_silent(guest);
	close(fd);
	guest_free(guest);
}

static void port_clients_name_their_port(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	int fd = client_new(guest, STREAM_PORT);
	struct test_packet packet;
	char answer[32];

	(void)state;
	guest_start(guest);
	assert_int_equal(write(fd, "conn", 4), 4);
	steps(guest, 3);
	/* What follows the line belongs to the guest. */
	assert_int_equal(write(fd, "ECT 5000\nrest", 13), 13);
	packet = guest_expect(guest, VSOCK_REQUEST);
	assert_int_equal(packet.header.destination_port, 5000);
	guest_send(guest, VSOCK_RESPONSE, 5000, packet.header.source_port, "", 0);
	snprintf(answer, sizeof(answer), "OK %u\n", packet.header.source_port);
	client_expect(guest, fd, answer);
	packet = guest_expect(guest, VSOCK_RW);
	assert_int_equal(packet.header.length, 4);
	assert_memory_equal(packet.data, "rest", 4);
	close(fd);
	guest_free(guest);
}

static void port_clients_are_refused(void **state)
{
	static const char *const bad[] = {"CONNECT x\n", "CONNECT 1 2\n", "GET / HTTP/1.0\r\n", "CONNECT 4294967296\n",
					  "CONNECT 11111111111111111111111111111111\n"};
	struct fake_guest *guest = guest_new(0, LAYOUT_SPLIT);
	struct test_packet packet;
	int fd = client_new(guest, STREAM_PORT);

	(void)state;
	/* No driver. */
	assert_int_equal(write(fd, "CONNECT 5000\n", 13), 13);
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	close(fd);
	guest_start(guest);
	fd = client_new(guest, STREAM_PORT);
	assert_int_equal(write(fd, "Connect 5000\r\n", 14), 14);
	packet = guest_expect(guest, VSOCK_REQUEST);
	guest_send(guest, VSOCK_RST, 5000, packet.header.source_port, "", 0);
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	close(fd);
	for (size_t i = 0; i < array_size(bad); i++) {
		char byte;

		fd = client_new(guest, STREAM_PORT);
		assert_int_equal(write(fd, bad[i], strlen(bad[i])), strlen(bad[i]));
		steps(guest, 3);
		assert_true(read(fd, &byte, 1) == 0 || errno == ECONNRESET);
		close(fd);
	}
	guest_silent(guest);
	assert_int_equal(guest->streams.from_host, 0);
	guest_free(guest);
}

static void guest_connects(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	int pair[2];

	(void)state;
	guest_start(guest);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	guest_send(guest, VSOCK_REQUEST, 77, 5000, "", 0);
	assert_int_equal(guest_expect(guest, VSOCK_RST).header.destination_port, 77);
	guest->accept_fd = pair[1];
	guest_send(guest, VSOCK_REQUEST, 77, 5000, "", 0);
	assert_int_equal(guest_expect(guest, VSOCK_RESPONSE).header.source_port, 5000);
	guest_send(guest, VSOCK_RW, 77, 5000, "up", 2);
	client_expect(guest, pair[0], "up");
	assert_int_equal(write(pair[0], "down", 4), 4);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 4);
	/* The same ports again: the guest has lost track. */
	guest_send(guest, VSOCK_REQUEST, 77, 5000, "", 0);
	guest_expect(guest, VSOCK_RST);
	assert_int_equal(client_read(guest, pair[0], &(char){0}, 1), 0);
	close(pair[0]);
	guest_free(guest);
}

/* ---- Data ---------------------------------------------------------------------------------------------------- */

static const enum test_layout layouts[] = {LAYOUT_SPLIT, LAYOUT_SINGLE, LAYOUT_INDIRECT, LAYOUT_PIECES};

static void data_to_the_guest(uint64_t features, enum test_layout layout)
{
	struct fake_guest *guest = guest_new(features, layout);
	uint64_t written = 0, received = 0, total = 3 * MIB + 12345;
	uint8_t data[50000];
	uint32_t port;
	int fd;

	guest_start(guest);
	fd = client_connected(guest, &port);
	for (int i = 0; i < STEPS && received < total; i++) {
		size_t length = total - written < sizeof(data) ? total - written : sizeof(data);
		struct test_packet packet;
		ssize_t count;

		fill_pattern(data, length, written);
		count = length > 0 ? write(fd, data, length) : 0;
		written += count > 0 ? (uint64_t)count : 0;
		step(guest);
		while (guest_poll(guest, &packet, true)) {
			if (packet.header.operation == VSOCK_CREDIT_REQUEST)
				continue;
			assert_int_equal(packet.header.operation, VSOCK_RW);
			check_pattern(packet.data, packet.header.length, received);
			received += packet.header.length;
			assert_true(received - guest->forwarded <= GUEST_BUFFER);
		}
		/* Told late, so that the credit runs out now and then. */
		if (received - guest->forwarded > GUEST_BUFFER * 3 / 4 || i % 100 == 0) {
			guest->forwarded = (uint32_t)received;
			guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, port, "", 0);
		}
	}
	assert_int_equal(received, total);
	close(fd);
	guest_free(guest);
}

static void data_from_the_guest(uint64_t features, enum test_layout layout)
{
	struct fake_guest *guest = guest_new(features, layout);
	uint64_t sent = 0, received = 0, total = 3 * MIB + 12345, forwarded = 0;
	uint8_t data[7000], back[100000];
	uint32_t port;
	int fd;

	guest_start(guest);
	fd = client_connected(guest, &port);
	for (int i = 0; i < STEPS && received < total; i++) {
		struct test_packet packet;
		ssize_t count;

		while (sent < total && sent + sizeof(data) - forwarded <= VSOCK_BUFFER) {
			uint32_t length = total - sent < sizeof(data) ? (uint32_t)(total - sent) : sizeof(data);

			fill_pattern(data, length, sent);
			guest_send(guest, VSOCK_RW, 1024, port, data, length);
			sent += length;
		}
		step(guest);
		while (guest_poll(guest, &packet, true)) {
			assert_int_equal(packet.header.operation, VSOCK_CREDIT_UPDATE);
			forwarded += (uint32_t)(packet.header.forwarded - (uint32_t)forwarded);
		}
		/* A reader who is slow at first. */
		if (i % 10 != 0 && received < total / 2)
			continue;
		while ((count = read(fd, back, sizeof(back))) > 0) {
			check_pattern(back, (size_t)count, received);
			received += (uint64_t)count;
		}
	}
	assert_int_equal(received, total);
	close(fd);
	guest_free(guest);
}

static void data_goes_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(layouts); i++) {
		uint64_t indirect = layouts[i] == LAYOUT_INDIRECT ? VIRTIO_INDIRECT_DESC : 0;

		data_to_the_guest(VIRTIO_EVENT_IDX | indirect, layouts[i]);
		data_to_the_guest(indirect, layouts[i]);
		data_from_the_guest(VIRTIO_EVENT_IDX | indirect, layouts[i]);
		data_from_the_guest(indirect, layouts[i]);
	}
}

/* ---- Credit -------------------------------------------------------------------------------------------------- */

static void no_credit_no_data(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	struct test_packet packet;
	uint32_t port;
	int fd;

	(void)state;
	guest->buffer = 100;
	guest_start(guest);
	fd = client_connected(guest, &port);
	for (int i = 0; i < 30; i++)
		assert_int_equal(write(fd, "0123456789", 10), 10);
	packet = guest_expect(guest, VSOCK_RW);
	assert_int_equal(packet.header.length, 100);
	guest_expect(guest, VSOCK_CREDIT_REQUEST);
	guest_silent(guest);
	guest->forwarded = 40;
	guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, port, "", 0);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 40);
	guest_expect(guest, VSOCK_CREDIT_REQUEST);
	/* Numbers that can't be give nothing away. */
	guest->forwarded = 5000;
	guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, port, "", 0);
	guest_silent(guest);
	guest->forwarded = 140;
	guest_send(guest, VSOCK_CREDIT_REQUEST, 1024, port, "", 0);
	assert_int_equal(guest_expect(guest, VSOCK_CREDIT_UPDATE).header.buffer, VSOCK_BUFFER);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 100);
	close(fd);
	guest_free(guest);
}

static void slow_readers_hold_up_nobody(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint8_t data[4096];
	uint64_t sent = 0, received = 0;
	uint32_t slow_port, quick_port;
	int slow, quick;
	ssize_t count;

	(void)state;
	guest_start(guest);
	slow = client_connected(guest, &slow_port);
	quick = client_connected(guest, &quick_port);
	/* Everything that the socket and the credit take. */
	for (unsigned int stall = 0; stall < 5;) {
		struct test_packet packet;

		if (stall == 0) {
			fill_pattern(data, sizeof(data), sent);
			guest_send(guest, VSOCK_RW, 1024, slow_port, data, sizeof(data));
			sent += sizeof(data);
		}
		step(guest);
		while (guest_poll(guest, &packet, true))
			received = packet.header.forwarded;
		stall = sent + sizeof(data) - received > VSOCK_BUFFER ? stall + 1 : 0;
	}
	assert_true(sent > VSOCK_BUFFER);
	guest_send(guest, VSOCK_RW, 1024, quick_port, "quick", 5);
	client_expect(guest, quick, "quick");
	/* The guest goes on to send more than it may: that ends its connection, but what it might send arrives. */
	for (uint64_t position = sent; position < sent + VSOCK_BUFFER; position += sizeof(data)) {
		fill_pattern(data, sizeof(data), position);
		guest_send(guest, VSOCK_RW, 1024, slow_port, data, sizeof(data));
	}
	assert_int_equal(guest_expect(guest, VSOCK_RST).header.source_port, slow_port);
	for (received = 0; (count = client_read(guest, slow, data, sizeof(data))) > 0; received += (uint64_t)count)
		check_pattern(data, (size_t)count, received);
	assert_in_range(received, sent, sent + VSOCK_BUFFER / 4);
	assert_int_equal(guest->streams.from_host, 1);
	close(slow);
	close(quick);
	guest_free(guest);
}

/* ---- Closing ------------------------------------------------------------------------------------------------- */

static void client_ends_its_input(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	struct test_packet packet;
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	assert_int_equal(write(fd, "last", 4), 4);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 4);
	packet = guest_expect(guest, VSOCK_SHUTDOWN);
	assert_int_equal(packet.header.flags, VSOCK_SHUTDOWN_SEND);
	/* The other direction goes on. */
	guest_send(guest, VSOCK_RW, 1024, port, "answer", 6);
	client_expect(guest, fd, "answer");
	guest_shut(guest, 1024, port, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	packet = guest_expect(guest, VSOCK_SHUTDOWN);
	assert_int_equal(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	guest_send(guest, VSOCK_RST, 1024, port, "", 0);
	guest_silent(guest);
	assert_int_equal(guest->streams.from_host, 0);
	close(fd);
	guest_free(guest);
}

static void guest_ends_its_output(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	struct test_packet packet;
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	guest_send(guest, VSOCK_RW, 1024, port, "bye", 3);
	guest_shut(guest, 1024, port, VSOCK_SHUTDOWN_SEND);
	client_expect(guest, fd, "bye");
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	assert_int_equal(write(fd, "more", 4), 4);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 4);
	/* Now it reads no more either. */
	guest_shut(guest, 1024, port, VSOCK_SHUTDOWN_RECEIVE);
	packet = guest_expect(guest, VSOCK_RST);
	assert_int_equal(packet.header.source_port, port);
	assert_true(send(fd, "x", 1, MSG_NOSIGNAL) < 0);
	close(fd);
	guest_free(guest);
}

static void guest_stops_reading(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	guest_shut(guest, 1024, port, VSOCK_SHUTDOWN_RECEIVE);
	steps(guest, 3);
	assert_true(send(fd, "x", 1, MSG_NOSIGNAL) < 0);
	assert_int_equal(errno, EPIPE);
	guest_send(guest, VSOCK_RW, 1024, port, "still", 5);
	client_expect(guest, fd, "still");
	close(fd);
	guest_free(guest);
}

static void client_goes(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	struct test_packet packet;
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	/* What it wrote before arrives. */
	fd = client_connected(guest, &port);
	assert_int_equal(write(fd, "will", 4), 4);
	close(fd);
	assert_int_equal(guest_expect(guest, VSOCK_RW).header.length, 4);
	packet = guest_expect(guest, VSOCK_SHUTDOWN);
	assert_int_equal(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	guest_send(guest, VSOCK_RW, 1024, port, "too late", 8);
	/* The guest doesn't answer: it is reset after a while. */
	packet = guest_expect(guest, VSOCK_RST);
	assert_int_equal(guest->streams.from_host, 0);
	/* One who goes before he was accepted. */
	fd = client_new(guest, STREAM_AGENT);
	port = guest_expect(guest, VSOCK_REQUEST).header.source_port;
	close(fd);
	packet = guest_expect(guest, VSOCK_RST);
	assert_int_equal(packet.header.source_port, port);
	assert_int_equal(guest->streams.from_host, 0);
	guest_free(guest);
}

static void guest_closes_before_all_is_read(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint8_t data[7000];
	uint64_t sent = 0, received = 0, forwarded = 0;
	uint32_t port;
	ssize_t count;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	for (int i = 0; i < 200; i++) {
		struct test_packet packet;

		if (sent + sizeof(data) - forwarded <= VSOCK_BUFFER) {
			fill_pattern(data, sizeof(data), sent);
			guest_send(guest, VSOCK_RW, 1024, port, data, sizeof(data));
			sent += sizeof(data);
		}
		step(guest);
		while (guest_poll(guest, &packet, true))
			forwarded = packet.header.forwarded;
	}
	assert_true(sent > forwarded);
	guest_shut(guest, 1024, port, VSOCK_SHUTDOWN_BOTH);
	guest_expect(guest, VSOCK_RST);
	assert_int_equal(guest->streams.from_host, 1);
	while ((count = client_read(guest, fd, data, sizeof(data))) > 0) {
		check_pattern(data, (size_t)count, received);
		received += (uint64_t)count;
	}
	assert_int_equal(received, sent);
	assert_int_equal(guest->streams.from_host, 0);
	close(fd);
	guest_free(guest);
}

static void last_words_arrive(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	struct vsock_header header;
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	/* In the ring when the VMM stops it, without a kick that was served. */
	guest_kick(guest, &guest->tx, 0);
	header = guest_header(guest, VSOCK_RW, 1024, port);
	header.length = 5;
	guest_send_header(guest, header, "words", 5);
	assert_int_equal(vmm_stop_ring(guest, 0), guest->rx.seen);
	assert_int_equal(vmm_stop_ring(guest, 1), guest->tx.available[1]);
	client_expect(guest, fd, "words");
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	close(fd);
	guest_free(guest);
}

static void driver_starts_again(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	guest->rx.position = (uint16_t)vmm_stop_ring(guest, 0);
	guest->tx.position = (uint16_t)vmm_stop_ring(guest, 1);
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	close(fd);
	assert_false(guest->device.running);
	fd = client_new(guest, STREAM_AGENT);
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	assert_int_equal(guest->starts, 2);
	port = guest_expect(guest, VSOCK_REQUEST).header.source_port;
	guest_send(guest, VSOCK_RESPONSE, 1024, port, "", 0);
	guest_send(guest, VSOCK_RW, 1024, port, "again", 5);
	client_expect(guest, fd, "again");
	/* New memory under a running device: what is open stays open. */
	vmm_set_memory(guest);
	guest_send(guest, VSOCK_RW, 1024, port, "still", 5);
	client_expect(guest, fd, "still");
	close(fd);
	guest_free(guest);
}

/* The VM was stopped, or had another proxy before: the driver goes on with its rings, and is told where the VMM gives the third. */
static void driver_is_told_of_lost_connections(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	guest_give_events(guest);
	assert_int_equal(guest_event(guest), -1); /* a driver that has just begun has nothing to lose */
	fd = client_connected(guest, &port);
	guest->rx.position = (uint16_t)vmm_stop_ring(guest, 0);
	guest->tx.position = (uint16_t)vmm_stop_ring(guest, 1);
	guest->event.position = (uint16_t)vmm_stop_ring(guest, 2);
	assert_int_equal(guest->event.position, 0);
	close(fd);
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	guest_give_events(guest);
	assert_int_equal(guest_event(guest), 0);
	assert_int_equal(guest_event(guest), -1);
	assert_true(eventfd_read(guest->event.call, &(eventfd_t){0}) == 0);
	assert_int_equal(vmm_stop_ring(guest, 2), 1);
	guest_free(guest);
}

/* The same over another connection of the VMM's, with all of the protocol said again. */
static void vmm_comes_back(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC, LAYOUT_INDIRECT);
	uint32_t port;
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	guest_send(guest, VSOCK_RW, 1024, port, "first", 5);
	client_expect(guest, fd, "first");
	vmm_disconnect(guest);
	assert_int_equal(client_read(guest, fd, &(char){0}, 1), 0);
	close(fd);
	assert_false(guest->device.running);
	assert_int_equal(guest->state.memory.count, 0);
	fd = client_new(guest, STREAM_AGENT);
	vmm_connect_again(guest);
	vmm_negotiate(guest);
	/* Where a ring stands is in the guest's memory. */
	guest->rx.position = used_index(&guest->rx);
	guest->tx.position = used_index(&guest->tx);
	vmm_set_ring(guest, 0, &guest->rx);
	vmm_set_ring(guest, 1, &guest->tx);
	guest_give_events(guest);
	assert_int_equal(guest_event(guest), 0);
	port = guest_expect(guest, VSOCK_REQUEST).header.source_port;
	guest_send(guest, VSOCK_RESPONSE, 1024, port, "", 0);
	guest_send(guest, VSOCK_RW, 1024, port, "again", 5);
	client_expect(guest, fd, "again");
	close(fd);
	guest_free(guest);
}

/* ---- Room and notifications ---------------------------------------------------------------------------------- */

static void room_is_shared(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint64_t received[4] = {0};
	uint32_t ports[4];
	uint8_t data[65536] = {0};
	int fds[4];

	(void)state;
	guest_start(guest);
	for (size_t i = 0; i < array_size(fds); i++)
		fds[i] = client_connected(guest, &ports[i]);
	guest->buffer = UINT32_MAX;
	for (size_t i = 0; i < array_size(fds); i++)
		guest_send(guest, VSOCK_CREDIT_UPDATE, 1024, ports[i], "", 0);
	/* A guest that always has too little room: each client gets its part of it. */
	for (int round = 0; round < 400; round++) {
		struct test_packet packet;

		for (size_t i = 0; i < array_size(fds); i++)
			while (write(fds[i], data, sizeof(data)) > 0)
				;
		step(guest);
		while (guest_poll(guest, &packet, true))
			for (size_t i = 0; i < array_size(fds); i++)
				if (packet.header.source_port == ports[i])
					received[i] += packet.header.length;
	}
	for (size_t i = 1; i < array_size(fds); i++)
		assert_in_range(received[i], received[0] * 3 / 4, received[0] * 5 / 4);
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
	guest_free(guest);
}

static void few_notifications(void **state)
{
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX, LAYOUT_SPLIT);
	uint32_t port;
	eventfd_t calls = 0, more = 0;
	char data[20 * 5];
	int fd;

	(void)state;
	guest_start(guest);
	fd = client_connected(guest, &port);
	guest->tx.kicks = 0;
	eventfd_read(guest->tx.call, &calls);
	/* The driver doesn't care when sent buffers come back: far from where it would be told. */
	guest->tx.available[2 + RING_SIZE] = (uint16_t)(used_index(&guest->tx) + 1000);
	for (int i = 0; i < 20; i++)
		guest_send(guest, VSOCK_RW, 1024, port, "hello", 5);
	/* One kick for all that was sent before the device ran. */
	assert_int_equal(guest->tx.kicks, 1);
	for (size_t length = 0; length < sizeof(data);)
		length += (size_t)client_read(guest, fd, data + length, sizeof(data) - length);
	assert_true(eventfd_read(guest->tx.call, &more) < 0);
	/* And it wakes again. */
	steps(guest, 3);
	guest_send(guest, VSOCK_RW, 1024, port, "hello", 5);
	assert_int_equal(guest->tx.kicks, 2);
	client_expect(guest, fd, "hello");
	close(fd);
	guest_free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_is_the_cid),
		cmocka_unit_test(agent_clients_wait_for_the_guest),
		cmocka_unit_test(port_clients_name_their_port),
		cmocka_unit_test(port_clients_are_refused),
		cmocka_unit_test(guest_connects),
		cmocka_unit_test(data_goes_both_ways),
		cmocka_unit_test(no_credit_no_data),
		cmocka_unit_test(slow_readers_hold_up_nobody),
		cmocka_unit_test(client_ends_its_input),
		cmocka_unit_test(guest_ends_its_output),
		cmocka_unit_test(guest_stops_reading),
		cmocka_unit_test(client_goes),
		cmocka_unit_test(guest_closes_before_all_is_read),
		cmocka_unit_test(last_words_arrive),
		cmocka_unit_test(driver_starts_again),
		cmocka_unit_test(driver_is_told_of_lost_connections),
		cmocka_unit_test(vmm_comes_back),
		cmocka_unit_test(room_is_shared),
		cmocka_unit_test(few_notifications),
	};

	alarm(100);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
