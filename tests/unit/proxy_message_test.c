// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c proxy/guest_memory.c proxy/virtqueue.c
// uses: proxy/vhost_user.c proxy/vhost_user_requests.c proxy/vhost_vsock.c lib/vsock_engine.c lib/vsock_send.c
// uses: proxy/stream.c lib/vsock_socket.c proxy/line.c proxy/message_socket.c
/* Connections of messages (SOCK_SEQPACKET) between a guest and a client: where a message ends, in both directions. */
#include "tests/unit/proxy_fake_guest.h"

#include <fcntl.h>
#include <signal.h>

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define FEATURES (VIRTIO_EVENT_IDX | VIRTIO_VSOCK_SEQPACKET)
#define HOST_PORT 80u
#define GUEST_PORT 5000u

static void send_part(struct fake_guest *guest, const void *data, uint32_t length, uint32_t flags)
{
	struct vsock_header header = guest_header(guest, VSOCK_RW, GUEST_PORT, HOST_PORT);

	header.type = VSOCK_TYPE_SEQPACKET;
	header.length = length;
	header.flags = flags;
	guest_send_header(guest, header, data, length);
}

static void send_control(struct fake_guest *guest, enum vsock_operation operation, uint32_t flags)
{
	struct vsock_header header = guest_header(guest, operation, GUEST_PORT, HOST_PORT);

	header.type = VSOCK_TYPE_SEQPACKET;
	header.flags = flags;
	guest_send_header(guest, header, "", 0);
}

static struct test_packet expect(struct fake_guest *guest, enum vsock_operation operation)
{
	struct test_packet packet = guest_expect(guest, operation);

	assert_int_equal(packet.header.type, VSOCK_TYPE_SEQPACKET);
	assert_int_equal(packet.header.source_port, HOST_PORT);
	assert_int_equal(packet.header.destination_port, GUEST_PORT);
	return packet;
}

/* A connection that the guest has asked for; the client's end. */
static int connected(struct fake_guest *guest)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	guest->accept_fd = pair[1];
	send_control(guest, VSOCK_REQUEST, 0);
	expect(guest, VSOCK_RESPONSE);
	return pair[0];
}

static struct fake_guest *started(void)
{
	struct fake_guest *guest = guest_new(FEATURES, LAYOUT_SPLIT);

	guest_start(guest);
	guest_fence(guest);
	return guest;
}

static void expect_message(struct fake_guest *guest, int client, const char *text)
{
	char data[4096];
	ssize_t length = client_read(guest, client, data, sizeof(data));

	assert_int_equal(length, strlen(text));
	assert_memory_equal(data, text, strlen(text));
}

