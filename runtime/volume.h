/* `--volume SRC:DST[:ro]`: what of this machine a container sees besides its root. */
#ifndef NACRE_RUNTIME_VOLUME_H
#define NACRE_RUNTIME_VOLUME_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

#define VOLUMES_MOST 64

struct volume {
	char *source;
	char *destination; /* absolute, without "." and ".." */
	bool read_only;
	int fd;		/* what `source` is (O_PATH); -1 until volume_open() */
	bool directory; /* or a file, a socket, a device */
};

struct volumes {
	struct volume list[VOLUMES_MOST];
	size_t count;
};

/* Adds one, from its text. 0, or -EINVAL (no SRC, DST not absolute or the root, an option that isn't ro or rw, two for
 * the same DST). The strings are its own. */
int volumes_add(struct volumes *volumes, const char *text, struct error *error);

/* The same from its parts. */
int volumes_add_parts(struct volumes *volumes, const char *source, const char *destination, bool read_only,
		      struct error *error);

/* Opens what they are, so that it stays the same from here on. 0 or -errno (ENOENT). */
int volumes_open(struct volumes *volumes, struct error *error);
void volumes_free(struct volumes *volumes);

#endif
