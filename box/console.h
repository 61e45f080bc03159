/* Terminals of containers: their master ends, passed on to who has asked for them, or shown on our own terminal. */
#ifndef NACRE_BOX_CONSOLE_H
#define NACRE_BOX_CONSOLE_H

#include "lib/error.h"

/* Connects to --console-socket. The fd, or -errno. */
int console_connect(const char *path, struct error *error);

/* What a run in the foreground has in its place: a pair, one end of which is for whoever makes the terminal. 0 or -errno. */
int console_pair(int ends[2], struct error *error);

/* Takes the master from the other end, and copies between it and our streams until the processes that have it have ended.
 * `ended` becomes readable when the container's process has ended: then what is left is copied. */
int console_relay(int end, int ended, struct error *error);

#endif
