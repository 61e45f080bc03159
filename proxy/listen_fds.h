/* Listening sockets that a service manager passes to this process, in the way of sd_listen_fds(3): LISTEN_PID says for whom,
 * LISTEN_FDS how many descriptors from 3 on there are, LISTEN_FDNAMES which is which.
 */
#ifndef NACRE_PROXY_LISTEN_FDS_H
#define NACRE_PROXY_LISTEN_FDS_H

#include <stddef.h>

#include "lib/error.h"

/* Takes what was passed under each of the `count` names: fds[i] is a listening Unix stream socket, which doesn't block and is
 * close-on-exec, the caller's from here on; or -1. The variables are gone afterwards. 0, or -errno with `error` filled and no
 * socket (EINVAL: a name that isn't known or comes twice, or what is no such socket). */
int listen_fds_take(const char *const *names, size_t count, int *fds, struct error *error);

#endif
