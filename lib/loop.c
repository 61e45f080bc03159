/* The event loop: level-triggered epoll, and a sorted list of deadlines (there are few at a time). */
#include "lib/loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

/* syscalls: epoll_create1 epoll_ctl epoll_wait epoll_pwait clock_gettime close */

int loop_init(struct loop *loop)
{
	*loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	return loop->epoll < 0 ? -errno : 0;
}

void loop_destroy(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

int loop_add(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
	     void (*ready)(struct loop_source *source, uint32_t events))
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	*source = (struct loop_source){.fd = -1};
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	*source = (struct loop_source){.fd = fd, .events = events, .ready = ready};
	return 0;
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (source->events == events)
		return;
	/* Can't fail: the fd is in the set, and a change allocates nothing. */
	epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
	source->events = events;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (source->fd < 0 || !source->ready)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
	for (int i = 0; i < loop->batch_count; i++)
		if (loop->batch[i].data.ptr == source)
			loop->batch[i].data.ptr = NULL;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	if (timer->deadline == 0)
		return;
	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->deadline = 0;
	timer->next = NULL;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay,
		    void (*expired)(struct loop_timer *timer))
{
	struct loop_timer **link = &loop->timers;
	uint64_t now = loop_now();

	loop_timer_clear(loop, timer);
	timer->expired = expired;
	timer->deadline = delay > UINT64_MAX - now ? UINT64_MAX : now + delay;
	while (*link && (*link)->deadline <= timer->deadline)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
}

uint64_t loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * LOOP_SECOND + (uint64_t)now.tv_nsec;
}

/* Milliseconds until the first deadline, rounded up so that waking early doesn't spin; -1 without one. */
static int wait_time(const struct loop *loop)
{
	uint64_t now, milliseconds;

	if (!loop->timers)
		return -1;
	now = loop_now();
	if (loop->timers->deadline <= now)
		return 0;
	milliseconds = (loop->timers->deadline - now + LOOP_MILLISECOND - 1) / LOOP_MILLISECOND;
	return milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

static void expire(struct loop *loop)
{
	uint64_t now;

	if (!loop->timers)
		return;
	now = loop_now();
	while (loop->timers && loop->timers->deadline <= now) {
		struct loop_timer *timer = loop->timers;

		loop_timer_clear(loop, timer);
		timer->expired(timer);
	}
}

int loop_step(struct loop *loop)
{
	int count = epoll_wait(loop->epoll, loop->batch, LOOP_BATCH, wait_time(loop));

	if (count < 0 && errno != EINTR)
		return -errno;
	loop->batch_count = count < 0 ? 0 : count;
	for (int i = 0; i < loop->batch_count; i++) {
		struct loop_source *source = loop->batch[i].data.ptr;

		if (source)
			source->ready(source, loop->batch[i].events);
	}
	loop->batch_count = 0;
	expire(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int status = 0;

	loop->stopped = false;
	while (!loop->stopped && status == 0)
		status = loop_step(loop);
	return status;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
