/* A listening Unix socket on the loop, which hands out the connections of allowed peers. */
#ifndef NACRE_PROXY_LISTENER_H
#define NACRE_PROXY_LISTENER_H

#include <stdbool.h>
#include <sys/stat.h>

#include "lib/error.h"
#include "lib/loop.h"

struct listener {
	struct loop *loop;
	struct loop_source source;
	struct loop_timer pause; /* after an accept that failed for want of descriptors or memory */
	char *name;	  /* for the log: its path, where it has one */
	bool has_file;
	struct stat file; /* what is at the path: only that is removed */
	bool any_peer;	  /* may be set: accepted() looks at who it is */
	void (*accepted)(struct listener *listener, int fd); /* takes the fd, which doesn't block */
};

/* Listens at `path`, which is copied. 0 or -errno; what is zeros, or failed to open, is harmless to close. */
int listener_open(struct listener *listener, struct loop *loop, const char *path,
		  void (*accepted)(struct listener *listener, int fd), struct error *error);

/* Serves a socket which already listens, and is the listener's from here on, also where this fails. `name` is for the log.
 * 0 or -errno. */
int listener_serve(struct listener *listener, struct loop *loop, int fd, const char *name,
		   void (*accepted)(struct listener *listener, int fd), struct error *error);

/* The one or the other: serves `fd` where there is one, or listens at `path`. */
static inline int listener_open_or(struct listener *listener, struct loop *loop, int fd, const char *path,
				   void (*accepted)(struct listener *listener, int fd), struct error *error)
{
	return fd >= 0 ? listener_serve(listener, loop, fd, path, accepted, error)
		       : listener_open(listener, loop, path, accepted, error);
}

/* Stops listening, and removes the socket which listener_open() has made, unless something else stands
 * there by now. */
void listener_close(struct listener *listener);

#endif
