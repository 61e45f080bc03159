/* Paths inside a root that somebody hostile may have built: resolved by the kernel, never by string.
 *
 * openat2(2) with RESOLVE_IN_ROOT: symlinks and ".." stay below `root`, and magic links are refused. Every function
 * works on what it has opened, so nothing can be exchanged between the check and the use.
 */
#ifndef NACRE_LIB_PATH_H
#define NACRE_LIB_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

/* Opens `path` below the directory `root`. `flags` are open(2)'s; O_CLOEXEC is added. The fd, or -errno (EBUSY, here and
 * below: renames come in between without end). */
int path_open_in_root(int root, const char *path, int flags, mode_t mode, struct error *error);

/* Opens `path` below `directory`, with no symbolic link anywhere on the way, the last component included, and no way out.
 * The fd, or -errno (ELOOP: a link, EXDEV: a way out). */
int path_open_beneath(int directory, const char *path, int flags, mode_t mode);

/* Opens the directory `path` below `root` (O_PATH), making the ones that are missing with `mode`. A symlink on the way
 * is followed inside the root, and what it leads to is made. The fd, or -errno (ENOTDIR where something else stands there). */
int path_make_directories(int root, const char *path, mode_t mode, struct error *error);

/* Opens (O_PATH) the regular file `path` below `root`, making it empty, and its directories, where it is missing. What
 * exists is taken as it is, whatever its type. The fd, or -errno. */
int path_make_file(int root, const char *path, mode_t mode, struct error *error);

/* "/proc/self/fd/N" for calls which only take a path. */
#define PATH_OF_FD_SIZE 32
const char *path_of_fd(char text[PATH_OF_FD_SIZE], int fd);

/* Removes a directory tree without following symlinks or crossing into other mounts. 0 or -errno; ENOENT is 0. */
int path_remove_tree(int directory, const char *name, struct error *error);

#endif
