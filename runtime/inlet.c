/* Reading on demand. */
#include "runtime/inlet.h"

#include <errno.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* Blocking, but only called when something is there. An error is an end: a terminal that has hung up, for one. */
static void read_once(struct inlet *inlet)
{
	char data[INLET_CHUNK];
	ssize_t count = read(inlet->fd, data, sizeof(data));

	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0)
		inlet_close(inlet);
	inlet->arrived(inlet, data, count > 0 ? (size_t)count : 0);
}

static void readable(struct loop_source *source, uint32_t events)
{
	(void)events;
	read_once(container_of(source, struct inlet, source));
}

static void expired(struct loop_timer *timer)
{
	struct inlet *inlet = container_of(timer, struct inlet, timer);

	loop_timer_set(inlet->loop, &inlet->timer, 0, expired);
	read_once(inlet);
}

void inlet_open(struct inlet *inlet, struct loop *loop, int fd,
		void (*arrived)(struct inlet *inlet, const void *data, size_t length))
{
	*inlet = (struct inlet){.loop = loop, .fd = fd, .arrived = arrived};
	inlet->source.fd = -1;
}

void inlet_want(struct inlet *inlet, bool wanted)
{
	if (!inlet->loop || wanted == inlet->wanted)
		return;
	inlet->wanted = wanted;
	if (!wanted) {
		loop_remove(inlet->loop, &inlet->source);
		loop_timer_clear(inlet->loop, &inlet->timer);
	} else if (loop_add(inlet->loop, &inlet->source, inlet->fd, EPOLLIN, readable) < 0) {
		loop_timer_set(inlet->loop, &inlet->timer, 0, expired);
	}
}

void inlet_close(struct inlet *inlet)
{
	inlet_want(inlet, false);
	inlet->loop = NULL;
}
