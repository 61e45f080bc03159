/* The guest's image: an initramfs, or a disk with the guest's root file system. */
#ifndef NACRE_RUNTIME_IMAGE_H
#define NACRE_RUNTIME_IMAGE_H

#include <stdbool.h>

#include "lib/error.h"

#define IMAGE_VERITY_SIZE 1024

struct image {
	const char *path;
	const char *type;		/* of the file system; NULL: an initramfs */
	char verity[IMAGE_VERITY_SIZE]; /* what dm-mod.create= says; "" where nothing is checked */
};

/* Looks at the file, and at PATH.verity beside it where it is a disk. `path` stays the caller's. 0, or -errno: EINVAL for
 * what is no image, or no text for dm-mod.create= where one should be. */
int image_open(struct image *image, const char *path, struct error *error);

#endif
