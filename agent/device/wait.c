/* The socket is bound before the second look, so that no device can come unseen between a look and the wait for it. */
#include "agent/device/wait.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "lib/cleanup.h"
#include "lib/loop.h"

#define KERNEL_GROUP 1
#define EVENT_SIZE 8192

static int open_events(struct error *error)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	cleanup_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return error_errno(error, errno, "make a uevent socket");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "bind a uevent socket");
	return take_fd(&fd);
}

/* What an event says isn't read: whichever it was, the device is looked for. So nobody can lie here, and an overrun
 * (ENOBUFS) loses nothing. */
static void drain(int fd)
{
	char event[EVENT_SIZE];

	while (recv(fd, event, sizeof(event), 0) >= 0 || errno == ENOBUFS)
		;
}

int device_wait_until(bool (*look)(void *wanted), void *wanted, const char *what, uint64_t timeout, struct error *error)
{
	uint64_t deadline = loop_now() + timeout;
	cleanup_close int events = -1;

	if (look(wanted))
		return 0;
	events = open_events(error);
	if (events < 0)
		return events;
	while (!look(wanted)) {
		struct pollfd waiting = {.fd = events, .events = POLLIN};
		uint64_t now = loop_now();

		if (now >= deadline)
			return error_set(error, ETIMEDOUT, "Timeout after %llus waiting for uevent of %s",
					 (unsigned long long)(timeout / LOOP_SECOND), what);
		poll(&waiting, 1, (int)((deadline - now) / LOOP_MILLISECOND) + 1);
		drain(events);
	}
	return 0;
}
