/* A descriptor that is written without the loop ever waiting for its reader.
 *
 * stdout and stderr are shared with other programs, and O_NONBLOCK belongs to the shared description: setting it would
 * break them. So pipes and terminals are opened once more, for a description of our own; sockets are written with
 * MSG_DONTWAIT; and what can't be opened again is only written when poll(2) says so, a little at a time. Files are just
 * written.
 */
#ifndef NACRE_RUNTIME_OUTLET_H
#define NACRE_RUNTIME_OUTLET_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buffer.h"
#include "lib/loop.h"

enum outlet_kind {
	OUTLET_FILE,	/* never blocks for long */
	OUTLET_PRIVATE, /* non-blocking, a description of our own */
	OUTLET_SHARED,	/* blocking: a page at a time, when it is writable */
	OUTLET_SOCKET,
};

struct outlet {
	struct loop *loop;
	int fd;
	enum outlet_kind kind;
	struct buffer pending;
	struct loop_source source;
	int broken; /* the errno of the write that failed: what is written afterwards is dropped */
	void (*drained)(struct outlet *outlet); /* nothing is pending any more; never called from outlet_write() */
	void (*broke)(struct outlet *outlet);	/* it has just broken; may be called from outlet_write() */
};

/* For a descriptor of ours (0, 1, 2), which stays the caller's. */
void outlet_open_shared(struct outlet *outlet, struct loop *loop, int fd);

/* For a connected socket, which is the outlet's from here on. */
void outlet_open_socket(struct outlet *outlet, struct loop *loop, int fd);

/* Writes, and keeps what isn't taken at once. The caller writes nothing more while outlet_pending(). */
void outlet_write(struct outlet *outlet, const void *data, size_t length);
bool outlet_pending(const struct outlet *outlet);

/* Closes what is the outlet's; what is pending is lost. */
void outlet_close(struct outlet *outlet);

#endif
