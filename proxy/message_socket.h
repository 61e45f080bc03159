/* The local end of a vsock connection of messages (SOCK_SEQPACKET, virtio 1.2, section 5.10.6.6): a Unix socket of that type.
 *
 * A message is one packet of the Unix socket, and as many of vsock's as it takes, the last of which says so. It is passed on whole,
 * in either direction, or not at all: one that is longer than the receiver has room for, or than --buffer, ends its direction.
 * A message of no bytes can't be told from the end of a Unix socket, and vsock's sockets send none: none is passed on.
 */
#ifndef NACRE_PROXY_MESSAGE_SOCKET_H
#define NACRE_PROXY_MESSAGE_SOCKET_H

#include "lib/vsock_socket.h"

/* Whether a Unix socket is one of messages. */
bool message_socket_is(int fd);

/* As vsock_socket_open(). */
int message_socket_open(struct vsock_socket *socket, struct vsock_engine *engine, int fd, bool early,
			const struct vsock_socket_ops *ops);

/* Due before vsock_socket_close(), and harmless for a socket of the other kind. */
void message_socket_free(struct vsock_socket *socket);

#endif
