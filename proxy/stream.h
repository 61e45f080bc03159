/* The host's ends of vsock connections: how a client's socket comes to its connection (a line that names the port, asking the
 * guest until it accepts), and who may have how many. Moving data is lib/vsock_socket.h's.
 */
#ifndef NACRE_PROXY_STREAM_H
#define NACRE_PROXY_STREAM_H

#include "lib/loop.h"
#include "lib/vsock_socket.h"
#include "proxy/line.h"

enum stream_state {
	STREAM_HANDSHAKE,  /* the line which says the port has yet to come */
	STREAM_WAITING,	   /* for the guest to be up, or for the next try */
	STREAM_CONNECTING, /* the guest has been asked */
	STREAM_OPEN,
	STREAM_DRAINING, /* the connection is over, the backlog isn't */
};

enum stream_origin {
	STREAM_AGENT, /* agent.sock: the connection is tried again until the guest accepts it */
	STREAM_PORT,  /* vsock.sock: the client names the port, and is told the host port */
	STREAM_FORWARD, /* a client of a socket which leads to one port */
	STREAM_GUEST,	/* the guest asked for it */
};

#define STREAM_AGENT_PORT 1024 /* where the agent serves its calls */

/* Host clients and guests have a number of connections each, so that neither can use up the other's. */
struct streams_limits {
	size_t from_host, from_guest;
	uint64_t handshake_time; /* for the CONNECT line, and again for the guest's answer */
};

/* All fit into 1024 descriptors. */
#define STREAMS_LIMITS ((struct streams_limits){.from_host = 512, .from_guest = 256, .handshake_time = 10 * LOOP_SECOND})

struct stream;
struct streams {
	struct loop *loop;
	struct vsock_engine *engine;
	struct list all;
	struct streams_limits limits; /* STREAMS_LIMITS; may be set before the first one */
	size_t from_host, from_guest;
	void (*agent_opened)(struct streams *streams); /* the guest has accepted a STREAM_AGENT */
	void (*emptied)(struct streams *streams);      /* set by streams_finish() */
};

struct stream {
	struct vsock_socket socket;
	struct streams *streams;
	struct list link;
	enum stream_origin origin;
	enum stream_state step; /* of an early one */
	uint32_t port;		/* in the guest */
	struct line line;
	uint64_t retry_delay;
	struct loop_timer timer; /* handshake, answer of the guest, or next try */
};

void streams_init(struct streams *streams, struct loop *loop, struct vsock_engine *engine,
		  void (*agent_opened)(struct streams *streams));

enum stream_state stream_state(const struct stream *stream);

/* A connected socket of type SOCK_SEQPACKET becomes a connection of messages, any other one of bytes.
 *
 * Serves a client of agent.sock, vsock.sock (whose line names the port) or a forward. `fd` belongs to the stream from here on,
 * also where it fails (ENFILE at the limit, ENOMEM). */
int streams_serve(struct streams *streams, int fd, enum stream_origin origin, uint32_t port);

/* A connection which the guest asked for, over a connected socket; the fd is taken in any case. The connection for the
 * engine, or NULL. */
struct vsock_connection *streams_accept(struct streams *streams, int fd);

/* The guest's driver is up: asks it for what waits. */
void streams_started(struct streams *streams);

/* Closes all that wait, and lets the others end with what they still have to pass on; `emptied` is called when all have
 * gone, perhaps at once. */
void streams_finish(struct streams *streams, void (*emptied)(struct streams *streams));

/* Closes every stream at once. */
void streams_destroy(struct streams *streams);

#endif
