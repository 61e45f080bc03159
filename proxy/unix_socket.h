/* Unix stream sockets by path, of any length: the directory is opened first, and the kernel given the short way through
 * /proc/self/fd. Sockets made here are close-on-exec.
 */
#ifndef NACRE_PROXY_UNIX_SOCKET_H
#define NACRE_PROXY_UNIX_SOCKET_H

#include <stdbool.h>

#include "lib/error.h"

/* Listens at `path`, mode 0600 and not blocking. A socket that was left there is replaced; anything else that stands
 * there is EEXIST. The fd, or -errno. */
int unix_listen(const char *path, struct error *error);

/* Connects; the socket is a blocking one. The fd, or -errno. */
int unix_connect(const char *path, struct error *error);

/* The same without waiting: the socket doesn't block, and where the listener's queue is full this is -EAGAIN. */
int unix_connect_now(const char *path, struct error *error);

/* True where the process at the other end runs as the same user as this one, or as root. */
bool unix_peer_allowed(int fd);

#endif
