/* Calls which wait for something to happen, in the order in which they came. An entry lives in its call's arena and goes
 * with the call; a call that is cancelled leaves its queue by itself.
 */
#ifndef NACRE_AGENT_CALL_QUEUE_H
#define NACRE_AGENT_CALL_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/ttrpc_server.h"

struct queued_call {
	struct ttrpc_call *call;
	struct queued_call *next;
	struct queued_call **queue;
	void (*left)(void *owner); /* the call was cancelled and has left the queue; may be NULL */
	void (*lost)(struct queued_call *entry);
	void *owner;

	/* For streams. */
	const uint8_t *data; /* to write */
	size_t length;	     /* to write, or the most to read */
	size_t done;
	uint64_t offset; /* to read from */
};

/* Puts a call at the end of the queue. NULL without memory: then the call has been answered. */
struct queued_call *call_queue_add(struct queued_call **queue, struct ttrpc_call *call, void *owner,
				   void (*left)(void *owner));

/* Takes the first call of a queue that isn't empty: it is to be answered now. */
struct ttrpc_call *call_queue_take(struct queued_call **queue);

/* The same for an answer that must not get lost: until the connection has taken it the entry is in `kept`, and where the
 * connection goes first, `lost` is called. */
struct ttrpc_call *call_queue_take_kept(struct queued_call **queue, struct queued_call **kept,
					void (*lost)(struct queued_call *entry));

/* Whoever would want back what is lost has gone. */
void call_queue_forget(struct queued_call **kept);

#endif
