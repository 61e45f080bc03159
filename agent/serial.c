/* Finding the port, and the connections that come over it. */
#include "agent/serial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "agent/device/wait.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/vsock_socket.h"

#define DRIVER "/sys/bus/virtio/drivers/virtio_console"
#define PORTS "/sys/class/virtio-ports"
#define NAME_SIZE 256 /* of an entry in a folder */

/* Finding it --------------------------------------------------------------------------------------------------- */

bool serial_is_unneeded(void)
{
	cleanup_close int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	unsigned int cid = VMADDR_CID_ANY;

	return fd >= 0 && ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0 && cid != VMADDR_CID_ANY;
}

/* The name of an entry in `directory` that begins with `prefix` and has a file `name` with the text `wanted`, or any where
 * that is NULL. */
static bool find_entry(const char *directory, const char *prefix, const char *wanted, char found[NAME_SIZE])
{
	DIR *entries = opendir(directory);
	const struct dirent *entry;
	bool is_it = false;

	while (entries && !is_it && (entry = readdir(entries))) {
		char path[NAME_SIZE + sizeof("/name")], name[sizeof(VSOCK_SERIAL_PORT) + 1];

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/name", entry->d_name);
		is_it = !wanted || (fd_read_file(dirfd(entries), path, name, sizeof(name), NULL) >= 0 &&
				    strcmp(name, wanted) == 0);
		strcpy(found, entry->d_name);
	}
	if (entries)
		closedir(entries);
	return is_it;
}

/* The kernel announces a port's name as a change of it. */
static bool has_port(void *found)
{
	return find_entry(PORTS, "vport", VSOCK_SERIAL_PORT, found);
}

int serial_find(uint64_t timeout, struct error *error)
{
	char name[NAME_SIZE], path[sizeof("/dev/") + sizeof(name)];
	int fd, status;

	if (!find_entry(DRIVER, "virtio", NULL, name))
		return error_set(error, ENODEV, "this machine has neither a vsock device nor a virtio console");
	status = device_wait_until(has_port, name, "the port " VSOCK_SERIAL_PORT, timeout, error);
	if (status < 0)
		return status;
	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? error_errno(error, errno, "open %s", path) : fd;
}

/* Connections -------------------------------------------------------------------------------------------------- */

struct serial_connection {
	struct vsock_socket socket;
	struct serial *serial;
};

static void ended(struct vsock_socket *socket)
{
	struct serial_connection *connection = container_of(socket, struct serial_connection, socket);

	connection->serial->connection_count--;
	vsock_socket_close(socket);
	free(connection);
}

static const struct vsock_socket_ops socket_ops = {.ended = ended};

static struct listener *find_listener(const struct serial *serial, uint32_t port)
{
	for (size_t i = 0; i < serial->listener_count; i++)
		if (serial->listeners[i].port == port)
			return serial->listeners[i].listener;
	return NULL;
}

static struct vsock_connection *accept_one(struct vsock_engine *engine, uint32_t port, uint32_t peer_port)
{
	struct serial *serial = container_of(engine, struct serial, engine);
	struct listener *listener = find_listener(serial, port);
	struct serial_connection *connection;
	int ends[2];

	if (!listener || serial->connection_count == SERIAL_CONNECTIONS_MAX)
		return NULL;
	connection = calloc(1, sizeof(*connection));
	if (!connection || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		free(connection);
		return NULL;
	}
	connection->serial = serial;
	if (vsock_socket_open(&connection->socket, engine, ends[0], false, &socket_ops) < 0) {
		close(ends[1]);
		free(connection);
		return NULL;
	}
	serial->connection_count++;
	listener->accepted(listener, ends[1], peer_port);
	return &connection->socket.connection;
}

static void started(struct vsock_engine *engine)
{
	(void)engine;
}

static const struct vsock_engine_ops engine_ops = {.accept = accept_one, .started = started};

/* Somebody may come back. */
static void hung_up(struct vsock_serial *carrier)
{
	(void)carrier;
}

int serial_open(struct serial *serial, struct loop *loop, int fd)
{
	serial->loop = loop;
	vsock_engine_init(&serial->engine, loop, VSOCK_SERIAL_GUEST_CID, VSOCK_HOST_CID, &engine_ops);
	vsock_serial_init(&serial->carrier, loop, &serial->engine, hung_up);
	return vsock_serial_open(&serial->carrier, fd);
}

void serial_listen(struct serial *serial, uint32_t port, struct listener *listener)
{
	serial->listeners[serial->listener_count].port = port;
	serial->listeners[serial->listener_count++].listener = listener;
}
