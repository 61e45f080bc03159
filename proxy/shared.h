/* What a worker writes for the one that comes after it: memory that the keeper makes before the first, and that both
 * processes have. Plain numbers alone: the keeper takes none of them for more than that.
 */
#ifndef NACRE_PROXY_SHARED_H
#define NACRE_PROXY_SHARED_H

#include "lib/vsock_engine.h"
#include "proxy/vhost_vsock.h"

struct shared {
	struct vhost_vsock_record record;
	int refused; /* the system call for which the worker's filter has ended it, and one; 0 for none */
	struct vsock_ledger ledger; /* ends in its entries */
};

/* With room for so many connections in the ledger. NULL with errno set. */
struct shared *shared_new(size_t connections);

/* Forgets it here; what a worker has mapped stays there. NULL is harmless. */
void shared_free(struct shared *shared);

#endif
