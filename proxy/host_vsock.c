/* The carrier vsock:CID: a host whose kernel has the device (vhost-vsock), by sockets of AF_VSOCK (vsock(7)). */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/socket_carrier.h"

/* syscalls: socket connect bind listen getsockopt getsockname getpeername */

#define BACKLOG 128

static int new_socket(void)
{
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

static int dial(struct socket_carrier *own, uint32_t guest_port)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = (unsigned int)own->options->guest_cid,
		.svm_port = guest_port,
	};
	cleanup_close int fd = new_socket();

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
		return -errno;
	return take_fd(&fd);
}

static int established(struct socket_connection *connection, uint32_t *known_port)
{
	struct sockaddr_vm address;
	socklen_t size = sizeof(address);
	int number = 0;
	socklen_t length = sizeof(number);

	if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &number, &length) < 0)
		return -errno;
	if (number != 0)
		return -number;
	if (getsockname(connection->fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	*known_port = address.svm_port;
	return 1;
}

static int listen_at(struct socket_port *port, struct error *error)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_ANY,
		.svm_port = port->host_port,
	};
	cleanup_close int fd = new_socket();
	int status;

	if (fd < 0)
		return error_errno(error, -fd, "vsock port %u: socket", port->host_port);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
		return error_errno(error, errno, "vsock port %u: listen", port->host_port);
	status = listener_serve(&port->listener, port->carrier->carrier.loop, take_fd(&fd), "vsock",
				socket_carrier_accepted, error);
	port->listener.any_peer = true; /* of_guest() looks */
	return status;
}

/* The host's ports are there for all guests, and for the host's own programs. */
static bool of_guest(struct socket_carrier *own, int fd, uint32_t *guest_port)
{
	struct sockaddr_vm address;
	socklen_t size = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &size) < 0 || address.svm_cid != own->options->guest_cid)
		return false;
	*guest_port = address.svm_port;
	return true;
}

static const struct socket_way way = {
	.dialing = EPOLLOUT,
	.dial = dial,
	.established = established,
	.listen = listen_at,
	.of_guest = of_guest,
};

static int open_vsock(struct carrier *carrier, const struct carrier_options *options, const struct carrier_place *place,
		      struct error *error)
{
	/* Better now than at the first client. */
	int fd = new_socket();

	(void)place;
	if (fd < 0)
		return error_errno(error, -fd, "--carrier vsock:%u: AF_VSOCK", (unsigned int)options->guest_cid);
	fd_close(&fd);
	socket_carrier_start(carrier, options, &way, true);
	return 0;
}

const struct carrier_ops vsock_carrier = {
	.size = sizeof(struct socket_carrier),
	.open = open_vsock,
	.close = socket_carrier_close,
	.serve_port = socket_carrier_serve_port,
};
