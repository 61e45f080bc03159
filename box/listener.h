/* The listener of a container's seccomp filter, and who gets it. See OCI config-linux.md "The Container Process State". */
#ifndef NACRE_BOX_LISTENER_H
#define NACRE_BOX_LISTENER_H

#include <jansson.h>

#include "agent/container/launch.h"
#include "box/state.h"

/* Sends launch->seccomp_listener, which it closes, to linux.seccomp.listenerPath of the container's config.json, with the
 * state: `pid` is the filtered process. 0 or -errno. */
int listener_send(struct launch *launch, pid_t pid, const struct state *state, struct error *error);

#endif
