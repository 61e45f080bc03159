/* A connection to one stream of a session (an ATTACH line, proto/proxy.proto), which is made again where it has ended before its
 * answer came: the proxy's worker was another one then. What is behind the answer is the owner's: when the connection ends, he
 * attaches again from where he is, and the answer says what has become of the stream.
 */
#ifndef NACRE_RUNTIME_ATTACHED_H
#define NACRE_RUNTIME_ATTACHED_H

#include "lib/loop.h"
#include "proxy/client.h"

struct attached {
	struct loop *loop;
	const char *directory;	    /* of the proxy's sockets */
	struct proxy_stream stream; /* its options are `from` */
	/* Set by the owner, and called from the loop. */
	void (*answered)(struct attached *attached, const struct proxy_attached *answer);
	void (*refused)(struct attached *attached, const char *text); /* by the proxy, or there is none any more; it is closed */
	void (*ready)(struct attached *attached, uint32_t events);    /* behind the answer */
	char from[24];
	char line[PROXY_ANSWER_SIZE];
	size_t length;	 /* of the answer that has come */
	bool established; /* the whole of it has */
	int fd;		 /* -1: none */
	struct loop_source source;
};

/* Attaches at `from` ("ring", "now", an offset), in the place of what it was before. May call `refused`. */
void attached_open(struct attached *attached, const char *from);
void attached_open_at(struct attached *attached, uint64_t offset);

/* What `ready` is called for from here on (EPOLLIN, EPOLLOUT); 0: nothing, the connection's end neither. */
void attached_watch(struct attached *attached, uint32_t events);

void attached_close(struct attached *attached);

#endif
