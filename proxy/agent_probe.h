/* Whether the agent is one of ours, with nacre.Guest (proto/guest.proto): asked once, over a connection of its own. */
#ifndef NACRE_PROXY_AGENT_PROBE_H
#define NACRE_PROXY_AGENT_PROBE_H

#include "lib/ttrpc_client.h"
#include "proxy/stream.h"

enum agent_kind { AGENT_UNKNOWN, AGENT_ASKED, AGENT_OURS, AGENT_OTHER };

struct agent_probe {
	struct loop *loop;
	struct streams *streams;
	enum agent_kind kind;
	void (*known)(struct agent_probe *probe); /* `kind` is now AGENT_OURS or AGENT_OTHER */
	struct ttrpc_client *client;
	struct loop_timer done;
};

void agent_probe_init(struct agent_probe *probe, struct loop *loop, struct streams *streams,
		      void (*known)(struct agent_probe *probe));

/* What is known, or AGENT_ASKED: known() follows, and not from within this call. An agent that gives no answer is another. */
enum agent_kind agent_probe_ask(struct agent_probe *probe);

void agent_probe_close(struct agent_probe *probe);

#endif
