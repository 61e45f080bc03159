/* A root file system's directory, packed into an image for the VM. */
#ifndef NACRE_RUNTIME_PACK_H
#define NACRE_RUNTIME_PACK_H

#include <stddef.h>

#include "lib/error.h"
#include "runtime/child.h"
#include "runtime/run_directory.h"

#define PACK_LOG "mkfs.log"

/* Makes sure that a directory can be a root: not empty, and not this machine's own. 0 or -errno (ENODATA, EINVAL). */
int pack_check_root(int root, struct error *error);

/* Starts mkfs.erofs (the program `packer`): `image` in the run directory gets what `root` holds, with owners, modes,
 * times and extended attributes as they are, uncompressed. The directory isn't changed. 0 or -errno. */
int pack_start(struct child *child, const char *packer, int root, const struct run_directory *directory,
	       const char *image, struct error *error);

/* What its exit status says: 0, or -EIO with its last line. */
int pack_finish(int status, const struct run_directory *directory, const char *image, struct error *error);

#endif
