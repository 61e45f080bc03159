/* OOM kills in containers, for GetOOMEvent: every one is told once, also of a container that has gone meanwhile.
 *
 * The kernel counts them: in memory.events on cgroup v2, with those in cgroups below, and in memory.oom_control on v1, where
 * each cgroup has only its own. There, those below are looked at too, but the kernel tells of kills for the container's limit
 * alone: one for a limit below is seen when a process of the container's is waited for, unless its cgroup has gone by then.
 * A watch turns the count's growth into events of the sandbox, which wait for a caller: a number for each container, so
 * that many kills need no more memory than one.
 */
#ifndef NACRE_AGENT_OOM_H
#define NACRE_AGENT_OOM_H

#include <stdint.h>

#include "agent/call_queue.h"
#include "agent/container/cgroup.h"
#include "lib/loop.h"

#define OOM_CONTAINERS_MAX 1024 /* whose events wait at once; the oldest goes where there are more */

struct oom_events {
	struct oom_record *records; /* the oldest first */
	size_t count;
	struct queued_call *readers;
	struct queued_call *answered; /* whose event may still get lost with their connection */
	bool closed;
};

/* Of one container. All zeros watch nothing. */
struct oom_watch {
	struct oom_events *events; /* NULL while nothing is watched */
	struct loop *loop;
	const struct cgroup *cgroup;
	const char *id;
	int file; /* with the count */
	int notifier; /* v1: an eventfd; v2: -1, as the file tells itself */
	struct loop_source source;
	struct loop_timer again; /* v1 tells of an OOM before it kills */
	unsigned looks;
	uint64_t kills; /* that have become events */
	uint64_t below; /* v1: the same, in the cgroups below that are still there */
};

/* Watches the container `id`, whose cgroup exists (both borrowed). 0, or -errno: a guest without the memory controller has
 * nothing to watch (-ENOENT). */
int oom_watch(struct oom_watch *watch, struct oom_events *events, struct loop *loop, const struct cgroup *cgroup,
	      const char *id, struct error *error);

/* Looks at the count now, so that what killed a process is known before its exit is told. */
void oom_look(struct oom_watch *watch);

/* Looks once more, and ends the watch. */
void oom_unwatch(struct oom_watch *watch);

/* Answers GetOOMEvent with the next event, now or when there is one. */
void oom_read(struct oom_events *events, struct ttrpc_call *call);

/* No more events: who waits for one, and who comes later, gets INTERNAL. */
void oom_close(struct oom_events *events);

#endif
