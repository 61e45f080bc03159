/* Descriptors kept for the agent under names, so that they outlive it.
 *
 * A name stands for a set of descriptors in their order. The table is static: what doesn't fit is refused, and nothing
 * here allocates. Sets lie one after the other, each contiguous, in the order in which they were stored.
 */
#ifndef NACRE_INIT_FDSTORE_H
#define NACRE_INIT_FDSTORE_H

#include <stddef.h>

#include "lib/supervision.h"

#define FDSTORE_MAX 1000 /* below the usual soft limit of open files, 1024, with some left to work with */

struct fdstore {
	size_t count;
	struct fdstore_entry {
		int fd;
		char name[SUPERVISION_NAME_SIZE];
	} entries[FDSTORE_MAX];
};

/* Keeps `count` descriptors under `name` in place of what was there; the store owns them from here on. No descriptors
 * are the same as fdstore_drop(). 0, or -ENOSPC: the new ones are closed, and the old ones stay. */
int fdstore_put(struct fdstore *store, const char *name, const int *fds, size_t count);

/* Closes what is kept under `name`. */
void fdstore_drop(struct fdstore *store, const char *name);

/* Copies the descriptors, still the store's, of the set that begins at `position`, at most FD_MESSAGE_MAX of them.
 * Returns how many; the next set begins so much further on. 0 at the end. */
size_t fdstore_set(const struct fdstore *store, size_t position, const char **name, int fds[FD_MESSAGE_MAX]);

#endif
