/* The local end of a vsock connection: a connected Unix socket.
 *
 * Data is moved by readv(2) and writev(2) between the socket and the carrier's room. What the socket doesn't take at once is
 * copied into a backlog, and goes from there when the socket can be written again: at most VSOCK_BUFFER bytes, which is all
 * that the peer may send before it is told of free space. A socket outlives its connection for as long as its backlog has
 * not been read.
 */
#ifndef NACRE_LIB_VSOCK_SOCKET_H
#define NACRE_LIB_VSOCK_SOCKET_H

#include "lib/buffer.h"
#include "lib/loop.h"
#include "lib/vsock_engine.h"

struct vsock_socket {
	struct vsock_connection connection;
	struct loop *loop;
	struct loop_source source;
	int fd;
	struct buffer backlog;
	bool readable_wanted;
	bool end_wanted; /* shutdown(2) for writing when the backlog is empty */
	bool unread;	 /* the socket's peer reads no more: what comes for it is dropped */
	bool draining;	 /* the connection is over, the backlog isn't */
	void (*ended)(struct vsock_socket *socket);
};

/* Watches `fd`, which doesn't block and is owned from here on; `&socket->connection` is for the engine then. `ended` is
 * called when there is nothing more to do for it: it has to call vsock_socket_close(), and may free it. 0 or -errno, with
 * `fd` closed. */
int vsock_socket_open(struct vsock_socket *socket, struct loop *loop, int fd,
		      void (*ended)(struct vsock_socket *socket));

/* Closes it, and resets its connection where there is one. */
void vsock_socket_close(struct vsock_socket *socket);

#endif
