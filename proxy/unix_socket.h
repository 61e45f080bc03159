/* Unix sockets by path, stream sockets unless the name says otherwise. A path may have any length: where the kernel's address is too
 * short for it, the directory is opened first, and the kernel given a short way through /proc/self/fd. Sockets made here are
 * close-on-exec.
 */
#ifndef NACRE_PROXY_UNIX_SOCKET_H
#define NACRE_PROXY_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>

#include "lib/error.h"

/* The path of a socket in a directory, or of a file beside it, for the caller to free. NULL without memory, with `error` filled. */
char *unix_path_in(const char *directory, const char *name, struct error *error);

/* Listens at `path`, mode 0600 and not blocking. A socket of this user's at which nobody listens any more is replaced.
 * The fd, or -errno (EADDRINUSE where somebody does; EEXIST for anything else that stands there). */
int unix_listen(const char *path, struct error *error);

/* The same for sockets of another type than SOCK_STREAM. */
int unix_listen_as(int type, const char *path, struct error *error);

/* Removes `path` where it still is the file that lstat(2) has shown as `socket`, and not somebody else's by now. */
void unix_unlink(const char *path, const struct stat *socket);

/* Connects; the socket is a blocking one. The fd, or -errno. */
int unix_connect(const char *path, struct error *error);

/* The same without waiting: the socket doesn't block, and where the listener's queue is full this is -EAGAIN. */
int unix_connect_now(const char *path, struct error *error);

/* The same with a socket of another type; -EPROTOTYPE where the listener's isn't. */
int unix_connect_now_as(int type, const char *path, struct error *error);

/* A socket of datagrams which doesn't block, connected to one at `path`. The fd, or -errno. */
int unix_connect_datagrams(const char *path);

/* True where the process at the other end runs as the same user as this one, or as root. */
bool unix_peer_allowed(int fd);

#endif
