/* Which mount points are in use, and how often: the first use of a mount point mounts, the last one unmounts
 * (behaviour.md section 4). Only counts; jobs do the work.
 */
#ifndef NACRE_AGENT_STORAGE_USES_H
#define NACRE_AGENT_STORAGE_USES_H

#include <stdbool.h>
#include <stddef.h>

struct storage_use {
	struct storage_use *next;
	char *mount_point;
	unsigned count;
	bool kept; /* stays mounted until the sandbox ends, also while the count is 0 */
};

struct storage_uses {
	struct storage_use *first;
};

/* Counts one more use. 1 where it is the first, so that it has to be mounted; 0; or -ENOMEM. */
int storage_uses_add(struct storage_uses *uses, const char *mount_point);

/* What is mounted there stays, whoever uses it or not. */
void storage_uses_keep(struct storage_uses *uses, const char *mount_point);

/* Whether nobody but the asker, who has `own` uses of it, uses the mount point, so that it can be unmounted. */
bool storage_uses_last(struct storage_uses *uses, const char *mount_point, unsigned own);

/* Counts one less; the last one is forgotten, unless what is mounted there stays. */
void storage_uses_drop(struct storage_uses *uses, const char *mount_point);

#endif
