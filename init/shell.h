/* Shells on a terminal of the guest: only where the command line asks for one. */
#ifndef NACRE_INIT_SHELL_H
#define NACRE_INIT_SHELL_H

#include <sys/types.h>

#include "lib/error.h"

/* Starts a shell in a session of its own, with `device` ("/dev/console") as its terminal. Its pid, a child of the
 * caller's; or -errno, where the terminal can't be opened, for one. */
pid_t shell_start(const char *device, struct error *error);

/* The rescue shell, on the console: returns when it has ended, or SIGTERM or SIGINT has come. */
void shell_rescue(void);

#endif
