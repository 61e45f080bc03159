/* The agent's ports behind a virtio-serial port of the machine, in the place of vsock: for VMs without a vsock device.
 *
 * What lib/vsock_serial.h carries is a connection to one of the agent's listeners; it gets one end of a pair of sockets,
 * and the other end is this module's. The port's fd is in the supervisor's store from the start: the kernel lets nobody
 * else open a port that is open, so no container gets it, also not one with all devices, or while the agent is started
 * again.
 */
#ifndef NACRE_AGENT_SERIAL_H
#define NACRE_AGENT_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "agent/listener.h"
#include "lib/error.h"
#include "lib/loop.h"
#include "lib/vsock_serial.h"

#define SERIAL_LISTENERS_MAX 4
#define SERIAL_CONNECTIONS_MAX 256 /* more are refused */

struct serial {
	struct vsock_engine engine;
	struct vsock_serial carrier;
	struct loop *loop;
	size_t connection_count;
	size_t listener_count;
	struct {
		uint32_t port;
		struct listener *listener;
	} listeners[SERIAL_LISTENERS_MAX];
};

/* True where the machine has a vsock device. */
bool serial_is_unneeded(void);

/* Opens the port named VSOCK_SERIAL_PORT, waiting for it at most `timeout` nanoseconds. The fd, or -errno: -ENODEV at once
 * where the machine has no virtio console at all. */
int serial_find(uint64_t timeout, struct error *error);

/* Serves what comes over the port from here on. `serial` is all zeros and stays where it is; the fd is taken over. 0 or
 * -errno. */
int serial_open(struct serial *serial, struct loop *loop, int fd);

/* Accepts connections to a port for a listener without a socket. */
void serial_listen(struct serial *serial, uint32_t port, struct listener *listener);

#endif
