/* The calls which a client of agent.sock has open: what is known of each, and which of them can be issued again where the
 * guest's connection was cut.
 */
#ifndef NACRE_PROXY_AGENT_CALLS_H
#define NACRE_PROXY_AGENT_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/list.h"
#include "proxy/envelope.h"

#define AGENT_CALLS_MAX 1024u	  /* open at a time; the agent takes no more of one connection either */
#define AGENT_CALLS_KEPT 64u	  /* of these, calls whose requests are kept */
#define AGENT_CALLS_REQUEST 4096u /* the longest frame that is kept */

enum agent_call_kind {
	AGENT_CALL_ONCE = 0,	     /* what it has done, if it was cut, isn't known */
	AGENT_CALL_AGAIN = 1 << 0,   /* it may be issued again */
	AGENT_CALL_STDOUT = 1 << 1,  /* it reads a process's output ... */
	AGENT_CALL_STDERR = 1 << 2,
	AGENT_CALL_PROCESS = 1 << 3, /* it makes the process that it names */
	AGENT_CALL_REMOVE = 1 << 4,  /* it removes a container with all its processes */
};

struct agent_call {
	struct list link;
	uint32_t stream;
	char method[32];	/* for what is said of it; cut */
	uint64_t reads;		/* the number of the struct read_stream, 0 without an offset */
	size_t length;		/* of the frame that is kept, 0 where none is */
	uint8_t frame[];
};

struct agent_calls {
	struct list open; /* oldest first */
	size_t count, kept;
};

void agent_calls_init(struct agent_calls *calls);
void agent_calls_free(struct agent_calls *calls);

/* What there is to know of a method. */
enum agent_call_kind agent_call_kind(const struct envelope_request *request);

/* Adds a call, with its frame where that is to be kept, there is room for it and it isn't too long. `method` may be empty. NULL
 * without memory, or where AGENT_CALLS_MAX are open. */
struct agent_call *agent_calls_add(struct agent_calls *calls, uint32_t stream, struct slice method, struct slice frame);
struct agent_call *agent_calls_find(const struct agent_calls *calls, uint32_t stream);
void agent_calls_remove(struct agent_calls *calls, struct agent_call *call);

#endif
