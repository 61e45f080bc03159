/* The serial carrier: sessions, frames in, frames out. */
#include "lib/vsock_serial.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#define LOG_SUBSYSTEM "serial"
#include "lib/log.h"

/* syscalls: read write getrandom */

#define OVERHEAD (VSOCK_HEADER_SIZE + VSOCK_SERIAL_SEAL)
#define PAYLOAD_LEAST 512 /* room for less payload is none */
#define LAST_READS 64

_Static_assert(sizeof(struct vsock_hello) == 24, "a HELLO has 24 bytes");

static void work(struct loop_timer *timer);

static void schedule(struct vsock_serial *serial)
{
	if (serial->work.deadline == 0)
		loop_timer_set(serial->loop, &serial->work, 0, work);
}

/* ---- Sessions ------------------------------------------------------------------------------------------------ */

static void end_session(struct vsock_serial *serial)
{
	if (serial->state == VSOCK_SERIAL_UP)
		vsock_engine_stop(serial->engine);
	serial->state = VSOCK_SERIAL_SILENT;
}

/* What is to be sent yet are whole frames, and one in the middle: it stays. */
static void begin_session(struct vsock_serial *serial)
{
	end_session(serial);
	serial->state = VSOCK_SERIAL_GREETING;
	serial->peer_nonce = 0;
	serial->hello_due = true;
	/* Doesn't wait: a guest that has just booted may have no good randomness yet, but nobody in it to guess the nonce. */
	do {
		serial->nonce = 0;
	} while (getrandom(&serial->nonce, sizeof(serial->nonce), GRND_INSECURE) < 0 || serial->nonce == 0);
}

/* Somebody is at the other end, who hasn't heard of us. */
static void greet(struct vsock_serial *serial)
{
	memset(serial->out, 0, VSOCK_SERIAL_FRAME);
	serial->out_start = 0;
	serial->out_end = VSOCK_SERIAL_FRAME;
	begin_session(serial);
}

static void hang_up(struct vsock_serial *serial)
{
	end_session(serial);
	serial->readable = false;
	serial->hung_up(serial);
}

static void take_hello(struct vsock_serial *serial, const uint8_t *bytes)
{
	struct vsock_hello hello;
	uint64_t nonce, echo;

	memcpy(&hello, bytes, sizeof(hello));
	nonce = le64toh(hello.nonce);
	echo = le64toh(hello.echo);
	if (nonce == serial->peer_nonce && serial->state == VSOCK_SERIAL_UP)
		return;
	if (serial->state == VSOCK_SERIAL_UP)
		begin_session(serial);
	if (nonce != serial->peer_nonce) {
		serial->peer_nonce = nonce;
		serial->hello_due = true;
	}
	if (nonce == 0 || echo != serial->nonce)
		return;
	serial->state = VSOCK_SERIAL_UP;
	vsock_engine_start(serial->engine, &serial->carrier);
}

/* ---- In ------------------------------------------------------------------------------------------------------ */

static bool is_hello(const uint8_t *bytes)
{
	return memcmp(bytes, VSOCK_SERIAL_MAGIC, sizeof(((struct vsock_hello *)NULL)->magic)) == 0;
}

/* Passes over what isn't the HELLO that is waited for: a byte at a time, as what looks like one may be payload, with the real one
 * beginning in it. Returns the bytes that are done with. */
static size_t look_for_hello(struct vsock_serial *serial, const uint8_t *bytes, size_t length)
{
	size_t done = 0;

	while (length - done >= sizeof(struct vsock_hello)) {
		if (is_hello(bytes + done)) {
			take_hello(serial, bytes + done);
			if (serial->state == VSOCK_SERIAL_UP)
				return done + sizeof(struct vsock_hello);
		}
		done++;
	}
	return done;
}

/* What comes is no frame. Its first byte is done with. */
static size_t lose_track(struct vsock_serial *serial, const char *what)
{
	log_write(serial->lost_before ? LOG_DEBUG : LOG_WARNING, LOG_SUBSYSTEM, "%s came: the session begins anew",
		  what);
	serial->lost_before = true;
	begin_session(serial);
	return 1;
}

