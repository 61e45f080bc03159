// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c proxy/guest_memory.c proxy/virtqueue.c
// uses: proxy/vhost_user.c proxy/vhost_user_requests.c proxy/vhost_vsock.c lib/vsock_engine.c lib/vsock_send.c
// uses: proxy/stream.c proxy/message_socket.c lib/vsock_socket.c proxy/line.c
/* What a byte costs the vsock device: its system calls are counted, and where their data lies is looked at. Each byte is to be
 * copied once, by the kernel, between a client's socket and the guest's memory. (What it takes in time: `make bench-vsock`.)
 */
#include "proxy_fake_guest.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "lib/cleanup.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define MIB (1u << 20)
#define TX_PACKET (SLOT_SIZE - VSOCK_HEADER_SIZE - 256)

static struct {
	struct fake_guest *guest; /* while the device has its turn */
	unsigned calls;
	size_t direct, copied; /* bytes between a socket and the guest's memory, and any other */
} cost;

/* ---- In the place of the C library's -------------------------------------------------------------------------- */

static void count(const void *data, size_t length)
{
	const struct guest_memory *memory = &cost.guest->state.memory;

	for (size_t i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		const uint8_t *start = (const uint8_t *)region->mapping + region->offset;

		if ((const uint8_t *)data >= start && (const uint8_t *)data + length <= start + region->size) {
			cost.direct += length;
			return;
		}
	}
	cost.copied += length;
}

static void count_parts(const struct iovec *parts, int part_count, ssize_t done)
{
	if (!cost.guest)
		return;
	cost.calls++;
	for (int i = 0; i < part_count && done > 0; i++) {
		size_t here = parts[i].iov_len < (size_t)done ? parts[i].iov_len : (size_t)done;

		count(parts[i].iov_base, here);
		done -= (ssize_t)here;
	}
}

ssize_t readv(int fd, const struct iovec *parts, int part_count)
{
	ssize_t done = syscall(SYS_readv, fd, parts, part_count);

	count_parts(parts, part_count, done);
	return done;
}

ssize_t writev(int fd, const struct iovec *parts, int part_count)
{
	ssize_t done = syscall(SYS_writev, fd, parts, part_count);

	count_parts(parts, part_count, done);
	return done;
}

/* Of eventfds too, whose 8 bytes are nobody's data. */
ssize_t write(int fd, const void *data, size_t length)
{
	cost.calls += cost.guest != NULL;
	return syscall(SYS_write, fd, data, length);
}

int epoll_wait(int fd, struct epoll_event *events, int room, int timeout)
{
	cost.calls += cost.guest != NULL;
	return (int)syscall(SYS_epoll_pwait, fd, events, room, timeout, NULL, 8);
}

int epoll_ctl(int fd, int operation, int which, struct epoll_event *event)
{
	cost.calls += cost.guest != NULL;
	return (int)syscall(SYS_epoll_ctl, fd, operation, which, event);
}

/* ---- Measuring ------------------------------------------------------------------------------------------------ */

static void turn(struct fake_guest *guest)
{
	cost.guest = guest;
	step(guest);
	cost.guest = NULL;
}

/* The host's client writes all that its socket takes, and the guest takes what has come. */
static void to_guest(struct fake_guest *guest, int fd, size_t size, size_t amount)
{
	static uint8_t data[1 << 16];
	static struct test_packet packet;
	size_t sent = 0, received = 0;

	for (int i = 0; received < amount && i < STEPS; i++) {
		while (sent < amount) {
			ssize_t length = send(fd, data, size < amount - sent ? size : amount - sent, MSG_NOSIGNAL);

			if (length <= 0)
				break;
			sent += (size_t)length;
		}
		turn(guest);
		while (guest_poll(guest, &packet, true)) {
			received += packet.header.length;
			guest->forwarded += packet.header.length;
		}
		if (sent == amount || guest->forwarded % GUEST_BUFFER >= GUEST_BUFFER / 2)
			guest_send(guest, VSOCK_CREDIT_UPDATE, STREAM_AGENT_PORT, packet.header.source_port, "", 0);
	}
	assert_int_equal(received, amount);
}

