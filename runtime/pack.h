/* A root file system's directory, packed into an image for the VM. */
#ifndef NACRE_RUNTIME_PACK_H
#define NACRE_RUNTIME_PACK_H

#include <stddef.h>

#include "lib/error.h"
#include "runtime/child.h"
#include "runtime/run_directory.h"

#define PACK_IMAGE "rootfs.erofs"
#define PACK_LOG "mkfs.log"

/* Opens the directory, having made sure that it can be a root: there, a directory, not empty, not this machine's own.
 * The fd, or -errno (ENOENT, ENOTDIR, ENODATA, EINVAL). */
int pack_open_root(const char *root, struct error *error);

/* Starts mkfs.erofs (the program `packer`): PACK_IMAGE in the run directory gets what `root` holds, with owners, modes,
 * times and extended attributes as they are, uncompressed. The directory isn't changed. 0 or -errno. */
int pack_start(struct child *child, const char *packer, int root, const struct run_directory *directory,
	       struct error *error);

/* What its exit status says: 0, or -EIO with its last line. *size gets the image's, in bytes. */
int pack_finish(int status, const struct run_directory *directory, size_t *size, struct error *error);

#endif
