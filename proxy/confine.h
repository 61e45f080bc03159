/* What keeper and workers give up, once they have what they need: files but those of a few directories, capabilities, new
 * privileges, limits, and system calls that none of their sources names. Nothing of it comes back, and each worker, forked
 * from the keeper, has the keeper's confinement and its own above.
 *
 * A source names what it calls in comments that begin with "syscalls:" (both processes) or "keeper's syscalls:"; these are
 * gathered when the proxy is built (scripts/gather-syscalls). A call that isn't among them ends the process.
 */
#ifndef NACRE_PROXY_CONFINE_H
#define NACRE_PROXY_CONFINE_H

#include "proxy/options.h"

/* In the keeper, before its first worker. 0, or -errno with `error` filled: where --confine asks for a way that can't be had;
 * where it doesn't, a warning tells what is left open. */
int confine_keeper(const struct options *options, struct error *error);

/* In a worker. *refused is set to the number of the system call that ends it, and one. 0 or -errno. */
int confine_worker(int *refused, struct error *error);

#endif
