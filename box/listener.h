/* The listener of a container's seccomp filter, and who gets it. See OCI config-linux.md "The Container Process State". */
#ifndef NACRE_BOX_LISTENER_H
#define NACRE_BOX_LISTENER_H

#include <jansson.h>

#include "agent/container/launch.h"
#include "box/state.h"

/* Waits for a launch's next event, as launch_receive() says it, but for LAUNCH_LISTENER: a listener is sent to
 * linux.seccomp.listenerPath of the container's config.json, with the state and the pid of the filtered process. -errno where
 * nobody takes it. */
int listener_next_event(struct launch *launch, const struct state *state, struct error *error);

#endif
