/* CopyFile: files, folders and symlinks that the host puts into the folder which it shares with the containers, for
 * guests without a shared filesystem (behaviour.md 3, CopyFile; security.md A03).
 */
#ifndef NACRE_AGENT_COPY_FILE_H
#define NACRE_AGENT_COPY_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

#define COPY_FILE_ROOT "/run/kata-containers/shared/containers"

struct copy_file {
	const char *path; /* below COPY_FILE_ROOT, with it */
	int64_t size;	  /* of the whole file */
	mode_t mode;	  /* with S_IFMT */
	mode_t directory_mode;
	uid_t uid;
	gid_t gid;
	int64_t offset;
	const void *data; /* a part of the file, or a symlink's target */
	size_t length;
};

/* Checks what can be checked without touching anything. 0 or -EINVAL. */
int copy_file_check(const struct copy_file *copy, struct error *error);

/* Does it; blocks, so it belongs into a job. A regular file comes in parts and appears under its name with the last one,
 * whole. Nothing outside of the folder is ever touched: paths are resolved inside it by the kernel, and the last
 * component is never followed. 0 or -errno. */
int copy_file(const struct copy_file *copy, struct error *error);

#endif
