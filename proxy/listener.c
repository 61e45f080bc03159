/* Listeners: accepting, checking who it is, and waiting out a lack of descriptors. */
#include "proxy/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "listener"
#include "lib/log.h"

/* syscalls: accept4 stat lstat newfstatat unlink unlinkat close */

#define PAUSE (100 * LOOP_MILLISECOND)

static void pause_over(struct loop_timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, pause);

	loop_change(listener->loop, &listener->source, EPOLLIN);
}

static void accept_one(struct loop_source *source, uint32_t events)
{
	struct listener *listener = container_of(source, struct listener, source);
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_limited(LOG_WARNING, "accept at %s: %m", listener->name);
		loop_change(listener->loop, source, 0);
		loop_timer_set(listener->loop, &listener->pause, PAUSE, pause_over);
		return;
	}
	if (!listener->any_peer && !unix_peer_allowed(fd)) {
		log_limited(LOG_WARNING, "%s: a process of another user was turned away", listener->name);
		fd_close(&fd);
		return;
	}
	listener->accepted(listener, fd);
}

int listener_serve(struct listener *listener, struct loop *loop, int listening, const char *name,
		   void (*accepted)(struct listener *listener, int fd), struct error *error)
{
	cleanup_close int fd = listening;
	cleanup_free char *copy = strdup(name);
	int status;

	*listener = (struct listener){.loop = loop, .source.fd = -1, .accepted = accepted};
	if (!copy)
		return error_errno(error, ENOMEM, "%s", name);
	status = loop_add(loop, &listener->source, fd, EPOLLIN, accept_one);
	if (status < 0)
		return error_errno(error, -status, "watch %s", name);
	listener->name = take_pointer(&copy);
	take_fd(&fd);
	return 0;
}

int listener_open(struct listener *listener, struct loop *loop, const char *path,
		  void (*accepted)(struct listener *listener, int fd), struct error *error)
{
	int fd = unix_listen(path, error);
	int status;

	if (fd < 0)
		return fd;
	status = listener_serve(listener, loop, fd, path, accepted, error);
	if (status < 0)
		unlink(path);
	else
		listener->has_file = lstat(path, &listener->file) == 0;
	return status;
}

void listener_close(struct listener *listener)
{
	int fd = listener->source.fd;

	if (!listener->name)
		return;
	loop_timer_clear(listener->loop, &listener->pause);
	loop_remove(listener->loop, &listener->source);
	/* While it is open no other file can have its number. */
	if (listener->has_file)
		unix_unlink(listener->name, &listener->file);
	fd_close(&fd);
	free(listener->name);
	listener->name = NULL;
}
