/* Descriptors that come with ttrpc's requests, by SCM_RIGHTS: one at most, in the message that has the first byte of the request's
 * frame. What isn't taken is closed behind the request.
 */
#ifndef NACRE_LIB_TTRPC_PASSING_H
#define NACRE_LIB_TTRPC_PASSING_H

#include "lib/ttrpc_server.h"

/* For server->receiver. */
extern const struct ttrpc_receiver ttrpc_passing;

/* The call's descriptor, the caller's from here on. Only from within `handle`. -ENOENT where there is none, -EINVAL where there
 * were more, or it came with another byte. */
int ttrpc_passing_take(struct ttrpc_call *call);

#endif
