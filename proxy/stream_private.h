/* What the two files of a stream share: stream.c (opening, ending) and stream_data.c (moving data). */
#ifndef NACRE_PROXY_STREAM_PRIVATE_H
#define NACRE_PROXY_STREAM_PRIVATE_H

#include "proxy/stream.h"

extern const struct vsock_stream_ops stream_ops;

void stream_ready(struct loop_source *source, uint32_t events);

/* Tells the loop what the stream is interested in now. */
void stream_watch(struct stream *stream);

/* The guest has accepted. 0 or -errno. */
int stream_opened(struct stream *stream);

/* The engine has let go of the connection. */
void stream_closed(struct stream *stream);

void stream_readable(struct stream *stream);

/* The socket can't be written any more, and has no other reader than the engine, who takes what is left in it. */
void stream_hung_up(struct stream *stream);

/* The client went before the guest had accepted. */
void stream_hung_up_early(struct stream *stream);

void stream_free(struct stream *stream);

#endif
