/* --user: as whom proxy and VMM run. */
#ifndef NACRE_PROXY_USER_H
#define NACRE_PROXY_USER_H

#include "lib/error.h"

/* Becomes "USER" or "USER:GROUP", each a name or a number; the group is the user's own unless it is given, and the supplementary
 * ones are the user's, or none where it is a number that nobody has. 0 or -errno with `error` filled (EINVAL: no such user). */
int user_become(const char *text, struct error *error);

#endif
