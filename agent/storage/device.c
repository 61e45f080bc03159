/* Block devices come with a uevent, and devtmpfs has made the node by then. The socket is bound before the first look,
 * so that no device can come unseen between the look and the wait. Sysfs and devtmpfs show a disk a little before it can
 * be opened, and the uevent comes after that: a disk is there when it opens. */
#include "agent/storage/device.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "lib/cleanup.h"
#include "lib/loop.h"

#define KERNEL_GROUP 1
#define EVENT_SIZE 8192

static bool opens_as_block_device(const char *path)
{
	cleanup_close int fd = -1;
	struct stat status;

	/* Other devices may do something when they are opened. */
	if (stat(path, &status) < 0 || !S_ISBLK(status.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 || errno != ENXIO;
}

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

/* What is waited for: a file below /dev, or what is at a place of the PCI buses, whose file it becomes. */
struct wanted {
	const struct pci_path *pci; /* or NULL */
	char path[DEVICE_PATH_SIZE];
};

static bool is_there(struct wanted *wanted)
{
	char name[PCI_NAME_SIZE];

	if (wanted->pci && pci_path_find_disk(wanted->pci, "/sys/devices", name) < 0)
		return false;
	if (wanted->pci)
		snprintf(wanted->path, sizeof(wanted->path), "/dev/%s", name);
	return opens_as_block_device(wanted->path);
}

/* `what` is for the message. */
static int wait_for(struct wanted *wanted, const char *what, uint64_t timeout, struct error *error)
{
	uint64_t deadline = loop_now() + timeout;
	cleanup_close int events = -1;

	if (is_there(wanted))
		return 0;
	events = open_events(error);
	if (events < 0)
		return events;
	while (!is_there(wanted)) {
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

int device_wait(const char *path, uint64_t timeout, struct error *error)
{
	struct wanted wanted = {0};

	if (strncmp(path, "/dev/", 5) != 0 || path[5] == '\0' || strchr(path + 5, '/') ||
	    snprintf(wanted.path, sizeof(wanted.path), "%s", path) >= (int)sizeof(wanted.path))
		return error_set(error, EINVAL, "'%.80s' is no block device's path", path);
	return wait_for(&wanted, path, timeout, error);
}

int device_wait_pci(const char *pci_path, uint64_t timeout, char path[DEVICE_PATH_SIZE], struct error *error)
{
	struct pci_path pci;
	struct wanted wanted = {.pci = &pci};
	int status = pci_path_parse(&pci, pci_path, error);

	if (status == 0)
		status = wait_for(&wanted, pci_path, timeout, error);
	if (status == 0)
		memcpy(path, wanted.path, DEVICE_PATH_SIZE);
	return status;
}
