/* Carriers whose VMM or host kernel owns the vsock device: each connection of the engine's is a socket.
 *
 * The engine above knows packets alone, so what a guest's kernel would do with them is done here: a REQUEST dials, RW is
 * written and read, SHUTDOWN is shutdown(2), and credit goes both ways, so that nothing is read from a socket which the
 * stream has no room for, and at most engine->buffer bytes wait for one that isn't read. The packets themselves are never
 * made: a header is told by a call, and payload is read into and written from one buffer.
 *
 * The ways to make such sockets differ (struct socket_way): hybrid.c, host_vsock.c.
 */
#ifndef NACRE_PROXY_SOCKET_CARRIER_H
#define NACRE_PROXY_SOCKET_CARRIER_H

#include "lib/buffer.h"
#include "proxy/carrier.h"
#include "proxy/line.h"
#include "proxy/listener.h"

#define SOCKET_CHUNK (64u << 10) /* the most that one read moves */
#define SOCKET_PORTS_MAX 64	 /* ports of the host at which the guest finds somebody */
#define SOCKET_DRAINING_MAX 64	 /* connections which are over, but for what the guest hasn't read */
#define SOCKET_BUCKETS 64

struct socket_carrier;

enum socket_state {
	SOCKET_DIALING, /* until the way says that it is established */
	SOCKET_OFFERED, /* the guest has connected, the engine has yet to answer */
	SOCKET_OPEN,
	SOCKET_FAILED,	 /* over; the engine has yet to be told, unless it knows */
	SOCKET_DRAINING, /* the engine has let go of it */
};

struct socket_connection {
	struct socket_carrier *carrier;
	enum socket_state state;
	uint32_t host_port, guest_port; /* as the engine names the connection */
	int fd;
	struct loop_source source; /* in no loop after a hang-up */
	struct line line;	   /* of the way */
	struct buffer backlog;	   /* for the guest */
	bool hung_up;		   /* its other end is gone: what is left is read without being told of it */
	bool unread;		   /* nobody reads there any more: the rest is dropped */
	bool end_wanted;	   /* the host's side has ended */

	/* The engine's credit at the guest, which is played here, and the other way round, as in struct vsock_connection. */
	uint32_t forwarded, announced;
	uint32_t sent, peer_forwarded, peer_buffer;
	bool credit_due;
	unsigned int told; /* VSOCK_SHUTDOWN_* */
	unsigned int shut_due;

	struct socket_connection *next; /* in its bucket */
	struct list all;
	struct list due; /* in carrier->due while the engine has something to be told */
};

struct socket_port {
	struct socket_carrier *carrier;
	uint32_t host_port;
	bool served;
	struct listener listener;
};

struct socket_way {
	uint32_t dialing; /* what to wait for while a connection isn't established: EPOLLIN or EPOLLOUT */

	/* Begins to connect to a port of the guest. A socket that doesn't block, or -errno. */
	int (*dial)(struct socket_carrier *carrier, uint32_t guest_port);

	/* 1 when it is established, with the host's port as the guest knows it; 0 for not yet; or -errno. */
	int (*established)(struct socket_connection *connection, uint32_t *known_port);

	/* Opens port->listener, with socket_carrier_accepted(). 0 or -errno with `error` filled. */
	int (*listen)(struct socket_port *port, struct error *error);

	/* Whether an accepted connection is this guest's, and from which of its ports: left alone where nobody says. NULL
	 * where all are. */
	bool (*of_guest)(struct socket_carrier *carrier, int fd, uint32_t *guest_port);
};

struct socket_carrier {
	struct carrier carrier;
	struct vsock_carrier packets; /* what the engine sees */
	const struct socket_way *way;
	const struct carrier_options *options;

	/* Whether shutdown(2) ends one direction and leaves the other. Where it doesn't, the host's end is told to the guest
	 * when the guest's has come: nothing of its output is lost. */
	bool half_close;

	struct socket_connection *buckets[SOCKET_BUCKETS];
	struct list all;
	struct list due;
	size_t draining;
	uint32_t next_port;
	struct loop_timer work;
	struct socket_port ports[SOCKET_PORTS_MAX];
	uint8_t bytes[SOCKET_CHUNK]; /* what is on its way in this moment, in either direction */
};

/* Starts the engine with this carrier. `options` are kept. */
void socket_carrier_start(struct carrier *carrier, const struct carrier_options *options, const struct socket_way *way,
			  bool half_close);

/* For the ways' struct carrier_ops. */
void socket_carrier_close(struct carrier *carrier);
int socket_carrier_serve_port(struct carrier *carrier, uint32_t host_port, bool served, struct error *error);

/* For a way's listeners: a connection of the guest's. */
void socket_carrier_accepted(struct listener *listener, int fd);

#endif
