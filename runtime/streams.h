/* stdin, stdout and stderr of a process in the guest (a container's first one, or an exec's), and its exit.
 *
 * They travel in one of three ways (streams_way.h): each over a vsock connection of its own (raw bytes, half-closed at the end);
 * by ReadStdout, ReadStderr and WriteStdin calls; or by a session of the proxy's, which outlives the proxy's worker. Each is read
 * only as fast as its reader takes it, and none waits for another. Where the bytes come from and go to is the caller's: a
 * monitor's clients, or our own stdin, stdout and stderr (stdio_streams.h).
 */
#ifndef NACRE_RUNTIME_STREAMS_H
#define NACRE_RUNTIME_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "runtime/outlet.h"
#include "runtime/session.h"

#define STREAMS_PORT 1027	/* the agent's, for connections that carry a stream */
#define STREAMS_CHUNK 65536u	/* asked for by one call, or read at once; the most to be written at once */
#define STREAMS_WRITES_MOST 4	/* WriteStdin calls in flight */

enum { STREAMS_STDOUT, STREAMS_STDERR, STREAMS_OUTPUTS };

enum io_way { IO_STREAMS, IO_CALLS, IO_SESSIONS };

struct streams;
struct streams_way;

struct stream_output {
	struct streams *streams;
	int fd; /* the connection */
	struct loop_source source;
	bool asking; /* a call is open */
	bool held;
	bool ended;
};

struct stream_input {
	struct streams *streams;
	struct outlet outlet; /* the connection */
	unsigned writes;      /* calls in flight */
	bool open;	      /* the process exists, and reads */
	bool wanted;	      /* as the caller was told */
	bool ended;
};

struct streams_options {
	struct loop *loop;
	const char *container;
	const char *exec; /* NULL: the container's first process */
	bool interactive; /* there is a stdin */
	bool terminal;	  /* one output */
	enum io_way io;
	/* Bytes of STREAMS_STDOUT or STREAMS_STDERR: takes them all, and calls streams_hold() where it wants no more. */
	void (*output)(void *data, unsigned stream, const void *bytes, size_t length);
	/* From now on streams_input() may be called, or not. */
	void (*wanted)(void *data, bool wanted);
	void (*changed)(void *data); /* an output has ended */
	void *data;
};

/* The process's exit status; -1: it can't be had, and `message` says why. */
typedef void (*streams_told)(void *data, int status, const char *message);

struct streams {
	struct streams_options options;
	const struct streams_way *way;
	void *way_data; /* the way's own */
	streams_told told;
	struct session *session;
	struct stream_input input;
	struct stream_output outputs[STREAMS_OUTPUTS];
	unsigned output_count;
	uint32_t ports[3]; /* for stdin_port, stdout_port, stderr_port; 0: none */
};

/* Prepares them; with streams by connections, opens these through the proxy's sockets in `directory`, so that `ports`
 * can be told with CreateContainer or ExecProcess. 0 or -errno. */
int streams_open(struct streams *streams, const struct streams_options *options, const char *directory,
		 struct error *error);

/* The process exists: bytes flow from here on. `session` is for calls. 0 or -errno. */
int streams_start(struct streams *streams, struct session *session, struct error *error);

/* Reads an output no more, or again. */
void streams_hold(struct streams *streams, unsigned stream, bool held);

/* Writes at most STREAMS_CHUNK bytes to stdin; none is its end. Only where it is wanted. */
void streams_input(struct streams *streams, const void *bytes, size_t length);

/* Whether all output has come, to its end. */
bool streams_ended(const struct streams *streams);

/* Asks for the exit, once all output has come: some agents forget the rest with the answer. `told` is called once, perhaps from
 * within this, with the options' `data`. */
void streams_wait(struct streams *streams, streams_told told);

/* Closes everything. The session must be closed already: its calls come back here. */
void streams_close(struct streams *streams);

#endif
