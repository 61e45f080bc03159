/* The VMM's messages to the vhost-user device, with what descriptors they bring. The first byte's lowest bit: a guest's driver is
 * up already. Each message is its request, flags, the number and kinds of its descriptors, its size, and its payload. */
#include "tests/unit/proxy_fake_guest.h"

#include "tests/fuzz/fuzz.h"

#define FDS_MAX 9
#define MEMORY_SIZE (64u << 10)

/* What a VMM may take for memory, or for an eventfd. */
static int make_fd(unsigned kind)
{
	int fd = kind & 1 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : memfd_create("memory", MFD_CLOEXEC);

	if (!(kind & 1))
		promise(ftruncate(fd, kind & 2 ? 0 : MEMORY_SIZE) == 0);
	return fd;
}

static void send_message(struct fake_guest *guest, struct fuzz_input *input)
{
	struct vhost_user_message message = {.header = {.request = fuzz_byte(input)}};
	unsigned described = fuzz_byte(input), kinds = fuzz_byte(input);
	size_t count = described % (FDS_MAX + 1), length;
	const uint8_t *payload;
	int fds[FDS_MAX];

	message.header.flags = described & 0x80 ? fuzz_u32(input) : 1u | (described & 0x40 ? 8u : 0u);
	length = fuzz_byte(input);
	payload = fuzz_bytes(input, &length);
	message.header.size = described & 0x20 ? fuzz_u32(input) : (uint32_t)length;
	if (length > 0)
		memcpy(message.payload, payload, length);
	for (size_t i = 0; i < count; i++)
		fds[i] = make_fd(kinds >> i % 8);
	fd_send(guest->socket, &message, sizeof(message.header) + length, fds, count);
	while (count > 0)
		close(fds[--count]);
}

static void read_replies(struct fake_guest *guest)
{
	uint8_t bytes[1024];

	while (recv(guest->socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	unsigned before = fuzz_count_fds();
	struct fake_guest *guest = guest_new(VIRTIO_EVENT_IDX | VIRTIO_INDIRECT_DESC, LAYOUT_SPLIT);

	fd_set_blocking(guest->socket, false);
	if (fuzz_byte(&input) & 1)
		guest_start(guest);
	while (input.size > 0 && !guest->ended) {
		send_message(guest, &input);
		fuzz_step(&guest->loop);
		fuzz_step(&guest->loop);
		read_replies(guest);
	}
	guest_free(guest);
	fuzz_check_fds(before);
	return 0;
}
