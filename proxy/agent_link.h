/* The proxy's own connection to the guest's agent, for the calls that it makes itself: made when it is first wanted, and again
 * whenever it has been cut. It goes the way of a client of agent.sock, and so waits for an agent that isn't there yet.
 */
#ifndef NACRE_PROXY_AGENT_LINK_H
#define NACRE_PROXY_AGENT_LINK_H

#include <stdbool.h>

#include "lib/loop.h"
#include "lib/ttrpc_client.h"
#include "proxy/stream.h"

struct agent_link {
	struct loop *loop;
	struct streams *streams;
	struct ttrpc_client *client; /* NULL while there is none: then nothing can be called */
	bool wanted, ready;	     /* the agent has answered */
	struct loop_timer retry;
	void (*changed)(struct agent_link *link); /* `ready` has; calls that were open have been answered UNAVAILABLE before */
};

void agent_link_init(struct agent_link *link, struct loop *loop, struct streams *streams,
		     void (*changed)(struct agent_link *link));

/* From now on there is to be a connection. */
void agent_link_want(struct agent_link *link);

/* As ttrpc_client_call(), without a limit of time. -ENOTCONN where there is no connection: `changed` will say when there is. */
int agent_link_call(struct agent_link *link, const ProtobufCServiceDescriptor *service, const char *method,
		    const ProtobufCMessage *request, ttrpc_answered answered, void *data);

/* Closes it: every open call is answered UNAVAILABLE. Must not be called from within such an answer. */
void agent_link_close(struct agent_link *link);

#endif
