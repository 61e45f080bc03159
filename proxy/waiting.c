/* Lists of calls that wait. */
#include "proxy/waiting.h"

static void left(struct ttrpc_call *call)
{
	list_remove(&((struct waiting *)call->handler_data)->link);
}

struct waiting *waiting_add(struct list *head, struct ttrpc_call *call)
{
	struct waiting *waiting = arena_alloc(&call->arena, sizeof(*waiting));

	if (!waiting) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return NULL;
	}
	*waiting = (struct waiting){.call = call};
	list_init(&waiting->link);
	list_append(head, &waiting->link);
	call->handler_data = waiting;
	call->cancelled = left;
	return waiting;
}

struct ttrpc_call *waiting_remove(struct waiting *waiting)
{
	list_remove(&waiting->link);
	waiting->call->cancelled = NULL;
	return waiting->call;
}

struct ttrpc_call *waiting_take(struct list *head)
{
	return list_empty(head) ? NULL : waiting_remove(container_of(head->next, struct waiting, link));
}

void waiting_fail(struct list *head, enum ttrpc_code code, const char *text)
{
	struct ttrpc_call *call;

	while ((call = waiting_take(head)))
		ttrpc_call_fail(call, code, "%s", text);
}
