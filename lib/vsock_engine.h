/* One side of virtio-vsock (virtio 1.2, section 5.10): connections, credit, half-close, reset.
 *
 * The engine stands between a carrier, which brings packets from the peer and has room for packets to it (the
 * vhost-user device: proxy/vhost_vsock.h; a byte stream: lib/vsock_serial.h), and streams, the local ends of the
 * connections (Unix sockets: proxy/stream.h, lib/vsock_socket.h). It knows neither, and copies no payload: a stream
 * reads straight into the carrier's room, and writes straight from a packet's payload. On the host the peer is the
 * guest, in a guest without a vsock device it is the host.
 *
 * Theory of operation
 *   From the peer: vsock_engine_receive() checks a packet and acts on it. Payload is gathered over packets which
 *   follow each other on one connection, and handed to the stream in one write by vsock_engine_flush(). A stream
 *   takes everything, always; what it can't pass on yet it keeps, at most engine->buffer bytes, since that is the credit
 *   which the peer has. So no stream can hold up the ring which all of them share.
 *   To the peer: control packets first, then data. A connection whose stream is readable stands in one queue, and each
 *   gets one read, into room for at most VSOCK_READ_PACKETS packets, before it is the next one's turn. When the
 *   room is used up the order stays, and those who wait aren't watched meanwhile.
 */
#ifndef NACRE_LIB_VSOCK_ENGINE_H
#define NACRE_LIB_VSOCK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "lib/iovec.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/vsock_packet.h"

#define VSOCK_BUFFER (256u << 10) /* engine->buffer, unless it is set otherwise */
#define VSOCK_READ_PACKETS 16	  /* at most this many packets from one read of a stream */
#define VSOCK_RESETS_MAX 256	  /* resets for unknown connections which wait for room; more are dropped */
#define VSOCK_BUCKETS 256
#define VSOCK_CLOSE_TIME (2 * LOOP_SECOND) /* from our last SHUTDOWN to the peer's RST */

struct vsock_connection;
struct vsock_engine;

/* The local end of a connection. */
struct vsock_stream_ops {
	/* A connection of messages (SOCK_SEQPACKET): read() reads of one message alone, and says in connection->end_of_message
	 * whether to its end; where it doesn't it is called again without being told of more. write() finds there whether what
	 * it is given is the end of one. */
	bool messages;

	/* Like readv(2) without blocking: the count, 0 at the end, or -errno. */
	ssize_t (*read)(struct vsock_connection *connection, const struct iovec *parts, size_t count);

	/* Takes all of the `size` bytes, keeps what can't go on yet, and returns how many went on (or were dropped,
	 * where nobody reads them), those that it had kept included; the rest is announced by vsock_connection_forwarded().
	 * -ENOMEM ends the connection. */
	ssize_t (*write)(struct vsock_connection *connection, const struct iovec *parts, size_t count, size_t size);

	/* Whether readability is to be reported (vsock_connection_readable()). False at first. */
	void (*watch)(struct vsock_connection *connection, bool readable);

	/* The peer has accepted a connection made by vsock_engine_connect(). 0; or -errno, which resets it. */
	int (*connected)(struct vsock_connection *connection);

	/* What the peer won't do any more (VSOCK_SHUTDOWN_RECEIVE, _SEND). */
	void (*shut)(struct vsock_connection *connection, unsigned int flags);

	/* The connection is gone from the engine, because of the peer or of vsock_engine_stop(). Both directions are
	 * over; what write() took must still reach its reader. The stream may be freed here, and in no other of
	 * these functions. */
	void (*closed)(struct vsock_connection *connection);
};

/* The way to the peer. */
struct vsock_carrier;
struct vsock_carrier_ops {
	/* Looks at the room for up to `packets` packets. Fills `sizes` with how much payload each takes, and `parts`
	 * with where that goes, one packet after the other. Returns how many packets there is room for; where that is 0,
	 * the carrier calls vsock_engine_run() when there is some. What was offered stays until the next call. */
	size_t (*room)(struct vsock_carrier *carrier, size_t packets, struct iovec parts[IOVEC_MAX],
		       size_t *part_count, uint32_t sizes[VSOCK_READ_PACKETS]);

	/* Sends the first packet of the room last looked at: this header, and header->length bytes that are there. */
	void (*send)(struct vsock_carrier *carrier, const struct vsock_header *header);

	/* Calls vsock_engine_run() soon, but not from within this call. */
	void (*wake)(struct vsock_carrier *carrier);
};

struct vsock_carrier {
	const struct vsock_carrier_ops *ops;
};

struct vsock_engine_ops {
	/* The peer's request to connect from its port to a local one: the stream's connection, or NULL to refuse. */
	struct vsock_connection *(*accept)(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port);

	/* The same for a connection of messages. NULL where there are none. */
	struct vsock_connection *(*accept_messages)(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port);

	/* The peer is there: vsock_engine_connect() may succeed now. */
	void (*started)(struct vsock_engine *engine);
};

enum vsock_state { VSOCK_CLOSED, VSOCK_REQUESTED, VSOCK_CONNECTED, VSOCK_CLOSING };

/* Embedded in a stream. All is the engine's, but `ops`. */
struct vsock_connection {
	const struct vsock_stream_ops *ops;
	struct vsock_engine *engine;
	enum vsock_state state;
	uint32_t local_port, peer_port;
	uint32_t known_port; /* local_port as the peer sees it: the same, unless the carrier says otherwise */

