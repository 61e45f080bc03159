/* The sandbox's watcher: a child of the agent's that looks at the sources of all watchable mounts every two seconds, and makes
 * their copies like them (storage/mirror.h). Where a source hangs, the watcher does, and nobody else.
 *
 * It knows what the list was when it was made: a change of the list makes another one.
 */
#ifndef NACRE_AGENT_WATCH_H
#define NACRE_AGENT_WATCH_H

#include <sys/types.h>

#include "agent.pb-c.h"
#include "lib/loop.h"

struct watched {
	struct watched *next;
	char *container, *source, *target;
};

/* All zeros at first. */
struct watcher {
	struct loop *loop;
	struct watched *list;
	pid_t pid; /* 0 while there is none */
	int pidfd;
	struct loop_source source;
};

/* Watches those of the storages that are watchable, for as long as the container is there. 0 or -ENOMEM, with none of them
 * watched. */
int watcher_add(struct watcher *watcher, struct loop *loop, const char *container, Grpc__Storage **storages, size_t count);

/* Watches none of the container's any more. */
void watcher_remove(struct watcher *watcher, const char *container);

#endif
