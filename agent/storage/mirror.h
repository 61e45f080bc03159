/* A copy that follows its original (behaviour.md section 4, watchable-bind): what changes in the original is changed in the
 * copy by the same calls a program would use, so that whoever watches the copy with inotify(7) sees them.
 *
 * A pass compares sizes, times, modes, owners and the texts of links, and remembers nothing. Regular files are written in
 * place, as they may be bound somewhere by themselves. A symlink is exchanged by a rename, once everything that is beside it
 * is there, and what it has led to is removed after that: so a Kubernetes volume, whose names all lead through "..data", is
 * never seen half-changed.
 */
#ifndef NACRE_AGENT_STORAGE_MIRROR_H
#define NACRE_AGENT_STORAGE_MIRROR_H

#include <stdbool.h>

#include "lib/error.h"

/* The bytes of regular files that a copy has at most: what is larger is no configuration. */
#define MIRROR_SIZE_MAX (16u << 20)

/* Makes `target` like `source`: a directory, made if it is missing, or a regular file. Neither other mounts nor symlinks in
 * `target` are followed. 0; 1 where the source has been changed meanwhile, so that not all of it is taken over yet; -EFBIG where it is larger than
 * MIRROR_SIZE_MAX, with a part of it taken over, or grows beyond that while it is copied; -errno. Blocks. */
int mirror(const char *source, const char *target, struct error *error);

/* Whether there is no copy in a directory (O_PATH will do). */
bool mirror_is_empty(int directory);

#endif
