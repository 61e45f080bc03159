/* One thread's event loop over epoll(7): file descriptors, deadlines, signals by way of signalfd.
 *
 * Sources and timers are embedded in the structure that they belong to (container_of() finds it again), so adding one
 * allocates nothing and can't fail for want of memory. A callback may remove or free any source or timer, its own as
 * well: events already fetched for a removed source are dropped.
 */
#ifndef NACRE_LIB_LOOP_H
#define NACRE_LIB_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_SECOND UINT64_C(1000000000) /* delays are in nanoseconds */
#define LOOP_MILLISECOND UINT64_C(1000000)
#define LOOP_BATCH 64

struct loop_source {
	int fd;		 /* -1 while it is in no loop; the loop never closes it */
	uint32_t events; /* EPOLLIN and fellows */
	void (*ready)(struct loop_source *source, uint32_t events);
};

struct loop_timer {
	uint64_t deadline; /* CLOCK_MONOTONIC, in nanoseconds; 0 while it isn't set */
	void (*expired)(struct loop_timer *timer);
	struct loop_timer *next; /* sorted by deadline */
};

struct loop {
	int epoll;
	bool stopped;
	int batch_count; /* the events being handed out, so that a removal can strike its own */
	struct epoll_event batch[LOOP_BATCH];
	struct loop_timer *timers;
};

/* 0 or -errno. */
int loop_init(struct loop *loop);
void loop_destroy(struct loop *loop);

/* Watches `fd` for `events` (level-triggered). 0 or -errno (ENOSPC, EPERM: a regular file). */
int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
	     void (*ready)(struct loop_source *source, uint32_t events));

/* Changes what is watched; a change to the same events costs no system call. 0 events still report EPOLLERR and
 * EPOLLHUP: remove a source instead of muting it where its peer may be gone. */
void loop_change(struct loop *loop, struct loop_source *source, uint32_t events);

/* Forgets a source; nothing happens where it is in no loop. Must come before its fd is closed. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Calls `expired` once, `delay` nanoseconds from now. Setting it again moves it. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay,
		    void (*expired)(struct loop_timer *timer));
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now(void);

/* Waits once and calls what is ready. 0 or -errno. */
int loop_step(struct loop *loop);

/* Steps until loop_stop(). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
