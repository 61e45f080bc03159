/* The store's table: appended at its end, closed up when a set is dropped. */
#include "init/fdstore.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Where the set of this name begins and how long it is; *position is the end of the table where there is none. */
static size_t find(const struct fdstore *store, const char *name, size_t *position)
{
	size_t length = 0;

	for (*position = 0; *position < store->count; ++*position)
		if (strcmp(store->entries[*position].name, name) == 0)
			break;
	while (*position + length < store->count && strcmp(store->entries[*position + length].name, name) == 0)
		length++;
	return length;
}

void fdstore_drop(struct fdstore *store, const char *name)
{
	size_t position, length = find(store, name, &position);

	for (size_t i = 0; i < length; i++)
		close(store->entries[position + i].fd);
	store->count -= length;
	memmove(&store->entries[position], &store->entries[position + length],
		(store->count - position) * sizeof(store->entries[0]));
}

int fdstore_put(struct fdstore *store, const char *name, const int *fds, size_t count)
{
	size_t position, replaced = find(store, name, &position);

	if (count > FD_MESSAGE_MAX || count > FDSTORE_MAX - store->count + replaced) {
		while (count > 0)
			close(fds[--count]);
		return -ENOSPC;
	}
	fdstore_drop(store, name);
	for (size_t i = 0; i < count; i++) {
		struct fdstore_entry *entry = &store->entries[store->count++];

		entry->fd = fds[i];
		strcpy(entry->name, name);
	}
	return 0;
}

size_t fdstore_set(const struct fdstore *store, size_t position, const char **name, int fds[FD_MESSAGE_MAX])
{
	size_t count = 0;

	if (position >= store->count)
		return 0;
	*name = store->entries[position].name;
	while (count < FD_MESSAGE_MAX && position + count < store->count &&
	       strcmp(store->entries[position + count].name, *name) == 0) {
		fds[count] = store->entries[position + count].fd;
		count++;
	}
	return count;
}
