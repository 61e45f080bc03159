/* A client's descriptor on one stream of a session: output is written to it from the ring, each at its own pace; for stdin it is
 * read into the ring. Nothing blocks, whatever the descriptor is: a socket is asked not to by each call, and of a pipe or terminal,
 * which others may share, the description is set so before each, and set back at the end.
 */
#ifndef NACRE_PROXY_ATTACHMENT_H
#define NACRE_PROXY_ATTACHMENT_H

#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "proxy.pb-c.h"

#define ATTACHMENTS_MAX 32 /* of one stream */

struct session_stream;

struct attachment {
	struct list link; /* in its stream's */
	struct session_stream *stream;
	uint64_t id;
	const void *owner; /* it ends with that: attachments_disown() */
	struct loop_source source;
	int fd;
	int flags;	 /* of the description, as they were; -1 for a socket */
	uint64_t offset; /* of output: the next byte that it gets; of stdin: the one behind the last that it gave */
	uint64_t missed; /* bytes that a lossy one hasn't got */
	bool lossy, keep_open;
};

/* What is asked for, and how. */
struct attachment_options {
	Nacre__AttachRequest__From from;
	uint64_t offset;
	bool lossy, keep_open;
	const void *owner;
};

/* Attaches `fd`, which is taken in any case. *dropped says how many bytes lie between what was asked for and what it gets first.
 * NULL with `error` filled (EINVAL: nothing that can be waited for, or not open in that direction; EMFILE, ENOMEM; EPIPE: stdin
 * takes nothing any more). It may be gone once the loop has run. */
struct attachment *attachment_new(struct session_stream *stream, int fd, const struct attachment_options *options,
				  uint64_t *dropped, struct error *error);

/* Ends it, and closes its descriptor. */
void attachment_free(struct attachment *attachment);

/* There is something new: bytes for it, room for what it has, or the stream's end. It may be freed by this. */
void attachment_pump(struct attachment *attachment);

/* How many bytes lie in the descriptors of stdin that haven't been read. */
uint64_t attachments_unread(const struct session_stream *stream);

#endif
