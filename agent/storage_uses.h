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
	bool going;   /* it is being unmounted */
	bool unsure; /* that has failed: it may be mounted or not */
	bool kept;   /* stays mounted until the sandbox ends, also while the count is 0 */
};

struct storage_uses {
	struct storage_use *first;
};

/* Counts one more use. 1 where it is the first, or may have been unmounted, so that it has to be mounted unless it is there;
 * 0; or, with nothing counted, -ENOMEM, -EBUSY while it is being unmounted. */
int storage_uses_add(struct storage_uses *uses, const char *mount_point);

/* What is mounted there stays, whoever uses it or not. */
void storage_uses_keep(struct storage_uses *uses, const char *mount_point);

/* Whether nobody but the asker, who has `own` uses of it, uses the mount point, so that it can be unmounted. */
bool storage_uses_last(struct storage_uses *uses, const char *mount_point, unsigned own);

/* It is being unmounted. */
void storage_uses_go(struct storage_uses *uses, const char *mount_point);

/* It isn't any more, and whether it has been isn't known. Without effect on one that didn't go. */
void storage_uses_stay(struct storage_uses *uses, const char *mount_point);

/* Counts one less; the last one is forgotten, unless what is mounted there stays. */
void storage_uses_drop(struct storage_uses *uses, const char *mount_point);

#endif
