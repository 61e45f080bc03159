/* Names in archives: made clean, or refused. They are only ever looked up in an archive or in a tree in memory. */
#ifndef NACRE_RUNTIME_SOURCE_PATH_H
#define NACRE_RUNTIME_SOURCE_PATH_H

#include <limits.h>

#include "lib/error.h"

/* "./a//b/" becomes "a/b", "./" becomes "". 0, or -EINVAL (absolute, ".."), -ENAMETOOLONG. `error` may be NULL. */
int source_path_clean(const char *text, char clean[PATH_MAX], struct error *error);

/* Where the symlink `name` (clean) with this target leads, as a clean name; ".." is taken away within. 0 or -errno. */
int source_path_link(const char *name, const char *target, char clean[PATH_MAX], struct error *error);

#endif
