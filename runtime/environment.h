/* Lists of environment variables: what `--env` and its like give. */
#ifndef NACRE_RUNTIME_ENVIRONMENT_H
#define NACRE_RUNTIME_ENVIRONMENT_H

#include <stddef.h>

#include "lib/error.h"

/* Makes a list of NAME=VALUE of `given` (NULL-terminated, or NULL): as they are, or NAME alone with our own value, left
 * out where we have none. To be freed with environment_free(), also after an error. 0, or -EINVAL or -ENOMEM. */
int environment_take(char ***list, size_t *count, const char *const *given, struct error *error);
void environment_free(char **list, size_t count);

#endif
