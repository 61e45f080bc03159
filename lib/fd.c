/* Whole reads and writes, small files, and descriptors over sockets. */
#include "lib/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* syscalls: sendmsg recvmsg close fcntl read write */

void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int fd_close_others(int first, const int *kept, size_t count)
{
	int next = first;

	/* Few of them: look for the next higher one each time, rather than sort. */
	for (;;) {
		int higher = INT_MAX;

		for (size_t i = 0; i < count; i++)
			if (kept[i] >= next && kept[i] < higher)
				higher = kept[i];
		if (higher > next && syscall(SYS_close_range, (unsigned)next, (unsigned)higher - 1, 0) < 0)
			return -errno;
		if (higher == INT_MAX)
			return 0;
		next = higher + 1;
	}
}

int fd_set_blocking(int fd, bool blocking)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int fd_write_all(int fd, const void *data, size_t length)
{
	const char *next = data;

	while (length > 0) {
		ssize_t count = write(fd, next, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		next += count;
		length -= (size_t)count;
	}
	return 0;
}

ssize_t fd_read_all(int fd, void *data, size_t length)
{
	char *next = data;
	size_t left = length;

	while (left > 0) {
		ssize_t count = read(fd, next, left);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		if (count == 0)
			break;
		next += count;
		left -= (size_t)count;
	}
	return (ssize_t)(length - left);
}

ssize_t fd_read_file(int directory, const char *path, char *text, size_t size, struct error *error)
{
	cleanup_close int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return error_errno(error, errno, "open %s", path);
	length = fd_read_all(fd, text, size);
	if (length < 0)
		return error_errno(error, (int)-length, "read %s", path);
	if ((size_t)length == size)
		return error_set(error, EFBIG, "read %s: longer than %zu bytes", path, size - 1);
	if (length > 0 && text[length - 1] == '\n')
		length--;
	text[length] = '\0';
	return length;
}

int fd_write_file(int directory, const char *path, const char *text, struct error *error)
{
	cleanup_close int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);
	size_t length = strlen(text);
	ssize_t count;

	if (fd < 0)
		return error_errno(error, errno, "open %s", path);
	do {
		count = write(fd, text, length);
	} while (count < 0 && errno == EINTR);
	if (count < 0)
		return error_errno(error, errno, "write '%.64s' to %s", text, path);
	if ((size_t)count != length)
		return error_set(error, EIO, "write '%.64s' to %s: only %zd bytes were taken", text, path, count);
	return 0;
}

int fd_send(int socket, const void *data, size_t length, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(FD_MESSAGE_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec part = {.iov_base = (void *)data, .iov_len = length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (count > FD_MESSAGE_MAX)
		return -EINVAL;
	if (count > 0) {
		struct cmsghdr *header;

		memset(&control, 0, CMSG_SPACE(count * sizeof(int)));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	do {
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == length ? 0 : -EMSGSIZE;
}

ssize_t fd_receive(int socket, void *data, size_t size, int *fds, size_t *count)
{
	union {
		char bytes[CMSG_SPACE(FD_MESSAGE_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec part = {.iov_base = data, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	size_t room = *count, came = 0;
	bool cut;
	ssize_t length;

	*count = 0;
	do {
		length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	cut = message.msg_flags & (MSG_CTRUNC | MSG_TRUNC);
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		size_t here;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (came < room) {
				fds[came++] = fd;
			} else {
				close(fd);
				cut = true;
			}
		}
	}
	if (cut) {
		while (came > 0)
			close(fds[--came]);
		return -EPROTO;
	}
	*count = came;
	return length;
}