/* A frame or a HELLO. Returns its size, or 0 where more of it has to come. */
static size_t take_frame(struct vsock_serial *serial, uint8_t *bytes, size_t length)
{
	struct vsock_wire_header wire;
	struct vsock_header header;
	uint64_t seal;
	struct iovec payload;

	if (length >= sizeof(struct vsock_hello) && is_hello(bytes)) {
		take_hello(serial, bytes);
		return sizeof(struct vsock_hello);
	}
	if (length < sizeof(wire))
		return 0;
	memcpy(&wire, bytes, sizeof(wire));
	header = vsock_header_decode(&wire);
	if (header.source_cid != serial->engine->peer_cid || header.length > VSOCK_SERIAL_PAYLOAD)
		return lose_track(serial, "something else than a packet");
	if (length < OVERHEAD + header.length)
		return 0;
	memcpy(&seal, bytes + sizeof(wire) + header.length, sizeof(seal));
	if (le64toh(seal) != serial->peer_nonce)
		return lose_track(serial, "a packet without its seal");
	payload = (struct iovec){.iov_base = bytes + sizeof(wire), .iov_len = header.length};
	vsock_engine_receive(serial->engine, &header, &payload, header.length > 0);
	return OVERHEAD + header.length;
}

static void take_all(struct vsock_serial *serial)
{
	size_t done = 0, here;

	do {
		uint8_t *bytes = serial->in + done;
		size_t length = serial->in_end - done;

		here = serial->state == VSOCK_SERIAL_UP ? take_frame(serial, bytes, length)
							: look_for_hello(serial, bytes, length);
		done += here;
	} while (here > 0);
	vsock_engine_flush(serial->engine);
	serial->in_end -= done;
	memmove(serial->in, serial->in + done, serial->in_end);
}

/* One read, and what it brought. A port without anybody at its other end is at its end, once it is empty. */
static void receive(struct vsock_serial *serial)
{
	ssize_t length = read(serial->source.fd, serial->in + serial->in_end, sizeof(serial->in) - serial->in_end);

	if (length < 0 && errno == EINTR)
		return;
	if (length == 0 || (length < 0 && errno != EAGAIN)) {
		hang_up(serial);
		return;
	}
	if (serial->state == VSOCK_SERIAL_SILENT)
		greet(serial);
	if (length < 0) {
		serial->readable = false;
		return;
	}
	serial->in_end += (size_t)length;
	take_all(serial);
}

/* ---- Out ----------------------------------------------------------------------------------------------------- */

static struct vsock_serial *of_carrier(struct vsock_carrier *carrier)
{
	return container_of(carrier, struct vsock_serial, carrier);
}

/* Free bytes at out + out_end. It all comes back when the last of it has gone out. */
static size_t room_left(const struct vsock_serial *serial)
{
	return sizeof(serial->out) - serial->out_end;
}

static size_t carrier_room(struct vsock_carrier *carrier, size_t packets, struct iovec parts[IOVEC_MAX],
			   size_t *part_count, uint32_t sizes[VSOCK_READ_PACKETS])
{
	struct vsock_serial *serial = of_carrier(carrier);
	size_t left = room_left(serial), count = 0;
	uint8_t *at = serial->out + serial->out_end;

	while (count < packets && left >= OVERHEAD + PAYLOAD_LEAST) {
		size_t size = left < VSOCK_SERIAL_FRAME ? left : VSOCK_SERIAL_FRAME;

		sizes[count] = (uint32_t)(size - OVERHEAD);
		parts[count] = (struct iovec){.iov_base = at + VSOCK_HEADER_SIZE, .iov_len = sizes[count]};
		at += size;
		left -= size;
		count++;
	}
	*part_count = count;
	return count;
}

