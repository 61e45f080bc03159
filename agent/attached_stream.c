/* Attached streams. See attached_stream.h; docs/design.md, "Streams". */
#include "agent/attached_stream.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "agent/stream_private.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

#define LENGTH_SIZE 4u
#define OFFSET_SIZE 8u
#define OFFSETS_SIZE 512u /* that are taken at once */

struct attachment {
	void *owner; /* the output or input */
	int connection;
	struct loop_source source;
	uint8_t in[OFFSET_SIZE];  /* what has come of an offset, or of a record's length */
	uint8_t out[OFFSET_SIZE]; /* the same that goes, at its end */
	size_t in_length, out_length;

	/* Of output: positions in the stream. */
	uint64_t sent;
	uint64_t record_end;
	bool end_sent;

	/* Of input. */
	size_t record_left;
	uint64_t acknowledged;
	bool end_wanted; /* by a call */
};

static struct attachment *make(struct loop *loop, void *owner, int connection, uint32_t events,
			       void (*ready)(struct loop_source *source, uint32_t events))
{
	struct attachment *attachment = calloc(1, sizeof(*attachment));

	if (!attachment || loop_add(loop, &attachment->source, connection, events, ready) < 0) {
		free(attachment);
		fd_close(&connection);
		return NULL;
	}
	attachment->owner = owner;
	attachment->connection = connection;
	return attachment;
}

static void drop(struct loop *loop, struct attachment **attached)
{
	struct attachment *attachment = take_pointer(attached);

	loop_remove(loop, &attachment->source);
	fd_close(&attachment->connection);
	free(attachment);
}

