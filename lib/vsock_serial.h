/* The vsock engine's carrier over a stream of bytes: a virtio-serial port, whose other end is a socket on the host.
 *
 * The wire
 *   A frame is a packet of virtio-vsock (44 bytes of header, at most VSOCK_SERIAL_PAYLOAD of payload; the host's CID is 2,
 *   the guest's VSOCK_SERIAL_GUEST_CID), and behind it the seal: 8 bytes, the nonce of its sender. Between frames there may be
 *   a HELLO: 8 bytes of text, and two numbers of 64 bits, the sender's nonce and the echo, which is the nonce that it has
 *   heard of its peer, 0 before that. Numbers are little-endian.
 *
 * Sessions
 *   Either side may be started anew at any time, in the middle of a frame, and the port tells nobody. So each begins by
 *   a nonce of its own, random and not 0, says HELLO, and takes nothing but a HELLO with its nonce for an echo: that
 *   can't be an old one, nor something that a container has written, as nobody else knows the nonce. Until then
 *   everything else is passed over. Then frames go both ways. A HELLO with a nonce that wasn't heard yet is answered by
 *   one with that echo, and where a session was going on it ends with all its connections: so does one in which
 *   something else comes than a frame, a HELLO or a seal. There are no timers and no keepalive: a machine that stands
 *   still loses nothing.
 *   Who has opened the way anew sends zeros first, as many as the longest frame has: these complete a frame which a
 *   predecessor has left half-sent, and the seal shows that it isn't one, so nothing of it reaches a stream.
 *
 * The peer is hostile. Buffers have a fixed size, a frame is handed on when all of it is there, and in one turn of the loop
 * one read is done.
 */
#ifndef NACRE_LIB_VSOCK_SERIAL_H
#define NACRE_LIB_VSOCK_SERIAL_H

#include "lib/vsock_engine.h"

#define VSOCK_SERIAL_PORT "org.nacre.0" /* the name of the virtio-serial port */
#define VSOCK_SERIAL_GUEST_CID 3
#define VSOCK_SERIAL_PAYLOAD (16u << 10)
#define VSOCK_SERIAL_SEAL 8u
#define VSOCK_SERIAL_FRAME (VSOCK_HEADER_SIZE + VSOCK_SERIAL_PAYLOAD + VSOCK_SERIAL_SEAL)
#define VSOCK_SERIAL_MAGIC "nacre-1\n"

struct vsock_hello {
	char magic[8];
	uint64_t nonce, echo;
} __attribute__((packed));

enum vsock_serial_state {
	VSOCK_SERIAL_SILENT,   /* nobody is at the other end */
	VSOCK_SERIAL_GREETING, /* until a HELLO with our nonce comes */
	VSOCK_SERIAL_UP,
};

struct vsock_serial {
	struct vsock_carrier carrier;
	struct vsock_engine *engine;
	struct loop *loop;
	struct loop_source source;
	struct loop_timer work;
	void (*hung_up)(struct vsock_serial *serial);

	enum vsock_serial_state state;
	uint64_t nonce, peer_nonce; /* peer_nonce is 0 until a HELLO has come */
	bool hello_due;
	bool readable, writable; /* as far as is known */
	bool lost_before;	 /* track of the frames, and said so */

	size_t in_end, out_start, out_end;
	uint8_t in[2 * VSOCK_SERIAL_FRAME];
	uint8_t out[4 * VSOCK_SERIAL_FRAME];
};

/* `serial` is all zeros. `hung_up` is told that nobody is at the other end any more, all connections being closed: it may
 * call vsock_serial_close(). Where it doesn't, as the fd is a port that somebody may come back to, the next who comes
 * gets a session. */
void vsock_serial_init(struct vsock_serial *serial, struct loop *loop, struct vsock_engine *engine,
		       void (*hung_up)(struct vsock_serial *serial));

/* Carries packets over `fd`, which doesn't block; it stays the caller's own. 0 or -errno. */
int vsock_serial_open(struct vsock_serial *serial, int fd);

/* Takes what has already come, ends the session, and forgets the fd. Nothing where none is open. */
void vsock_serial_close(struct vsock_serial *serial);

#endif
