/* Small work on arrays of struct iovec: copying at the front, skipping, cutting. */
#ifndef NACRE_LIB_IOVEC_H
#define NACRE_LIB_IOVEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#define IOVEC_MAX 1024 /* the most one readv(2) or writev(2) takes: UIO_MAXIOV */

static inline size_t iovec_size(const struct iovec *parts, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

/* Copies at most `length` bytes from the front of the parts; returns how many there were. */
static inline size_t iovec_read(const struct iovec *parts, size_t count, void *data, size_t length)
{
	size_t done = 0;

	for (size_t i = 0; i < count && done < length; i++) {
		size_t here = parts[i].iov_len < length - done ? parts[i].iov_len : length - done;

		memcpy((uint8_t *)data + done, parts[i].iov_base, here);
		done += here;
	}
	return done;
}

/* Copies at most `length` bytes to the front of the parts; returns how many there was room for. */
static inline size_t iovec_write(const struct iovec *parts, size_t count, const void *data, size_t length)
{
	size_t done = 0;

	for (size_t i = 0; i < count && done < length; i++) {
		size_t here = parts[i].iov_len < length - done ? parts[i].iov_len : length - done;

		memcpy(parts[i].iov_base, (const uint8_t *)data + done, here);
		done += here;
	}
	return done;
}

/* Copies the parts between `skip` bytes and `skip` + `length` bytes into `out`, which has room for `count` and may be
 * `parts`: the bytes stay where they are. Returns how many parts that takes. */
static inline size_t iovec_slice(struct iovec *out, const struct iovec *parts, size_t count, size_t skip, size_t length)
{
	size_t made = 0;

	for (size_t i = 0; i < count && length > 0; i++) {
		size_t here = parts[i].iov_len;

		if (here <= skip) {
			skip -= here;
			continue;
		}
		here = here - skip < length ? here - skip : length;
		out[made++] = (struct iovec){.iov_base = (uint8_t *)parts[i].iov_base + skip, .iov_len = here};
		length -= here;
		skip = 0;
	}
	return made;
}

#endif
