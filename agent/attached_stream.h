/* A stream that goes by calls otherwise and is carried by a connection for a while: AttachStream of proto/guest.proto, which
 * says what goes over it. The connection may be lost, or be replaced by another, at any byte: output stays in `left` until it
 * is acknowledged, and is sent again from there; input is counted once the process has taken it, and what it hasn't taken
 * is forgotten, as it will be sent again.
 *
 * While a connection is attached calls of the same stream fail, but for the end of stdin (attached_input_end()).
 */
#ifndef NACRE_AGENT_ATTACHED_STREAM_H
#define NACRE_AGENT_ATTACHED_STREAM_H

#include "agent/stream.h"

/* Gives the stream to a connection, which takes it from the one or the calls that wait for it. The connection is the stream's
 * from here on, also after an error. At the stream's end it is closed at once: `attached` is NULL then. 0 or -errno.
 *
 * What is before `offset` is acknowledged, where it is kept still; it must not be beyond that. The first byte over the
 * connection is the one at `position`. */
int output_attach(struct output *output, int connection, uint64_t offset);
int input_attach(struct input *input, int connection);

/* Closes the connection, if there is one. The stream goes by calls then. */
void output_detach(struct output *output);
void input_detach(struct input *input);

/* For stream.c. There is something to read, or the end is: goes on. The process can be written to. */
void attached_output_ready(struct output *output);
void attached_input_ready(struct input *input);

/* The end of stdin, told by a call: behind what has been received. */
void attached_input_end(struct input *input);

#endif
