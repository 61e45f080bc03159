/* OOM kills. */
#define LOG_SUBSYSTEM "oom"
#include "agent/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"

#define LOOKS 8 /* each after twice the time of the one before */
#define FIRST_LOOK (5 * LOOP_MILLISECOND)

struct oom_record {
	struct oom_record *next;
	uint64_t kills;
	char id[];
};

/* Events ------------------------------------------------------------------------------------------------------- */

static void drop_first(struct oom_events *events)
{
	struct oom_record *first = events->records;

	events->records = first->next;
	events->count--;
	free(first);
}

static void serve(struct oom_events *events);

static void add(struct oom_events *events, const char *id, uint64_t kills)
{
	struct oom_record **link = &events->records;

	while (*link && strcmp((*link)->id, id) != 0)
		link = &(*link)->next;
	if (!*link) {
		*link = calloc(1, sizeof(**link) + strlen(id) + 1);
		if (!*link) {
			log_error("an OOM kill in %s is forgotten: out of memory", id);
			return;
		}
		strcpy((*link)->id, id);
		if (events->count++ == OOM_CONTAINERS_MAX)
			drop_first(events);
	}
	(*link)->kills += kills;
	serve(events);
}

/* The caller went before it had the answer. */
static void event_lost(struct queued_call *entry)
{
	add(entry->owner, (const char *)entry->data, 1);
}

static void serve(struct oom_events *events)
{
	while (events->readers && events->records) {
		struct oom_record *record = events->records;
		struct queued_call *entry = events->readers;
		Grpc__OOMEvent response = GRPC__OOMEVENT__INIT;

		response.container_id = arena_strdup(&entry->call->arena, record->id);
		if (!response.container_id)
			return; /* it waits on */
		entry->data = (const uint8_t *)response.container_id;
		if (--record->kills == 0)
			drop_first(events);
		ttrpc_call_reply(call_queue_take_kept(&events->readers, &events->answered, event_lost), &response.base);
	}
}

static void refuse(struct ttrpc_call *call)
{
	ttrpc_call_fail(call, TTRPC_INTERNAL, "no more OOM events: the sandbox is gone");
}

void oom_read(struct oom_events *events, struct ttrpc_call *call)
{
	if (events->closed)
		refuse(call);
	else if (call_queue_add(&events->readers, call, events, NULL))
		serve(events);
}

void oom_close(struct oom_events *events)
{
	events->closed = true;
	while (events->readers)
		refuse(call_queue_take(&events->readers));
}

/* Watches ------------------------------------------------------------------------------------------------------ */

/* Those of the cgroup itself; the last known number where it has gone, which tells nothing any more. */
static uint64_t read_kills(struct oom_watch *watch)
{
	uint64_t kills = watch->kills;

	if (cgroup_read_oom_kills(watch->file, &kills) < 0)
		loop_remove(watch->loop, &watch->source);
	return kills;
}

void oom_look(struct oom_watch *watch)
{
	uint64_t kills, below, fresh;

	if (!watch->events)
		return;
	kills = read_kills(watch);
	below = watch->notifier >= 0 ? cgroup_oom_kills_below(watch->cgroup) : 0;
	fresh = kills - watch->kills + (below > watch->below ? below - watch->below : 0);
	watch->kills = kills;
	watch->below = below;
	if (!fresh)
		return;
	log_warning("OOM kills in container %s: %llu", watch->id, (unsigned long long)fresh);
	add(watch->events, watch->id, fresh);
}

static void look_again(struct loop_timer *timer)
{
	struct oom_watch *watch = container_of(timer, struct oom_watch, again);

	oom_look(watch);
	if (++watch->looks < LOOKS)
		loop_timer_set(watch->loop, timer, FIRST_LOOK << watch->looks, look_again);
}

static void notified(struct loop_source *source, uint32_t events)
{
	struct oom_watch *watch = container_of(source, struct oom_watch, source);
	uint64_t count;

	(void)events;
	oom_look(watch);
	if (watch->notifier >= 0 && read(watch->notifier, &count, sizeof(count)) > 0) {
		watch->looks = 0;
		loop_timer_set(watch->loop, &watch->again, FIRST_LOOK, look_again);
	}
}

/* v1: see Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control". */
static int register_notifier(struct oom_watch *watch, int directory, struct error *error)
{
	char text[32];

	watch->notifier = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watch->notifier < 0)
		return error_errno(error, errno, "make an eventfd");
	snprintf(text, sizeof(text), "%d %d", watch->notifier, watch->file);
	return fd_write_file(directory, "cgroup.event_control", text, error);
}

int oom_watch(struct oom_watch *watch, struct oom_events *events, struct loop *loop, const struct cgroup *cgroup,
	      const char *id, struct error *error)
{
	bool unified = cgroup->tree->unified;
	cleanup_close int directory = cgroup_open(cgroup, "memory", error);
	int status = 0;

	if (directory < 0)
		return directory;
	*watch = (struct oom_watch){
		.events = events, .loop = loop, .cgroup = cgroup, .id = id, .notifier = -1, .source.fd = -1};
	watch->file = openat(directory, unified ? "memory.events" : "memory.oom_control", O_RDONLY | O_CLOEXEC);
	if (watch->file < 0)
		status = error_errno(error, errno, "open the OOM counter of %s", id);
	if (status == 0 && !unified)
		status = register_notifier(watch, directory, error);
	if (status == 0) {
		status = loop_add(loop, &watch->source, unified ? watch->file : watch->notifier,
				  unified ? EPOLLPRI : EPOLLIN, notified);
		if (status < 0)
			error_errno(error, -status, "watch the OOM counter of %s", id);
	}
	if (status < 0)
		oom_unwatch(watch);
	return status;
}

void oom_unwatch(struct oom_watch *watch)
{
	if (!watch->events)
		return;
	oom_look(watch);
	loop_timer_clear(watch->loop, &watch->again);
	loop_remove(watch->loop, &watch->source);
	fd_close(&watch->notifier);
	fd_close(&watch->file);
	watch->events = NULL;
}
