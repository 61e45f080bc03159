/* Events. */
#include "proxy/events.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"

/* syscalls: clock_gettime */

int64_t events_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t oldest(const struct events *events)
{
	return events->last > EVENTS_KEPT ? events->last - EVENTS_KEPT + 1 : 1;
}

static char *text_of(char *text)
{
	return text ? text : (char *)protobuf_c_empty_string;
}

static void reply(const struct events *events, struct ttrpc_call *call, uint64_t after)
{
	Nacre__NextEventsResponse response = NACRE__NEXT_EVENTS_RESPONSE__INIT;
	uint64_t first = after + 1 > oldest(events) ? after + 1 : oldest(events);
	size_t count = (size_t)(events->last - first + 1);
	cleanup_free Nacre__Event *messages = calloc(count, sizeof(*messages));
	cleanup_free Nacre__Event **pointers = calloc(count, sizeof(*pointers));

	if (!messages || !pointers) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory for %zu events", count);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct event *event = &events->ring[(first + i) % EVENTS_KEPT];

		nacre__event__init(&messages[i]);
		messages[i].sequence = first + i;
		messages[i].time = event->time;
		messages[i].type = event->type;
		messages[i].container_id = text_of(event->container_id);
		messages[i].exec_id = text_of(event->exec_id);
		messages[i].number = event->number;
		pointers[i] = &messages[i];
	}
	response.missed = first - after - 1;
	response.events = pointers;
	response.n_events = count;
	ttrpc_call_reply(call, &response.base);
}

void events_init(struct events *events)
{
	*events = (struct events){0};
	list_init(&events->waiting);
}

static void answer_waiting(struct events *events)
{
	struct list *link = events->waiting.next;

	while (link != &events->waiting) {
		struct waiting *waiting = container_of(link, struct waiting, link);

		link = link->next;
		if (waiting->number < events->last)
			reply(events, waiting_remove(waiting), waiting->number);
	}
}

/* Whoever names one that hasn't been yet, perhaps of a proxy before this one, waits for the one behind it. */
void events_answer(struct events *events, struct ttrpc_call *call)
{
	uint64_t after = ((const Nacre__NextEventsRequest *)call->request)->after;
	struct waiting *waiting;

	if (after < events->last) {
		reply(events, call, after);
		return;
	}
	waiting = waiting_add(&events->waiting, call);
	if (waiting)
		waiting->number = after;
}

static void event_free(struct event *event)
{
	free(event->container_id);
	free(event->exec_id);
	*event = (struct event){0};
}

void events_add(struct events *events, Nacre__Event__Type type, const char *container_id, const char *exec_id, int64_t number)
{
	struct event *event = &events->ring[++events->last % EVENTS_KEPT];

	event_free(event);
	*event = (struct event){
		.time = events_time(),
		.type = type,
		.container_id = container_id ? strdup(container_id) : NULL,
		.exec_id = exec_id ? strdup(exec_id) : NULL,
		.number = number,
	};
	answer_waiting(events);
}

void events_close(struct events *events)
{
	waiting_fail(&events->waiting, TTRPC_UNAVAILABLE, "the VM has ended");
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		event_free(&events->ring[i]);
	events->last = 0;
}
