/* Writing without waiting. */
#include "runtime/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

/* A pipe that poll(2) calls writable has room for a page. */
#define PAGE 4096
#define PENDING_LIMIT (1u << 20)

static enum outlet_kind kind_of(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return OUTLET_FILE;
	if (S_ISSOCK(stat.st_mode))
		return OUTLET_SOCKET;
	return S_ISFIFO(stat.st_mode) || isatty(fd) ? OUTLET_SHARED : OUTLET_FILE;
}

static void open_as(struct outlet *outlet, struct loop *loop, int fd, enum outlet_kind kind)
{
	outlet->loop = loop;
	outlet->fd = fd;
	outlet->kind = kind;
	outlet->source.fd = -1;
	outlet->broken = 0;
	buffer_init(&outlet->pending, PENDING_LIMIT);
}

void outlet_open_shared(struct outlet *outlet, struct loop *loop, int fd)
{
	char path[PATH_OF_FD_SIZE];
	int own;

	open_as(outlet, loop, fd, kind_of(fd));
	if (outlet->kind != OUTLET_SHARED)
		return;
	own = open(path_of_fd(path, fd), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own < 0)
		return;
	outlet->fd = own;
	outlet->kind = OUTLET_PRIVATE;
}

void outlet_open_socket(struct outlet *outlet, struct loop *loop, int fd)
{
	open_as(outlet, loop, fd, OUTLET_SOCKET);
}

bool outlet_pending(const struct outlet *outlet)
{
	return buffer_length(&outlet->pending) > 0;
}

static void breaks(struct outlet *outlet, int number)
{
	loop_remove(outlet->loop, &outlet->source);
	buffer_consume(&outlet->pending, buffer_length(&outlet->pending));
	outlet->broken = number;
	if (outlet->broke)
		outlet->broke(outlet);
}

static ssize_t write_once(struct outlet *outlet, const void *data, size_t length)
{
	ssize_t count;

	do {
		count = outlet->kind == OUTLET_SOCKET ? send(outlet->fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL)
						      : write(outlet->fd, data, length);
	} while (count < 0 && errno == EINTR);
	return count < 0 && errno == EAGAIN ? 0 : count;
}

/* Writes what can be written now. How much, or -1 where it broke. */
static ssize_t write_some(struct outlet *outlet, const void *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t count = write_once(outlet, (const char *)data + done, length - done);

		if (count < 0) {
			breaks(outlet, errno);
			return -1;
		}
		if (count == 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

static void writable(struct loop_source *source, uint32_t events)
{
	struct outlet *outlet = container_of(source, struct outlet, source);
	size_t length = buffer_length(&outlet->pending);
	ssize_t count;

	(void)events;
	if (outlet->kind == OUTLET_SHARED)
		count = write_some(outlet, buffer_bytes(&outlet->pending), length < PAGE ? length : PAGE);
	else
		count = write_some(outlet, buffer_bytes(&outlet->pending), length);
	if (count < 0)
		return;
	buffer_consume(&outlet->pending, (size_t)count);
	if (outlet_pending(outlet))
		return;
	loop_remove(outlet->loop, source);
	if (outlet->drained)
		outlet->drained(outlet);
}

void outlet_write(struct outlet *outlet, const void *data, size_t length)
{
	ssize_t count = 0;

	if (outlet->broken)
		return;
	if (outlet->kind != OUTLET_SHARED && !outlet_pending(outlet))
		count = write_some(outlet, data, length);
	if (count < 0 || (size_t)count == length)
		return;
	if (buffer_append(&outlet->pending, (const char *)data + count, length - (size_t)count) < 0 ||
	    (outlet->source.fd < 0 && loop_add(outlet->loop, &outlet->source, outlet->fd, EPOLLOUT, writable) < 0))
		breaks(outlet, EIO);
}

void outlet_close(struct outlet *outlet)
{
	if (!outlet->loop)
		return;
	loop_remove(outlet->loop, &outlet->source);
	buffer_free(&outlet->pending);
	if (outlet->kind == OUTLET_PRIVATE || (outlet->kind == OUTLET_SOCKET && outlet->fd > STDERR_FILENO))
		fd_close(&outlet->fd);
	outlet->loop = NULL;
}
