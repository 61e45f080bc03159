/* Queues of waiting calls. */
#include "agent/call_queue.h"

static void call_cancelled(struct ttrpc_call *call)
{
	struct queued_call *entry = call->handler_data;
	struct queued_call **link = entry->queue;

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	if (entry->left)
		entry->left(entry->owner);
}

struct queued_call *call_queue_add(struct queued_call **queue, struct ttrpc_call *call, void *owner,
				   void (*left)(void *owner))
{
	struct queued_call *entry = arena_alloc(&call->arena, sizeof(*entry));
	struct queued_call **link = queue;

	if (!entry) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return NULL;
	}
	*entry = (struct queued_call){.call = call, .queue = queue, .owner = owner, .left = left};
	while (*link)
		link = &(*link)->next;
	*link = entry;
	call->handler_data = entry;
	call->cancelled = call_cancelled;
	return entry;
}

struct ttrpc_call *call_queue_take(struct queued_call **queue)
{
	struct ttrpc_call *call = (*queue)->call;

	*queue = (*queue)->next;
	return call;
}

static void answer_settled(struct ttrpc_call *call, bool lost)
{
	struct queued_call *entry = call->handler_data;
	struct queued_call **link = entry->queue;

	if (!link)
		return; /* forgotten */
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	if (lost)
		entry->lost(entry);
}

struct ttrpc_call *call_queue_take_kept(struct queued_call **queue, struct queued_call **kept,
					void (*lost)(struct queued_call *entry))
{
	struct queued_call *entry = *queue;
	struct ttrpc_call *call = call_queue_take(queue);

	entry->lost = lost;
	entry->queue = kept;
	entry->next = *kept;
	*kept = entry;
	call->handler_data = entry;
	call->settled = answer_settled;
	return call;
}

void call_queue_forget(struct queued_call **kept)
{
	for (; *kept; *kept = (*kept)->next)
		(*kept)->queue = NULL;
}
