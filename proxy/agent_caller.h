/* The proxy's own connection to the guest's agent, for the calls that it makes itself: made when it is first wanted, and again
 * whenever it has been cut. It goes the way of a client of agent.sock, and so waits for an agent that isn't there yet.
 */
#ifndef NACRE_PROXY_AGENT_CALLER_H
#define NACRE_PROXY_AGENT_CALLER_H

#include <stdbool.h>

#include "lib/loop.h"
#include "lib/ttrpc_client.h"
#include "proxy/stream.h"

struct agent_caller {
	struct loop *loop;
	struct streams *streams;
	struct ttrpc_client *client; /* NULL while there is none: then nothing can be called */
	bool wanted, ready;	     /* the agent has answered */
	struct loop_timer retry;      /* or, with a client, its rest */
	void (*changed)(struct agent_caller *caller); /* `ready` has; calls that were open have been answered UNAVAILABLE before */
};

void agent_caller_init(struct agent_caller *caller, struct loop *loop, struct streams *streams,
		     void (*changed)(struct agent_caller *caller));

/* From now on there is to be a connection. */
void agent_caller_want(struct agent_caller *caller);

/* There needn't be one any more, until it is wanted again: it is closed from the loop, and `changed` says nothing. No call is open
 * whose end could want it. A guest that ends waits for its clients to be gone. */
void agent_caller_rest(struct agent_caller *caller);

/* As ttrpc_client_call(), without a limit of time. -ENOTCONN where there is no connection: `changed` will say when there is. */
int agent_caller_call(struct agent_caller *caller, const ProtobufCServiceDescriptor *service, const char *method,
		    const ProtobufCMessage *request, ttrpc_answered answered, void *data);

/* Closes it: every open call is answered UNAVAILABLE. Must not be called from within such an answer. */
void agent_caller_close(struct agent_caller *caller);

#endif
