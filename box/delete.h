/* Removing a container: `delete`, and the end of `run`. */
#ifndef NACRE_BOX_DELETE_H
#define NACRE_BOX_DELETE_H

#include <stdbool.h>

#include "lib/error.h"

/* One that hasn't stopped is -EBUSY, or killed where `force` is given. 0 or -errno. */
int box_delete(const char *id, bool force, struct error *error);

#endif
