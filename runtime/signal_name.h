/* Signals, as users name them. */
#ifndef NACRE_RUNTIME_SIGNAL_NAME_H
#define NACRE_RUNTIME_SIGNAL_NAME_H

#include "lib/error.h"

/* "KILL", "SIGKILL", "kill", "9", "RTMIN+3": the number; or -EINVAL. Numbers are Linux's on this architecture, which are the
 * guest's. */
int signal_parse(const char *text, struct error *error);

#endif
