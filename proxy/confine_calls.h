/* The part of confinement that is about system calls: a filter (seccomp(2)) of those that are allowed. */
#ifndef NACRE_PROXY_CONFINE_CALLS_H
#define NACRE_PROXY_CONFINE_CALLS_H

#include <stddef.h>

#include "lib/error.h"

#define CONFINE_REFUSED 159 /* exit status of a process that has called anything else: 128 and SIGSYS */

/* From here on this process makes no other call than these: it gets SIGSYS for any other, whose handler isn't to return. Even of
 * these: sockets but those of AF_UNIX and AF_VSOCK, memory that is executed, and any child but a plain fork. 0 or -errno;
 * no_new_privs has to be set. */
int confine_calls_to(const int *calls, size_t count, struct error *error);

#endif