/* All packets of a room but the last are full: so each is where the one before it ends. */
static void carrier_send(struct vsock_carrier *carrier, const struct vsock_header *header)
{
	struct vsock_serial *serial = of_carrier(carrier);
	struct vsock_wire_header wire = vsock_header_encode(header);
	uint8_t *at = serial->out + serial->out_end;
	uint64_t seal = htole64(serial->nonce);

	memcpy(at, &wire, sizeof(wire));
	memcpy(at + sizeof(wire) + header->length, &seal, sizeof(seal));
	serial->out_end += OVERHEAD + header->length;
}

static void carrier_wake(struct vsock_carrier *carrier)
{
	schedule(of_carrier(carrier));
}

static const struct vsock_carrier_ops carrier_ops = {
	.room = carrier_room,
	.send = carrier_send,
	.wake = carrier_wake,
};

static void say_hello(struct vsock_serial *serial)
{
	struct vsock_hello hello = {
		.magic = {VSOCK_SERIAL_MAGIC},
		.nonce = htole64(serial->nonce),
		.echo = htole64(serial->peer_nonce),
	};

	if (!serial->hello_due || room_left(serial) < sizeof(hello))
		return;
	memcpy(serial->out + serial->out_end, &hello, sizeof(hello));
	serial->out_end += sizeof(hello);
	serial->hello_due = false;
}

static void send_out(struct vsock_serial *serial)
{
	while (serial->writable && serial->out_start < serial->out_end) {
		ssize_t length = write(serial->source.fd, serial->out + serial->out_start,
				       serial->out_end - serial->out_start);

		if (length >= 0) {
			serial->out_start += (size_t)length;
		} else if (errno == EAGAIN) {
			serial->writable = false;
		} else if (errno != EINTR) {
			hang_up(serial);
			return;
		}
	}
	if (serial->out_start == serial->out_end)
		serial->out_start = serial->out_end = 0;
}

/* ---- The loop ------------------------------------------------------------------------------------------------ */

static void work(struct loop_timer *timer)
{
	struct vsock_serial *serial = container_of(timer, struct vsock_serial, work);
	bool starving; /* the engine wants more room */

	if (serial->readable)
		receive(serial);
	if (serial->state == VSOCK_SERIAL_SILENT)
		return;
	/* It comes first: where there is no room for it, there is none for a packet. */
	say_hello(serial);
	starving = serial->state == VSOCK_SERIAL_UP && vsock_engine_run(serial->engine);
	send_out(serial);
	if (serial->state != VSOCK_SERIAL_SILENT &&
	    (serial->readable || (serial->writable && (starving || serial->hello_due))))
		schedule(serial);
}

/* Watched edge-triggered: a port without anybody at its other end reports that for ever. */
static void ready(struct loop_source *source, uint32_t events)
{
	struct vsock_serial *serial = container_of(source, struct vsock_serial, source);

	(void)events;
	serial->readable = serial->writable = true;
	schedule(serial);
}

void vsock_serial_init(struct vsock_serial *serial, struct loop *loop, struct vsock_engine *engine,
		       void (*hung_up)(struct vsock_serial *serial))
{
	serial->carrier.ops = &carrier_ops;
	serial->engine = engine;
	serial->loop = loop;
	serial->hung_up = hung_up;
	serial->source.fd = -1;
}

int vsock_serial_open(struct vsock_serial *serial, int fd)
{
	return loop_add(serial->loop, &serial->source, fd, EPOLLIN | EPOLLOUT | EPOLLET, ready);
}

/* What has been sent and not been read, when it is known that nobody goes on sending: a bound is enough. */
static void take_last_words(struct vsock_serial *serial)
{
	for (int reads = 0; reads < LAST_READS && serial->state == VSOCK_SERIAL_UP; reads++) {
		ssize_t length =
			read(serial->source.fd, serial->in + serial->in_end, sizeof(serial->in) - serial->in_end);

		if (length <= 0)
			return;
		serial->in_end += (size_t)length;
		take_all(serial);
	}
}

void vsock_serial_close(struct vsock_serial *serial)
{
	take_last_words(serial);
	end_session(serial);
	loop_remove(serial->loop, &serial->source);
	loop_timer_clear(serial->loop, &serial->work);
}
