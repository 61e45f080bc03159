/* What a monitor and its clients say to each other, over attach.sock.
 *
 * A frame is a header of eight bytes, big-endian: u32 length of the body, u32 type; then the body, at most FRAME_MOST.
 * A frame that is longer, of an unknown type, or of a length that its type can't have ends the connection.
 *
 * A client opens with HELLO, and may then say anything at any time. The monitor answers STARTED as soon as the container
 * runs (at once, where it does already), or FAILED where it never will. Output follows for those who wanted it, from now
 * on: nothing is sent again. EXIT comes behind the last byte of it; the end of the connection comes when the machine is
 * gone and the run directory is in its last state.
 *
 * Each byte of stdin is paid for with credit: a client may send FRAME_CREDIT bytes at first, and as many again as CREDIT
 * frames return. So the monitor can read every client's other frames at any time, and holds a bounded number of bytes.
 *
 * The monitor reads the container's output only while all clients who wanted it take it: a slow one holds the container
 * up, as docker's do, and loses nothing. The one exception is the end: a container that was sent SIGKILL isn't held up any
 * more (what is still on its way is kept for the clients), and once it has exited, a client has ten seconds to take what
 * is left; the one that started the container has all the time it needs.
 */
#ifndef NACRE_RUNTIME_FRAME_H
#define NACRE_RUNTIME_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"

#define FRAME_HEADER_SIZE 8
#define FRAME_MOST 65536u
#define FRAME_CREDIT (4 * FRAME_MOST)

enum frame_type {
	/* client -> monitor */
	FRAME_HELLO = 1,     /* u32: FRAME_WANTS_OUTPUT or 0 */
	FRAME_STDIN = 2,     /* bytes, at least one */
	FRAME_STDIN_END = 3, /* nothing: the container's stdin ends, unless it was started detached */
	FRAME_RESIZE = 4,    /* u32 rows, u32 columns */
	FRAME_SIGNAL = 5,    /* u32 number: for the container; is answered */
	FRAME_STOP = 6,	     /* u32 seconds: SIGTERM now, SIGKILL then */
	FRAME_END = 7,	     /* nothing: the machine ends now, whatever runs in it */
	FRAME_DETACH = 8,    /* nothing: the end of this connection is no reason to end the machine */

	/* monitor -> client */
	FRAME_STARTED = 64, /* u32: FRAME_IS_*; the container's name */
	FRAME_STDOUT = 65,  /* bytes */
	FRAME_STDERR = 66,  /* bytes */
	FRAME_CREDIT_BACK = 67, /* u32 bytes */
	FRAME_EXIT = 68,    /* u32: the container's exit status */
	FRAME_FAILED = 69,  /* u32: nacre's exit status, and what went wrong, one line */
	FRAME_NOTE = 70,    /* a line for the user who starts a container */
	FRAME_ANSWER = 71,  /* u32: 0 or an errno, and what went wrong with the signal */
};

#define FRAME_WANTS_OUTPUT 1u
#define FRAME_IS_INTERACTIVE 1u /* there is a stdin */
#define FRAME_IS_TERMINAL 2u

/* One frame. `body` points into the buffer that it was read from. */
struct frame {
	enum frame_type type;
	uint32_t length;
	const uint8_t *body;
};

/* Room for one whole frame in a buffer that frames are read into. */
#define FRAME_BUFFER_LIMIT (FRAME_HEADER_SIZE + FRAME_MOST)

/* Takes the first frame of what was received: 1; 0 where it isn't complete yet; -EPROTO where it can't be one, or is
 * none that `from_client` (or the monitor) may send. The caller consumes frame_size() bytes afterwards. */
int frame_parse(const struct buffer *buffer, int from_client, struct frame *frame);
size_t frame_size(const struct frame *frame);

/* The number at `index` of a body of numbers, which frame_parse() has found to be there. */
uint32_t frame_number(const struct frame *frame, unsigned index);

/* Makes a header. `length` is at most FRAME_MOST. */
void frame_header(uint8_t header[FRAME_HEADER_SIZE], enum frame_type type, size_t length);

/* Makes a whole frame of one or two numbers: its size. */
#define FRAME_NUMBERS_SIZE (FRAME_HEADER_SIZE + 8)
size_t frame_of_numbers(uint8_t bytes[FRAME_NUMBERS_SIZE], enum frame_type type, unsigned count, uint32_t first,
			uint32_t second);

#endif
