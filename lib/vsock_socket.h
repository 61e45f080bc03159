/* The local end of a vsock connection: a connected Unix socket.
 *
 * Data is moved by readv(2) and writev(2) between the socket and the carrier's room. What the socket doesn't take at once is
 * copied into a backlog, and goes from there when the socket can be written again: at most engine->buffer bytes, which is all
 * that the peer may send before it is told of free space. (It can't stay in the carrier instead: all connections share one
 * ring, which would fill with what one slow reader has left there.)
 *
 * A socket may come before its connection (`early`), until the peer has accepted that; and it outlives its connection for as
 * long as its backlog has not been read (`draining`).
 */
#ifndef NACRE_LIB_VSOCK_SOCKET_H
#define NACRE_LIB_VSOCK_SOCKET_H

#include "lib/buffer.h"
#include "lib/loop.h"
#include "lib/vsock_engine.h"

struct vsock_socket;

/* Its owner's. All but `ended` are of those that came early. */
struct vsock_socket_ops {
	/* There is something to read. */
	void (*readable)(struct vsock_socket *socket);

	/* The socket's peer has gone. Where it isn't closed by this, what is left in it goes to the peer once that accepts. */
	void (*left)(struct vsock_socket *socket);

	/* The connection has been accepted. 0; or -errno, which resets it. */
	int (*connected)(struct vsock_socket *socket);

	/* It has been refused, or the engine stopped. */
	void (*refused)(struct vsock_socket *socket);

	/* Nothing more is to be done for it: vsock_socket_close() is due, and it may be freed. */
	void (*ended)(struct vsock_socket *socket);
};

struct vsock_socket {
	struct vsock_connection connection;
	const struct vsock_socket_ops *ops;
	void (*drain)(struct vsock_socket *socket); /* passes the backlog on */
	void *messages; /* of a socket of messages: proxy/message_socket.c's */
	struct loop *loop;
	struct loop_source source; /* in no loop once the socket's peer has gone */
	int fd;
	struct buffer backlog;
	bool readable_wanted;
	bool end_wanted; /* shutdown(2) for writing when the backlog is empty */
	bool unread;	 /* the socket's peer reads no more: what comes for it is dropped */
	bool early;	 /* the peer has still to accept the connection */
	bool draining;	 /* the connection is over, the backlog isn't */
};

/* Watches `fd`, which doesn't block and is owned from here on, for a connection of the engine's: one that the peer has asked
 * for, or an early one. 0 or -errno, with `fd` closed. */
int vsock_socket_open(struct vsock_socket *socket, struct vsock_engine *engine, int fd, bool early,
		      const struct vsock_socket_ops *ops);

/* Whether an early one is told of what there is to read. */
void vsock_socket_watch_readable(struct vsock_socket *socket, bool readable);

/* Asks the peer for the connection of an early one. As vsock_engine_connect(). */
int vsock_socket_connect(struct vsock_socket *socket, struct vsock_engine *engine, uint32_t port);

/* What a vsock_socket does for its connection; another kind of socket takes some of it, and does the rest itself. */
extern const struct vsock_stream_ops vsock_socket_stream_ops;

/* Whether the backlog waits for the socket has changed. */
void vsock_socket_watch(struct vsock_socket *socket);

/* It can't be written any more. */
void vsock_socket_unread(struct vsock_socket *socket);

/* Closes it, and resets its connection where there is one. */
void vsock_socket_close(struct vsock_socket *socket);

#endif