	/* Of each count of bytes the lower half is what the wire has. */
	uint64_t received;  /* from the peer */
	uint64_t forwarded; /* of these, passed on by the stream: fwd_cnt */
	uint32_t announced; /* the fwd_cnt which the peer has been told last */

	uint64_t sent;		 /* to the peer */
	uint64_t stalls;	 /* how often that waited for credit */
	uint32_t peer_forwarded; /* of what was sent, taken by its reader */
	uint32_t peer_buffer;

	unsigned int shut;	/* VSOCK_SHUTDOWN_* which the peer has been told, or will be */
	unsigned int peer_shut; /* which it told us */
	unsigned int pending;	/* control packets to send, a bit an operation */
	bool hung_up;		/* the stream's peer is gone: nothing will read or write any more */
	bool out_of_credit;
	bool end_of_message; /* see vsock_stream_ops.messages */
	unsigned int appetite; /* packets of room which the next read gets */

	struct vsock_connection *next; /* in its bucket */
	struct list all;
	struct list control; /* in engine->control while something is pending */
	struct list ready;   /* in engine->ready while there may be something to read */
	struct loop_timer close_timer;
};

struct vsock_address {
	uint32_t local_port, peer_port;
	uint16_t type; /* VSOCK_TYPE_* */
};

/* Which connections the peer may know, in memory that outlives a process: the engine of the next one resets them. An entry
 * is there from before the peer can hear of a connection until the peer has been sent, or has sent, a reset. */
struct vsock_ledger {
	uint32_t next_port; /* as the engine's; 0 at first */
	uint32_t size, high; /* entries; how many of them have ever been used */
	uint64_t entries[];  /* 0 where free, or the two ports, inverted */
};

struct vsock_engine {
	const struct vsock_engine_ops *ops;
	struct vsock_carrier *carrier;
	struct loop *loop;
	uint64_t local_cid, peer_cid;
	uint32_t buffer; /* buf_alloc: what the peer may send before a stream has taken it on; may be set before the start */
	bool running;
	uint32_t next_port;
	struct vsock_ledger *ledger; /* NULL where nobody comes after this process */
	uint32_t stale;		     /* the first entries of it, which are of the process before and still to be reset */

	struct vsock_connection *buckets[VSOCK_BUCKETS];
	struct list connections;
	struct list control;
	struct list ready;

	struct vsock_address resets[VSOCK_RESETS_MAX]; /* a ring */
	size_t reset_first, reset_count;

	/* Payload gathered for one write. */
	struct vsock_connection *writing;
	size_t part_count, size;
	struct iovec parts[IOVEC_MAX]; /* from here on nothing is cleared at first, so that what isn't used takes no memory */

	/* The carrier's room for what is sent next. Not on the stack, which would be cleared for each packet. */
	struct iovec room[IOVEC_MAX];
};

void vsock_engine_init(struct vsock_engine *engine, struct loop *loop, uint64_t local_cid, uint64_t peer_cid,
		       const struct vsock_engine_ops *ops);

/* Keeps the ledger from now on, as long as the engine is there; what is in it are connections to reset. Before the start. */
void vsock_engine_keep(struct vsock_engine *engine, struct vsock_ledger *ledger);

/* For the carrier: packets can be moved from now on, or can't any more (every connection is closed). */
void vsock_engine_start(struct vsock_engine *engine, struct vsock_carrier *carrier);
void vsock_engine_stop(struct vsock_engine *engine);

/* For the carrier: a packet of the peer's. `parts` are header->length bytes, which must stay until the next
 * vsock_engine_flush(). */
void vsock_engine_receive(struct vsock_engine *engine, const struct vsock_header *header, const struct iovec *parts,
			  size_t count);
void vsock_engine_flush(struct vsock_engine *engine);

/* For a carrier whose VMM chooses the host's ports: the peer sees this connection as one from `known_port`. Must come before
 * its RESPONSE. */
void vsock_engine_known_as(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port, uint32_t known_port);

/* For the carrier: sends what there is to send, each ready connection once. True where it needs more room than there
 * is; otherwise it calls wake() itself for what is left. */
bool vsock_engine_run(struct vsock_engine *engine);

/* For streams: asks the peer for a connection to its port. 0, and later connected() or closed(); or -ENOTCONN where
 * the peer isn't there. connection->local_port is the source port, which no other connection has. */
int vsock_engine_connect(struct vsock_engine *engine, struct vsock_connection *connection,
			 const struct vsock_stream_ops *ops, uint32_t peer_port);

/* For streams: there may be something to read. */
void vsock_connection_readable(struct vsock_connection *connection);

/* For streams: the other end of the stream is gone, in both directions. What it has written can still be read. */
void vsock_connection_hung_up(struct vsock_connection *connection);

/* For streams: nobody reads any more what the peer sends. */
void vsock_connection_unread(struct vsock_connection *connection);

/* For streams: `size` of the bytes which write() kept have gone on. */
void vsock_connection_forwarded(struct vsock_connection *connection, size_t size);

/* How many bytes the peer has room for. Hostile numbers give no more than the buffer which it claims to have. */
uint32_t vsock_connection_credit(const struct vsock_connection *connection);

/* For streams: resets a connection at once; closed() isn't called. Nothing for one that is closed. */
void vsock_connection_abort(struct vsock_connection *connection);

#endif
