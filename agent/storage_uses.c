/* Counts of mount points. */
#include "agent/storage_uses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct storage_use **find(struct storage_uses *uses, const char *mount_point)
{
	struct storage_use **link = &uses->first;

	while (*link && strcmp((*link)->mount_point, mount_point) != 0)
		link = &(*link)->next;
	return link;
}

int storage_uses_add(struct storage_uses *uses, const char *mount_point)
{
	struct storage_use *use = *find(uses, mount_point);

	if (use && use->going)
		return -EBUSY;
	if (use) {
		use->count++;
		return use->unsure;
	}
	use = calloc(1, sizeof(*use));
	if (use)
		use->mount_point = strdup(mount_point);
	if (!use || !use->mount_point) {
		free(use);
		return -ENOMEM;
	}
	use->count = 1;
	use->next = uses->first;
	uses->first = use;
	return 1;
}

void storage_uses_keep(struct storage_uses *uses, const char *mount_point)
{
	struct storage_use *use = *find(uses, mount_point);

	if (use)
		use->kept = true;
}

void storage_uses_go(struct storage_uses *uses, const char *mount_point)
{
	struct storage_use *use = *find(uses, mount_point);

	if (use)
		use->going = true;
}

/* It stays unsure for as long as anybody uses it: whoever mounts it for himself may fail, too. */
void storage_uses_stay(struct storage_uses *uses, const char *mount_point)
{
	struct storage_use *use = *find(uses, mount_point);

	if (use && use->going) {
		use->going = false;
		use->unsure = true;
	}
}

bool storage_uses_last(struct storage_uses *uses, const char *mount_point, unsigned own)
{
	const struct storage_use *use = *find(uses, mount_point);

	return use && !use->kept && use->count <= own;
}

void storage_uses_drop(struct storage_uses *uses, const char *mount_point)
{
	struct storage_use **link = find(uses, mount_point), *use = *link;

	if (!use || use->count == 0 || --use->count > 0 || use->kept)
		return;
	*link = use->next;
	free(use->mount_point);
	free(use);
}
