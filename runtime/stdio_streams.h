/* A process in the guest on our own stdin, stdout and stderr: for a front end that talks to the agent itself. */
#ifndef NACRE_RUNTIME_STDIO_STREAMS_H
#define NACRE_RUNTIME_STDIO_STREAMS_H

#include "runtime/stdio.h"
#include "runtime/streams.h"

struct stdio_streams {
	struct streams streams; /* its `ports` are for the call that makes the process */
	struct stdio stdio;
	void (*changed)(void *data);
	streams_told told;
	void *data;
};

/* As streams_open(); `output` and `wanted` of the options are set here. `changed` is also called when an output of ours
 * has been written to its end, or broke. 0 or -errno; stdio_streams_close() in any case. */
int stdio_streams_open(struct stdio_streams *own, const struct streams_options *options, const char *directory,
		       struct error *error);

/* As streams_start(). */
int stdio_streams_start(struct stdio_streams *own, struct session *session, struct error *error);

/* Whether all output has come, to its end, and has been written. */
bool stdio_streams_written(const struct stdio_streams *own);

/* The errno with which our stdout or stderr is broken; 0 as long as they aren't. */
int stdio_streams_broken(const struct stdio_streams *own);

/* As streams_wait(). */
void stdio_streams_wait(struct stdio_streams *own, streams_told told);

/* As streams_close(): the session first. */
void stdio_streams_close(struct stdio_streams *own);

#endif
