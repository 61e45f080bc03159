/* What agent/stream.c and agent/attached_stream.c share: reading the pipe of an output and writing to that of an input. */
#ifndef NACRE_AGENT_STREAM_PRIVATE_H
#define NACRE_AGENT_STREAM_PRIVATE_H

#include <sys/types.h>

#include "agent/stream.h"

/* What a call is answered that wants a stream which a connection has for now. */
#define ATTACHED "a connection is attached to the stream"

/* Watches an fd, or stops. A source that isn't in the loop has no fd. */
void stream_watch(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
		  void (*ready)(struct loop_source *source, uint32_t events));

/* Stops watching, and closes it. */
void stream_close(struct loop *loop, struct loop_source *source, int *fd);

/* Reads up to `length` bytes (at most STREAM_CHUNK) into `left`. The count, 0 at the end, -EAGAIN, or another -errno. */
ssize_t output_fill(struct output *output, size_t length);

/* Forgets what is before `offset`. False where that is none of the offsets of what is kept. */
bool output_acknowledge(struct output *output, uint64_t offset);

/* Nothing more comes out of the process: everyone who waits is told. */
void output_end(struct output *output);

/* Whether bytes are wanted from the pipe; into it. */
void output_watch(struct output *output, bool wanted);
void input_watch(struct input *input, bool wanted);

/* Writes what the process takes, and counts it. The count, or -errno. */
ssize_t input_feed(struct input *input, const void *data, size_t length);

/* Fails the calls that wait to write. */
void input_fail_writers(struct input *input, const char *reason);

/* The process can't be written to any more. */
void input_broken(struct input *input, const char *reason);

#endif
