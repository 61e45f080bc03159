/* A listening Unix socket on the loop, which hands out the connections of allowed peers. */
#ifndef NACRE_PROXY_LISTENER_H
#define NACRE_PROXY_LISTENER_H

#include <sys/stat.h>

#include "lib/error.h"
#include "lib/loop.h"

struct listener {
	struct loop *loop;
	struct loop_source source;
	struct loop_timer pause; /* after an accept that failed for want of descriptors or memory */
	char *path;
	struct stat file; /* what is there: only that is removed */
	void (*accepted)(struct listener *listener, int fd); /* takes the fd, which doesn't block */
};

/* Listens at `path`, which is copied. 0 or -errno; what isn't open is harmless to close. */
int listener_open(struct listener *listener, struct loop *loop, const char *path,
		  void (*accepted)(struct listener *listener, int fd), struct error *error);

/* Stops listening, and removes the socket from its directory, unless something else stands there by now. */
void listener_close(struct listener *listener);

#endif
