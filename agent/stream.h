/* The standard streams of a process, each carried in one of two ways: by ReadStdout, ReadStderr and WriteStdin calls,
 * or raw over one connection of its own (behaviour.md sections 3 and 9). One that goes by calls can be given to a
 * connection for a while: agent/attached_stream.h.
 *
 * A stream is read only as fast as its reader takes it: by calls nothing leaves the pipe before a call asks for it, and
 * over a connection at most STREAM_CHUNK bytes are held while the connection takes no more. So nothing is buffered
 * without limit, nothing is dropped, and a process whose reader stalls blocks in its own write. What was read for a call
 * whose connection went before it took the answer is kept for the next call, and so is what was read for one that names
 * offsets, until a later offset acknowledges it.
 */
#ifndef NACRE_AGENT_STREAM_H
#define NACRE_AGENT_STREAM_H

#include <stdbool.h>

#include "agent/call_queue.h"
#include "lib/buffer.h"
#include "lib/loop.h"
#include "lib/ttrpc_server.h"

#define STREAM_CHUNK 65536u
#define OUTPUT_NEXT UINT64_MAX /* an offset that nobody names: behind what has been acknowledged */

struct attachment;

/* What the process writes: stdout or stderr. */
struct output {
	struct loop *loop;
	int fd; /* the pipe or pty that is read; -1 once the end is reached */
	struct loop_source source;
	struct queued_call *readers;
	struct queued_call *answered; /* whose bytes may still get lost with their connection */

	bool by_calls;
	int socket; /* the connection that it goes to; -1 by calls, or once its reader has left */
	struct loop_source socket_source;
	struct buffer left; /* what the connection hasn't taken yet; by calls: what is read and not acknowledged */
	uint64_t position;  /* in the stream, of the first byte of `left`, or of the pipe's next one */
	struct attachment *attached; /* the connection that has the stream for now, or NULL */

	bool finished; /* an empty pipe is the end: see output_finish() */
	bool end_told; /* a reader has been answered with the end, or there never was one to tell */
	/* Called when the end is reached and everything handed on, and when a connection is no longer attached. */
	void (*ended)(struct output *output);
};

/* What the process reads: stdin. */
struct input {
	struct loop *loop;
	int fd; /* the pipe or pty that is written; -1 once closed */
	bool terminal;
	struct loop_source source;
	struct queued_call *writers;

	bool by_calls;
	int socket; /* the connection that it comes from; -1 by calls, or once that has ended */
	struct loop_source socket_source;
	struct buffer left; /* what the process hasn't taken yet */
	uint64_t position;  /* in the stream: all before it the process's pipe or terminal has taken */
	bool finished;	    /* its end has been told */
	struct attachment *attached; /* as above */
};

/* Where bytes are held between one read and one write. One for all streams: nothing stays in it. No child inherits it.
 * 0 or -errno. */
int stream_setup(void);

/* Takes over `fd` (non-blocking) and `socket` (-1: by calls). A stream that doesn't exist has fd -1 and is at its end
 * from the start, without `ended` being called. */
void output_open(struct output *output, struct loop *loop, int fd, int socket, void (*ended)(struct output *output));

/* Whether nothing more can come and all has been read. */
bool output_drained(const struct output *output);

/* Closes the pipe of a drained stream that is read by calls: later reads find the end without it. */
void output_settle(struct output *output);

/* Answers ReadStdout or ReadStderr with up to `length` bytes, now or when some come; empty at the end. With an `offset` it is
 * bytes from there on: those before it are acknowledged, and those of the answer aren't yet. */
void output_read(struct output *output, struct ttrpc_call *call, size_t length, uint64_t offset);

/* The process is gone, and whoever else still holds the other end of the pipe has had its time: what the pipe holds
 * already is handed on, and then the stream ends, however slowly its reader takes it. */
void output_finish(struct output *output);

/* Closes everything; readers are answered with the end of the stream. */
void output_close(struct output *output);

void input_open(struct input *input, struct loop *loop, int fd, int socket, bool terminal);

/* Answers WriteStdin when the process has taken all the bytes, or fails it. No bytes at all close the stream. */
void input_write(struct input *input, struct ttrpc_call *call, const void *data, size_t length);

/* The end of input, after what was written before: closes the pipe; on a terminal in canonical mode it sends the
 * terminal's own end-of-file character, so that output goes on. */
void input_finish(struct input *input);

/* Its writer has left, which isn't the end of input: the connection is closed, and what it is written to stays open. */
void input_abandon(struct input *input);

/* Closes everything; writers are failed. */
void input_close(struct input *input);

#endif
