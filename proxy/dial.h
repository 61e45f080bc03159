/* A connection of the proxy's own to a port of the guest, by the way that clients of vsock.sock have (a line that names the port,
 * and the answer to it), but through a pair of sockets.
 */
#ifndef NACRE_PROXY_DIAL_H
#define NACRE_PROXY_DIAL_H

#include "lib/loop.h"
#include "proxy/line.h"
#include "proxy/stream.h"

struct dial {
	struct loop *loop;
	struct loop_source source;
	int fd; /* -1 while nothing is dialled */
	struct line line;
	/* `fd` is the connection, which doesn't block and is the callee's, and `host_port` what the guest sees it come from; or `fd`
	 * is -1: the guest has refused, or isn't there. */
	void (*done)(struct dial *dial, int fd, uint32_t host_port);
};

static inline void dial_init(struct dial *dial)
{
	*dial = (struct dial){.fd = -1, .source.fd = -1};
}

/* Begins to connect. `done` is called once, from the loop. 0, or -errno with nothing begun. */
int dial_start(struct dial *dial, struct loop *loop, struct streams *streams, uint32_t port,
	       void (*done)(struct dial *dial, int fd, uint32_t host_port));

/* Gives up; harmless where nothing is dialled. */
void dial_stop(struct dial *dial);

/* One end of a pair whose other end is served as a client of that kind: -errno, or an fd that doesn't block. */
int dial_pair(struct streams *streams, enum stream_origin origin, uint32_t port);

#endif