/* The guest sends as much as it may at once, and only then the client reads. */
static void to_host(struct fake_guest *guest, int fd, uint32_t port, size_t size, size_t amount)
{
	static uint8_t data[1 << 16];
	static struct test_packet packet;
	size_t received = 0;

	while (received < amount) {
		size_t sent = 0;

		for (uint32_t i = 0; i < GUEST_SLOTS - 4; i++, sent += size)
			guest_send(guest, VSOCK_RW, STREAM_AGENT_PORT, port, data, (uint32_t)size);
		for (int i = 0; sent > 0 && i < STEPS; i++) {
			ssize_t length;

			turn(guest);
			length = read(fd, data, sizeof(data));
			if (length > 0) {
				received += (size_t)length;
				sent -= (size_t)length;
			}
		}
		assert_int_equal(sent, 0);
		while (guest_poll(guest, &packet, true))
			;
	}
}

static struct fake_guest *begin(uint32_t *port, int *fd)
{
	struct fake_guest *guest =
		guest_new(VIRTIO_VERSION_1 | VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC, LAYOUT_SPLIT);

	guest_start(guest);
	*fd = client_connected(guest, port);
	memset(&cost, 0, sizeof(cost));
	return guest;
}

static void end(struct fake_guest *guest, int fd)
{
	close(fd);
	guest_free(guest);
}

static unsigned for_a_mib(size_t amount)
{
	return (unsigned)(cost.calls / (amount / MIB));
}

static void bytes_to_the_guest_are_copied_once(void **state)
{
	static const struct {
		size_t size, amount;
		unsigned calls; /* for a MiB, at most */
	} rows[] = {{64, MIB, 500}, {4096, 4 * MIB, 100}, {65536, 16 * MIB, 100}};

	(void)state;
	for (size_t i = 0; i < array_size(rows); i++) {
		uint32_t port;
		int fd;
		struct fake_guest *guest = begin(&port, &fd);

		to_guest(guest, fd, rows[i].size, rows[i].amount);
		print_message("# to the guest, writes of %zu bytes: %u system calls a MiB\n", rows[i].size,
			      for_a_mib(rows[i].amount));
		assert_int_equal(cost.direct, rows[i].amount);
		assert_int_equal(cost.copied, 0);
		assert_in_range(for_a_mib(rows[i].amount), 1, rows[i].calls);
		end(guest, fd);
	}
}

/* As much as a socket can be made to take at once, where the machine hasn't been told otherwise. */
static bool sockets_are_usual(void)
{
	char text[32];

	return fd_read_file(AT_FDCWD, "/proc/sys/net/core/wmem_max", text, sizeof(text), NULL) > 0 &&
	       atol(text) >= 212992;
}

static void bytes_to_the_host_are_copied_once(void **state)
{
	static const struct {
		size_t size, amount;
		unsigned calls;
	} rows[] = {{64, MIB, 2000}, {4096, 4 * MIB, 60}, {TX_PACKET, 16 * MIB, 45}};

	(void)state;
	if (!sockets_are_usual()) {
		print_message("# a socket's buffer is smaller here than Linux has it: net.core.wmem_max\n");
		skip();
	}
	for (size_t i = 0; i < array_size(rows); i++) {
		uint32_t port;
		int fd;
		struct fake_guest *guest = begin(&port, &fd);

		to_host(guest, fd, port, rows[i].size, rows[i].amount);
		print_message("# to the host, packets of %zu bytes: %u system calls a MiB\n", rows[i].size,
			      for_a_mib(rows[i].amount));
		assert_true(cost.direct >= rows[i].amount);
		assert_int_equal(cost.copied, 0);
		assert_in_range(for_a_mib(rows[i].amount), 1, rows[i].calls);
		end(guest, fd);
	}
}

/* epoll_wait, readv and a signal to the guest; epoll_wait and writev: for each byte that goes there and back. */
static void a_round_trip_is_five_calls(void **state)
{
	static struct test_packet packet;
	uint32_t port;
	int fd;
	struct fake_guest *guest = begin(&port, &fd);

	(void)state;
	for (int i = 0; i < 101; i++) {
		char byte = 'x';

		if (i == 1)
			memset(&cost, 0, sizeof(cost)); /* the first one has the turns of the beginning */
		assert_int_equal(send(fd, &byte, 1, 0), 1);
		turn(guest);
		assert_true(guest_poll(guest, &packet, true));
		guest->forwarded += packet.header.length;
		guest_send(guest, VSOCK_RW, STREAM_AGENT_PORT, port, &byte, 1);
		turn(guest);
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
	}
	assert_int_equal(cost.direct, 200);
	assert_int_equal(cost.copied, 0);
	print_message("# a hundred round trips: %u system calls\n", cost.calls);
	assert_int_equal(cost.calls, 500);
	end(guest, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_to_the_guest_are_copied_once),
		cmocka_unit_test(bytes_to_the_host_are_copied_once),
		cmocka_unit_test(a_round_trip_is_five_calls),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
