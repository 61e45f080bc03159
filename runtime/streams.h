/* stdin, stdout and stderr: between ours and the container's first process.
 *
 * They travel in one of two ways: each over a vsock connection of its own (raw bytes, half-closed at the end), or by
 * ReadStdout, ReadStderr and WriteStdin calls. Each is read only as fast as its reader takes it, and none waits for
 * another.
 */
#ifndef NACRE_RUNTIME_STREAMS_H
#define NACRE_RUNTIME_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "runtime/inlet.h"
#include "runtime/outlet.h"
#include "runtime/session.h"

#define STREAMS_PORT 1027	/* the agent's, for connections that carry a stream */
#define STREAMS_CHUNK 65536u	/* asked for by one call, or read at once */
#define STREAMS_WRITES_MOST 4	/* WriteStdin calls in flight */

struct streams;

struct stream_output {
	struct streams *streams;
	struct outlet outlet; /* ours */
	int fd;		      /* the connection; -1 by calls */
	struct loop_source source;
	const char *method; /* by calls */
	bool asking;	    /* a call is open */
	bool ended;
};

struct stream_input {
	struct streams *streams;
	struct inlet inlet;   /* ours */
	struct outlet outlet; /* the connection; unused by calls */
	unsigned writes;      /* calls in flight */
	bool ended;
};

struct streams_options {
	struct loop *loop;
	const char *container;
	bool interactive; /* stdin is passed on */
	bool terminal;	  /* one output */
	bool by_calls;
	void (*changed)(void *data); /* an output has ended, or ours is broken */
	void *data;
};

struct streams {
	struct streams_options options;
	struct session *session;
	struct stream_input input;
	struct stream_output outputs[2];
	unsigned output_count;
	uint32_t ports[3]; /* for stdin_port, stdout_port, stderr_port; 0: none */
};

/* Prepares them; with streams by connections, opens these through the proxy's sockets in `directory`, so that `ports`
 * can be told with CreateContainer. 0 or -errno. */
int streams_open(struct streams *streams, const struct streams_options *options, const char *directory,
		 struct error *error);

/* The process exists: bytes flow from here on. `session` is for calls. 0 or -errno. */
int streams_start(struct streams *streams, struct session *session, struct error *error);

/* Whether all output has come, to its end. */
bool streams_ended(const struct streams *streams);

/* Whether it has all been written, too. */
bool streams_written(const struct streams *streams);

/* The errno with which our stdout or stderr is broken; 0 as long as they aren't. */
int streams_broken(const struct streams *streams);

/* Closes everything. The session must be closed already: its calls come back here. */
void streams_close(struct streams *streams);

#endif
