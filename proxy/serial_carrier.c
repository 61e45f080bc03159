/* The carrier serial:PATH: a virtio-serial port in the place of a vsock device (lib/vsock_serial.h), for a VMM which listens
 * at PATH with the port's other end. It is connected to as soon as it can be had, and again after it has closed.
 *
 * Whose guest is served is whose socket was named: the VMM made it there, and lets nobody but one in. Nothing goes by a CID.
 */
#include <errno.h>

#include "lib/fd.h"
#include "lib/vsock_serial.h"
#include "proxy/carrier.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "serial"
#include "lib/log.h"

#define RETRY_FIRST (5 * LOOP_MILLISECOND)
#define RETRY_LAST (100 * LOOP_MILLISECOND)

struct serial_carrier {
	struct carrier carrier;
	struct vsock_serial serial;
	const char *path;
	int fd;	        /* -1 until there is a VMM */
	uint64_t delay; /* until the next try */
	struct loop_timer retry;
};

static void retry_due(struct loop_timer *timer);

static void retry_later(struct serial_carrier *own)
{
	loop_timer_set(own->carrier.loop, &own->retry, own->delay, retry_due);
	own->delay = own->delay * 2 < RETRY_LAST ? own->delay * 2 : RETRY_LAST;
}

static void retry_due(struct loop_timer *timer)
{
	struct serial_carrier *own = container_of(timer, struct serial_carrier, retry);
	struct error error;

	own->fd = unix_connect_now(own->path, &error);
	if (own->fd >= 0 && vsock_serial_open(&own->serial, own->fd) == 0) {
		own->delay = RETRY_FIRST;
		log_debug("connected to %s", own->path);
		return;
	}
	if (own->fd < 0 && error.number != ENOENT && error.number != ECONNREFUSED && error.number != EAGAIN)
		log_limited(LOG_WARNING, "%s", error.text);
	fd_close(&own->fd);
	retry_later(own);
}

static void hung_up(struct vsock_serial *serial)
{
	struct serial_carrier *own = container_of(serial, struct serial_carrier, serial);

	vsock_serial_close(serial);
	fd_close(&own->fd);
	retry_later(own);
	own->carrier.ended(&own->carrier);
}

static int open_serial(struct carrier *carrier, const struct carrier_options *options, const struct carrier_place *place,
		       struct error *error)
{
	struct serial_carrier *own = container_of(carrier, struct serial_carrier, carrier);

	(void)place;
	(void)error;
	own->path = options->path;
	own->fd = -1;
	own->delay = RETRY_FIRST;
	vsock_serial_init(&own->serial, carrier->loop, carrier->engine, hung_up);
	loop_timer_set(carrier->loop, &own->retry, 0, retry_due);
	return 0;
}

static void close_serial(struct carrier *carrier)
{
	struct serial_carrier *own = container_of(carrier, struct serial_carrier, carrier);

	loop_timer_clear(carrier->loop, &own->retry);
	vsock_serial_close(&own->serial);
	fd_close(&own->fd);
}

const struct carrier_ops serial_carrier = {
	.size = sizeof(struct serial_carrier),
	.open = open_serial,
	.close = close_serial,
};