/* Whether a connection that didn't take or give anything is still one. */
static bool is_waiting(ssize_t count)
{
	return count < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Output ------------------------------------------------------------------------------------------------------- */

void output_detach(struct output *output)
{
	if (!output->attached)
		return;
	drop(output->loop, &output->attached);
	output_watch(output, false); /* without a reader nothing may leave the pipe */
}

/* Reads what there is room for; once the end is due (output_finish()), an empty pipe is it. False without memory. */
static bool read_pipe(struct output *output)
{
	ssize_t count;

	do {
		size_t held = buffer_length(&output->left);

		if (output->fd < 0 || held >= STREAM_CHUNK)
			return true;
		count = output_fill(output, STREAM_CHUNK - held);
		if (count == -ENOMEM)
			return false;
		if (count == -EAGAIN && !output->finished)
			return true;
		if (count <= 0)
			stream_close(output->loop, &output->source, &output->fd);
	} while (output->finished);
	return true;
}

/* Begins a record with what is there, or the one that is the end. False where nothing is to be sent. */
static bool begin_record(const struct output *output)
{
	struct attachment *attachment = output->attached;
	uint64_t length = output->position + buffer_length(&output->left) - attachment->sent;
	uint32_t header;

	if (length == 0 && (output->fd >= 0 || attachment->end_sent))
		return false;
	if (length > STREAM_CHUNK)
		length = STREAM_CHUNK;
	header = htole32((uint32_t)length);
	memcpy(attachment->out + OFFSET_SIZE - LENGTH_SIZE, &header, LENGTH_SIZE);
	attachment->out_length = LENGTH_SIZE;
	attachment->record_end = attachment->sent + length;
	attachment->end_sent = length == 0;
	return true;
}

/* Sends records while the connection takes them. False where it is gone. */
static bool send_records(struct output *output, bool *all)
{
	struct attachment *attachment = output->attached;

	while (attachment->out_length > 0 || attachment->sent < attachment->record_end || begin_record(output)) {
		size_t head = attachment->out_length, body = (size_t)(attachment->record_end - attachment->sent);
		struct iovec parts[2] = {{attachment->out + OFFSET_SIZE - head, head}};
		struct msghdr message = {.msg_iov = parts, .msg_iovlen = array_size(parts)};
		ssize_t count;

		if (body > 0) /* else there may be no buffer */
			parts[1] = (struct iovec){
				(uint8_t *)buffer_bytes(&output->left) + (attachment->sent - output->position), body};
		count = sendmsg(attachment->connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		*all = false;
		if (count < 0)
			return is_waiting(count);
		if ((size_t)count < head)
			head = (size_t)count;
		attachment->out_length -= head;
		attachment->sent += (size_t)count - head;
	}
	*all = true;
	return true;
}

static void connection_of_output_ready(struct loop_source *source, uint32_t events);

/* The connection has gone. Whoever waits for its end is told that nobody has the stream. */
static void output_left(struct output *output)
{
	output_detach(output);
	if (output->ended)
		output->ended(output);
}

void attached_output_ready(struct output *output)
{
	struct attachment *attachment = output->attached;
	bool all;

	if (!read_pipe(output) || !send_records(output, &all)) {
		output_left(output);
		return;
	}
	if (all && attachment->end_sent && buffer_length(&output->left) == 0) {
		output_detach(output);
		output->end_told = true;
		output_end(output);
		return;
	}
	output_watch(output, output->fd >= 0 && buffer_length(&output->left) < STREAM_CHUNK);
	stream_watch(output->loop, &attachment->source, attachment->connection, all ? EPOLLIN : EPOLLIN | EPOLLOUT,
		     connection_of_output_ready);
}

/* Takes offsets. False where one of them can't be, or the connection is gone. */
static bool take_offsets(struct output *output)
{
	struct attachment *attachment = output->attached;
	uint8_t bytes[OFFSETS_SIZE];
	ssize_t count = recv(attachment->connection, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (count <= 0)
		return is_waiting(count);
	for (ssize_t i = 0; i < count; i++) {
		uint64_t offset;

		attachment->in[attachment->in_length++] = bytes[i];
		if (attachment->in_length < OFFSET_SIZE)
			continue;
		attachment->in_length = 0;
		memcpy(&offset, attachment->in, OFFSET_SIZE);
		offset = le64toh(offset);
		if (offset > attachment->sent || !output_acknowledge(output, offset))
			return false;
	}
	return true;
}

static void connection_of_output_ready(struct loop_source *source, uint32_t events)
{
	struct output *output = container_of(source, struct attachment, source)->owner;

	if ((events & ~(uint32_t)EPOLLOUT) && !take_offsets(output))
		output_left(output);
	else
		attached_output_ready(output);
}

int output_attach(struct output *output, int connection, uint64_t offset)
{
	output_detach(output);
	while (output->readers)
		ttrpc_call_fail(call_queue_take(&output->readers), TTRPC_FAILED_PRECONDITION, ATTACHED);
	output_watch(output, false);
	output_acknowledge(output, offset);
	if (output->fd < 0 && buffer_length(&output->left) == 0) {
		fd_close(&connection);
		output->end_told = true;
		output_end(output);
		return 0;
	}
	/* Everything begins with the connection's being writable: behind the answer to whoever has attached it. */
	output->attached = make(output->loop, output, connection, EPOLLIN | EPOLLOUT, connection_of_output_ready);
	if (!output->attached)
		return -ENOMEM;
	output->attached->sent = output->attached->record_end = output->position;
	return 0;
}

/* Input -------------------------------------------------------------------------------------------------------- */

void input_detach(struct input *input)
{
	if (!input->attached)
		return;
	drop(input->loop, &input->attached);
	buffer_free(&input->left);
	if (input->fd >= 0)
		input_watch(input, false);
}

static void connection_of_input_ready(struct loop_source *source, uint32_t events);

/* Says how far the process has come. False where the connection is gone. */
static bool send_offset(struct input *input)
{
	struct attachment *attachment = input->attached;

	while (attachment->out_length > 0 || attachment->acknowledged < input->position) {
		ssize_t count;

		if (attachment->out_length == 0) {
			uint64_t offset = htole64(input->position);

			memcpy(attachment->out, &offset, OFFSET_SIZE);
			attachment->out_length = OFFSET_SIZE;
			attachment->acknowledged = input->position;
		}
		count = send(attachment->connection, attachment->out + OFFSET_SIZE - attachment->out_length,
			     attachment->out_length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (count < 0)
			return is_waiting(count);
		attachment->out_length -= (size_t)count;
	}
	return true;
}

void attached_input_ready(struct input *input)
{
	struct attachment *attachment = input->attached;
	bool waiting;

	if (buffer_length(&input->left) > 0) {
		ssize_t count = input_feed(input, buffer_bytes(&input->left), buffer_length(&input->left));

		if (count < 0 && count != -EAGAIN) {
			input_broken(input, strerror((int)-count));
			return;
		}
		buffer_consume(&input->left, count > 0 ? (size_t)count : 0);
	}
	waiting = buffer_length(&input->left) > 0;
	if (!send_offset(input)) {
		input_detach(input);
	} else if (attachment->end_wanted && !waiting) {
		input_finish(input);
	} else {
		/* No more is taken than the process takes. */
		input_watch(input, waiting);
		stream_watch(input->loop, &attachment->source, attachment->connection,
			     (waiting ? 0 : EPOLLIN) | (attachment->out_length > 0 ? EPOLLOUT : 0),
			     connection_of_input_ready);
	}
}

/* Takes a record's length, or bytes of the record. False where the connection is gone, or has said what can't be. */
static bool receive(struct input *input)
{
	struct attachment *attachment = input->attached;
	uint32_t length;
	uint8_t *room;
	ssize_t count;

	if (attachment->record_left > 0) {
		room = buffer_reserve(&input->left, attachment->record_left);
		if (!room)
			return false;
		count = recv(attachment->connection, room, attachment->record_left, MSG_DONTWAIT);
		buffer_commit(&input->left, count > 0 ? (size_t)count : 0);
		attachment->record_left -= count > 0 ? (size_t)count : 0;
		return count > 0 || is_waiting(count);
	}
	count = recv(attachment->connection, attachment->in + attachment->in_length,
		     LENGTH_SIZE - attachment->in_length, MSG_DONTWAIT);
	if (count <= 0)
		return is_waiting(count);
	attachment->in_length += (size_t)count;
	if (attachment->in_length < LENGTH_SIZE)
		return true;
	attachment->in_length = 0;
	memcpy(&length, attachment->in, LENGTH_SIZE);
	attachment->record_left = le32toh(length);
	attachment->end_wanted = attachment->record_left == 0;
	return attachment->record_left <= STREAM_CHUNK;
}

static void connection_of_input_ready(struct loop_source *source, uint32_t events)
{
	struct input *input = container_of(source, struct attachment, source)->owner;

	if ((events & ~(uint32_t)EPOLLOUT) && buffer_length(&input->left) == 0 && !receive(input))
		input_detach(input);
	else
		attached_input_ready(input);
}

void attached_input_end(struct input *input)
{
	input->attached->end_wanted = true;
	if (buffer_length(&input->left) == 0)
		input_finish(input);
}

int input_attach(struct input *input, int connection)
{
	input_detach(input);
	input_fail_writers(input, ATTACHED);
	if (input->fd < 0 || input->finished) {
		fd_close(&connection);
		return 0;
	}
	input_watch(input, false);
	input->attached = make(input->loop, input, connection, EPOLLIN, connection_of_input_ready);
	if (!input->attached)
		return -ENOMEM;
	input->attached->acknowledged = input->position;
	return 0;
}