static void nothing_more(struct fake_guest *guest, int client)
{
	steps(guest, 5);
	assert_int_equal(recv(client, &(char){0}, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void messages_of_the_guest(void **state)
{
	struct fake_guest *guest = started();
	int client = connected(guest);

	(void)state;
	/* Each is one, however they come together. */
	send_part(guest, "first", 5, VSOCK_SEQ_EOM);
	send_part(guest, "2nd", 3, VSOCK_SEQ_EOM | VSOCK_SEQ_EOR);
	expect_message(guest, client, "first");
	expect_message(guest, client, "2nd");
	/* In parts, with others' packets between. */
	send_part(guest, "a mes", 5, 0);
	nothing_more(guest, client);
	guest_send(guest, VSOCK_RW, 7, 8, "", 0);
	send_part(guest, "sage in ", 8, 0);
	send_part(guest, "parts", 5, VSOCK_SEQ_EOM);
	send_part(guest, "next", 4, VSOCK_SEQ_EOM);
	expect_message(guest, client, "a message in parts");
	expect_message(guest, client, "next");
	/* Its end by itself. One of nothing is none. */
	send_part(guest, "late", 4, 0);
	send_part(guest, "", 0, VSOCK_SEQ_EOM);
	send_part(guest, "", 0, VSOCK_SEQ_EOM);
	expect_message(guest, client, "late");
	nothing_more(guest, client);
	close(client);
	guest_free(guest);
}

static void messages_for_the_guest(void **state)
{
	static uint8_t data[100000];
	struct fake_guest *guest = started();
	int client = connected(guest);
	struct test_packet packet;
	size_t received = 0;

	(void)state;
	assert_int_equal(write(client, "one", 3), 3);
	assert_int_equal(write(client, "two!", 4), 4);
	for (int i = 0; i < 2; i++) {
		packet = expect(guest, VSOCK_RW);
		assert_int_equal(packet.header.flags, VSOCK_SEQ_EOM);
		assert_int_equal(packet.header.length, 3 + i);
		assert_memory_equal(packet.data, i == 0 ? "one" : "two!", packet.header.length);
	}
	/* More than there is room for at a time. */
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(write(client, data, sizeof(data)), sizeof(data));
	assert_int_equal(write(client, "after", 5), 5);
	do {
		packet = expect(guest, VSOCK_RW);
		assert_memory_equal(packet.data, data + received, packet.header.length);
		received += packet.header.length;
		assert_int_equal(packet.header.flags, received == sizeof(data) ? VSOCK_SEQ_EOM : 0);
	} while (received < sizeof(data));
	packet = expect(guest, VSOCK_RW);
	assert_int_equal(packet.header.length, 5);
	assert_int_equal(packet.header.flags, VSOCK_SEQ_EOM);
	close(client);
	guest_free(guest);
}

static void a_message_waits_for_credit(void **state)
{
	struct fake_guest *guest = started();
	uint8_t data[1001] = {0};
	struct test_packet packet;
	int client;

	(void)state;
	guest->buffer = 1000;
	client = connected(guest);
	assert_int_equal(write(client, data, 600), 600);
	assert_int_equal(write(client, data, 1000), 1000);
	assert_int_equal(expect(guest, VSOCK_RW).header.length, 600);
	packet = expect(guest, VSOCK_RW);
	assert_int_equal(packet.header.length, 400);
	assert_int_equal(packet.header.flags, 0);
	expect(guest, VSOCK_CREDIT_REQUEST);
	guest_silent(guest);
	guest->forwarded = 1000;
	send_control(guest, VSOCK_CREDIT_UPDATE, 0);
	packet = expect(guest, VSOCK_RW);
	assert_int_equal(packet.header.length, 600);
	assert_int_equal(packet.header.flags, VSOCK_SEQ_EOM);
	guest->forwarded = 1600;
	send_control(guest, VSOCK_CREDIT_UPDATE, 0);
	/* What the guest can never have room for ends the direction. The other one goes on. */
	assert_int_equal(write(client, data, 1001), 1001);
	packet = expect(guest, VSOCK_SHUTDOWN);
	assert_int_equal(packet.header.flags, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, EPIPE);
	send_part(guest, "still", 5, VSOCK_SEQ_EOM);
	expect_message(guest, client, "still");
	close(client);
	guest_free(guest);
}

/* Everything that credit allows waits, in order, and each message whole. */
static void slow_readers_of_messages(void **state)
{
	struct fake_guest *guest = started();
	int client = connected(guest);
	uint64_t sent = 0, taken = 0;
	uint32_t count = 0, number = 0;
	uint8_t data[5000];

	(void)state;
	for (unsigned int idle = 0; idle < 20; idle++) {
		struct test_packet packet;
		uint32_t size = 4 + count * 37 % 4000;

		if (sent + size - taken <= VSOCK_BUFFER) {
			memset(data, (int)count, size);
			memcpy(data, &count, 4);
			/* Some in two packets. */
			if (count % 3 == 0)
				send_part(guest, data, 3, 0);
			send_part(guest, count % 3 == 0 ? data + 3 : data, count % 3 == 0 ? size - 3 : size, VSOCK_SEQ_EOM);
			sent += size;
			count++;
			idle = 0;
		}
		step(guest);
		while (guest_poll(guest, &packet, true))
			taken = packet.header.forwarded;
	}
	assert_true(sent > VSOCK_BUFFER);
	for (uint64_t left = sent; left > 0; number++) {
		ssize_t length = client_read(guest, client, data, sizeof(data));
		uint32_t which;

		assert_int_equal(length, 4 + number * 37 % 4000);
		memcpy(&which, data, 4);
		assert_int_equal(which, number);
		assert_int_equal(data[length - 1], length > 4 ? (uint8_t)number : data[3]);
		left -= (uint64_t)length;
	}
	assert_int_equal(number, count);
	/* It has all of its credit again but a quarter. */
	steps(guest, 3);
	for (struct test_packet packet; guest_poll(guest, &packet, true);)
		taken = packet.header.forwarded;
	assert_true(sent - taken < VSOCK_BUFFER / 4);
	close(client);
	guest_free(guest);
}

/* Many small ones, of which nobody reads any. */
static void a_backlog_of_tiny_messages(void **state)
{
	struct fake_guest *guest = started();
	int client = connected(guest);
	uint32_t received = 0;

	(void)state;
	for (unsigned int i = 0; i < 20000; i++)
		send_part(guest, "x", 1, VSOCK_SEQ_EOM);
	for (; received < 20000; received++)
		expect_message(guest, client, "x");
	guest_silent(guest);
	close(client);
	guest_free(guest);
}

static void a_message_without_an_end(void **state)
{
	struct fake_guest *guest = started();
	int client = connected(guest);
	uint8_t data[4096] = {0};

	(void)state;
	for (unsigned int i = 0; i < VSOCK_BUFFER / sizeof(data); i++)
		send_part(guest, data, sizeof(data), 0);
	nothing_more(guest, client);
	guest_silent(guest);
	/* No credit, as nothing of it can go on: more of it breaks the rules. */
	send_part(guest, data, 1, VSOCK_SEQ_EOM);
	expect(guest, VSOCK_RST);
	assert_int_equal(client_read(guest, client, data, sizeof(data)), 0);
	close(client);
	guest_free(guest);
}

static void other_types_between_the_same_ports(void **state)
{
	struct fake_guest *guest = started();
	int client = connected(guest);
	struct test_packet packet;

	(void)state;
	guest_send(guest, VSOCK_RW, GUEST_PORT, HOST_PORT, "stream", 6);
	packet = guest_expect(guest, VSOCK_RST);
	assert_int_equal(packet.header.type, VSOCK_TYPE_STREAM);
	guest->accept_fd = 12345; /* isn't asked for */
	guest_send(guest, VSOCK_REQUEST, GUEST_PORT, HOST_PORT, "", 0);
	packet = guest_expect(guest, VSOCK_RST);
	assert_int_equal(packet.header.type, VSOCK_TYPE_STREAM);
	assert_int_equal(guest->accept_fd, 12345);
	guest->accept_fd = -1;
	/* That one goes on. */
	send_part(guest, "fine", 4, VSOCK_SEQ_EOM);
	expect_message(guest, client, "fine");
	close(client);
	guest_free(guest);
}

static void ends_of_both_directions(void **state)
{
	struct fake_guest *guest = started();
	int client = connected(guest);
	struct test_packet packet;

	(void)state;
	assert_int_equal(write(client, "last", 4), 4);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(expect(guest, VSOCK_RW).header.flags, VSOCK_SEQ_EOM);
	assert_int_equal(expect(guest, VSOCK_SHUTDOWN).header.flags, VSOCK_SHUTDOWN_SEND);
	send_part(guest, "unfinished", 10, 0);
	send_control(guest, VSOCK_SHUTDOWN, VSOCK_SHUTDOWN_SEND);
	assert_int_equal(client_read(guest, client, &(char){0}, 1), 0);
	packet = expect(guest, VSOCK_SHUTDOWN);
	assert_int_equal(packet.header.flags, VSOCK_SHUTDOWN_BOTH);
	send_control(guest, VSOCK_RST, 0);
	guest_silent(guest);
	assert_int_equal(guest->streams.from_guest, 0);
	close(client);
	guest_free(guest);
}

/* A client of a socket of messages asks the guest for a connection of the same type. */
static void clients_with_messages(void **state)
{
	struct fake_guest *guest = started();
	struct test_packet packet;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(streams_serve(&guest->streams, pair[1], STREAM_FORWARD, GUEST_PORT), 0);
	packet = guest_expect(guest, VSOCK_REQUEST);
	assert_int_equal(packet.header.type, VSOCK_TYPE_SEQPACKET);
	assert_int_equal(packet.header.destination_port, GUEST_PORT);
	packet.header = guest_header(guest, VSOCK_RST, GUEST_PORT, packet.header.source_port);
	packet.header.type = VSOCK_TYPE_SEQPACKET;
	guest_send_header(guest, packet.header, "", 0);
	assert_int_equal(client_read(guest, pair[0], &(char){0}, 1), 0);
	close(pair[0]);
	guest_free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_the_guest),
		cmocka_unit_test(messages_for_the_guest),
		cmocka_unit_test(a_message_waits_for_credit),
		cmocka_unit_test(slow_readers_of_messages),
		cmocka_unit_test(a_backlog_of_tiny_messages),
		cmocka_unit_test(a_message_without_an_end),
		cmocka_unit_test(other_types_between_the_same_ports),
		cmocka_unit_test(ends_of_both_directions),
		cmocka_unit_test(clients_with_messages),
	};

	alarm(100);
	signal(SIGPIPE, SIG_IGN);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TEXT, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
