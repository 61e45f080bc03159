/* The mounts of a process, as proc(5) lists them in /proc/PID/mounts: getmntent(3), whose scanf brings 9 KB into the agent. */
#ifndef NACRE_LIB_MOUNT_TABLE_H
#define NACRE_LIB_MOUNT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct mount_table {
	FILE *file;
	char *line;
	size_t room;
	/* Of the entry that mount_table_next() has come to, until it is called again. */
	const char *source, *path, *type, *options;
};

/* `file` is "/proc/self/mounts" or its like. False with errno; otherwise the caller closes it. */
bool mount_table_open(struct mount_table *table, const char *file);

/* The next entry, in the order in which they were mounted; false where there is none. */
bool mount_table_next(struct mount_table *table);

/* Also of one that isn't open, and all zeros. */
void mount_table_close(struct mount_table *table);

#define cleanup_mount_table __attribute__((cleanup(mount_table_close)))

#endif
