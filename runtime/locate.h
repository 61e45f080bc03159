/* Where the kernel, the image and the other programs are. */
#ifndef NACRE_RUNTIME_LOCATE_H
#define NACRE_RUNTIME_LOCATE_H

#include <limits.h>

#include "lib/error.h"

struct locations {
	char kernel[PATH_MAX];
	char image[PATH_MAX];
	char proxy[PATH_MAX];
	char vmm[PATH_MAX];
};

/* Fills them. `kernel` and `image` are what the user named, or NULL: then NACRE_KERNEL and NACRE_IMAGE count, then the
 * folder of this program (a build folder), then share/nacre beside it (an installed one), where the kernel's file is
 * `kernel_name`. 0, or -ENOENT with a hint. */
int locate_all(struct locations *locations, const char *kernel_name, const char *kernel, const char *image,
	       struct error *error);

/* Finds a program in PATH, or where the administration's are. 0, or -ENOENT with the name of its Debian package. */
int locate_program(char path[PATH_MAX], const char *name, const char *package, struct error *error);

/* The folder that this program is in: a build folder, or PREFIX/bin. 0 or a negative errno. */
int locate_own_folder(char folder[PATH_MAX], struct error *error);

#endif
