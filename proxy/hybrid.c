/* The carrier hybrid:PATH: a VMM with a vsock device of its own behind Unix sockets, as Firecracker and Cloud Hypervisor have
 * it. PATH is the VMM's: "CONNECT port\n" is answered by "OK hostport\n", or by the end of the connection. Where the guest
 * connects to a port of the host, the VMM connects to PATH_PORT. These VMMs end both directions of a connection at once.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/socket_carrier.h"
#include "proxy/unix_socket.h"

/* syscalls: sendto */

static int dial(struct socket_carrier *own, uint32_t guest_port)
{
	cleanup_close int fd = unix_connect_now(own->options->path, NULL);
	char line[LINE_SIZE];
	int length = snprintf(line, sizeof(line), "CONNECT %u\n", guest_port);

	if (fd < 0)
		return fd;
	/* The first bytes of a new socket: there is room. */
	return send(fd, line, (size_t)length, MSG_NOSIGNAL) == length ? take_fd(&fd) : -EPIPE;
}

static int established(struct socket_connection *connection, uint32_t *known_port)
{
	int status = line_read(&connection->line, connection->fd);

	if (status <= 0)
		return status == -ECONNRESET ? -ECONNREFUSED : status;
	return line_number(&connection->line, "OK", known_port) < 0 ? -EPROTO : 1;
}

static int listen_at(struct socket_port *port, struct error *error)
{
	struct socket_carrier *own = port->carrier;
	cleanup_free char *path = NULL;

	if (asprintf(&path, "%s_%u", own->options->path, port->host_port) < 0) {
		path = NULL;
		return error_errno(error, ENOMEM, "%s_%u", own->options->path, port->host_port);
	}
	return listener_open(&port->listener, own->carrier.loop, path, socket_carrier_accepted, error);
}

static const struct socket_way way = {
	.dialing = EPOLLIN,
	.dial = dial,
	.established = established,
	.listen = listen_at,
};

static int open_hybrid(struct carrier *carrier, const struct carrier_options *options, const struct carrier_place *place,
		       struct error *error)
{
	(void)place;
	(void)error;
	socket_carrier_start(carrier, options, &way, options->half_close);
	return 0;
}

const struct carrier_ops hybrid_carrier = {
	.size = sizeof(struct socket_carrier),
	.open = open_hybrid,
	.close = socket_carrier_close,
	.serve_port = socket_carrier_serve_port,
};
