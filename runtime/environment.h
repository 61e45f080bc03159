/* Variables for the container: `--env-file` and `--env`, as docker has them. */
#ifndef NACRE_RUNTIME_ENVIRONMENT_H
#define NACRE_RUNTIME_ENVIRONMENT_H

#include <stddef.h>

#include "lib/error.h"

struct environment {
	char **list; /* NAME=VALUE, NULL-terminated; of its own */
	size_t count;
};

/* Adds one, in the place of an earlier one of the same name: NAME=VALUE as it is; NAME alone takes our own value, or
 * nothing is added where we have none. 0, or -EINVAL (no name), -ENOMEM. */
int environment_add(struct environment *environment, const char *text, struct error *error);

/* Adds the lines of a file: empty ones and those that begin with '#' are left out, blanks before a name too; what comes
 * behind '=' is the value to the end of the line. 0 or -errno, with file and line in `error`. */
int environment_add_file(struct environment *environment, const char *path, struct error *error);
void environment_free(struct environment *environment);

#endif
