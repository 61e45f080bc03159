/* The input as a cursor, and what else targets share: see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FDS_MAX 512

void fuzz_broken(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: broken: %s\n", file, line, condition);
	abort();
}

const uint8_t *fuzz_bytes(struct fuzz_input *input, size_t *size)
{
	const uint8_t *bytes = input->data;

	if (*size > input->size)
		*size = input->size;
	input->data += *size;
	input->size -= *size;
	return bytes;
}

static uint64_t take_number(struct fuzz_input *input, size_t size)
{
	uint64_t number = 0;
	const uint8_t *bytes = fuzz_bytes(input, &size);

	for (size_t i = 0; i < size; i++)
		number |= (uint64_t)bytes[i] << 8 * i;
	return number;
}

uint8_t fuzz_byte(struct fuzz_input *input)
{
	return (uint8_t)take_number(input, 1);
}

uint16_t fuzz_u16(struct fuzz_input *input)
{
	return (uint16_t)take_number(input, 2);
}

uint32_t fuzz_u32(struct fuzz_input *input)
{
	return (uint32_t)take_number(input, 4);
}

uint64_t fuzz_u64(struct fuzz_input *input)
{
	return take_number(input, 8);
}

char *fuzz_text(struct fuzz_input *input, size_t size)
{
	const uint8_t *bytes = fuzz_bytes(input, &size);
	char *text = malloc(size + 1);

	promise(text);
	if (size > 0)
		memcpy(text, bytes, size);
	text[size] = '\0';
	/* Exactly as long as it is, so that a look behind its end is seen. */
	return realloc(text, strlen(text) + 1);
}

int fuzz_file(const void *data, size_t size, char path[FUZZ_PATH_SIZE])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	promise(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	snprintf(path, FUZZ_PATH_SIZE, "/proc/self/fd/%d", fd);
	return fd;
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

void fuzz_step(struct loop *loop)
{
	struct loop_timer tick = {0};

	loop_timer_set(loop, &tick, 0, nothing);
	promise(loop_step(loop) == 0);
	loop_timer_clear(loop, &tick);
}

void fuzz_free_list(void *first)
{
	while (first) {
		void *next = *(void **)first;

		free(first);
		first = next;
	}
}

unsigned fuzz_count_fds(void)
{
	struct pollfd fds[FDS_MAX];
	unsigned count = 0;

	for (int fd = 0; fd < FDS_MAX; fd++)
		fds[fd] = (struct pollfd){.fd = fd};
	promise(poll(fds, FDS_MAX, 0) >= 0);
	for (int fd = 0; fd < FDS_MAX; fd++)
		count += !(fds[fd].revents & POLLNVAL);
	return count;
}

void fuzz_check_fds(unsigned before)
{
	char path[32], target[128];

	if (fuzz_count_fds() == before)
		return;
	for (int fd = 0; fd < FDS_MAX; fd++) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		length = readlink(path, target, sizeof(target));
		if (length > 0)
			fprintf(stderr, "%d: %.*s\n", fd, (int)length, target);
	}
	promise(!"the same number of descriptors as before");
}
