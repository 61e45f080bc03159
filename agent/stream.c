/* Streams of processes. See stream.h for what is promised; docs/design.md, "Streams". */
#include "agent/stream.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/attached_stream.h"
#include "agent/stream_private.h"
#include "lib/cleanup.h"
#include "lib/fd.h"

/* What answers to one connection can hold: its queue's bound (lib/ttrpc_server.c). */
#define LOST_MAX (16u << 20)

static uint8_t *scratch;

int stream_setup(void)
{
	scratch = mmap(NULL, STREAM_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (scratch == MAP_FAILED)
		return -errno;
	return madvise(scratch, STREAM_CHUNK, MADV_DONTFORK) < 0 ? -errno : 0;
}

void stream_watch(struct loop *loop, struct loop_source *source, int fd, uint32_t events,
		  void (*ready)(struct loop_source *source, uint32_t events))
{
	if (events == 0)
		loop_remove(loop, source);
	else if (source->fd >= 0)
		loop_change(loop, source, events);
	else
		loop_add(loop, source, fd, events, ready);
}

void stream_close(struct loop *loop, struct loop_source *source, int *fd)
{
	loop_remove(loop, source);
	fd_close(fd);
}

/* read(2), with the end of a pty (EIO once the last other end is closed) as the end of a file. */
static ssize_t read_some(int fd, void *data, size_t length)
{
	ssize_t count;

	do {
		count = read(fd, data, length < STREAM_CHUNK ? length : STREAM_CHUNK);
	} while (count < 0 && errno == EINTR);
	if (count < 0 && errno == EIO)
		return 0;
	return count < 0 ? -errno : count;
}

/* Output ------------------------------------------------------------------------------------------------------- */

static void output_ready(struct loop_source *source, uint32_t events);
static void output_socket_ready(struct loop_source *source, uint32_t events);

void output_open(struct output *output, struct loop *loop, int fd, int socket, void (*ended)(struct output *output))
{
	*output = (struct output){
		.loop = loop,
		.fd = fd,
		.source.fd = -1,
		.by_calls = socket < 0,
		.socket = socket,
		.socket_source.fd = -1,
		.end_told = fd < 0 || socket >= 0,
		.ended = ended,
	};
	buffer_init(&output->left, socket < 0 ? LOST_MAX : STREAM_CHUNK);
	if (socket < 0)
		return;
	fd_set_blocking(socket, false);
	stream_watch(loop, &output->source, fd, fd >= 0 ? EPOLLIN : 0, output_ready);
}

static bool answer_read(struct ttrpc_call *call, const void *data, size_t length)
{
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;

	response.data.data = (uint8_t *)data;
	response.data.len = length;
	return ttrpc_call_reply(call, &response.base);
}

static bool serve_readers(struct output *output);

/* They come back from the last to the first. */
static void bytes_lost(struct queued_call *entry)
{
	struct output *output = entry->owner;
	struct buffer together;

	buffer_init(&together, LOST_MAX);
	if (buffer_append(&together, entry->data, entry->length) < 0 ||
	    buffer_append(&together, buffer_bytes(&output->left), buffer_length(&output->left)) < 0) {
		buffer_free(&together);
		return;
	}
	buffer_free(&output->left);
	output->left = together;
	output->position -= entry->length;
	if (output->readers)
		serve_readers(output);
}

/* Answers the first reader with bytes of scratch. */
static void hand_out(struct output *output, size_t length)
{
	struct queued_call *entry = output->readers;
	struct ttrpc_call *call = call_queue_take_kept(&output->readers, &output->answered, bytes_lost);
	uint8_t *copy;

	output->position += length;
	if (answer_read(call, scratch, length))
		return;
	copy = arena_alloc(&call->arena, length);
	if (copy)
		memcpy(copy, scratch, length);
	entry->data = copy;
	entry->length = copy ? length : 0;
}

/* What a call is to get: from what was lost first. As read_some(). */
static ssize_t next_bytes(struct output *output, size_t length)
{
	size_t held = buffer_length(&output->left);

	if (held == 0)
		return output->fd < 0 ? 0 : read_some(output->fd, scratch, length);
	if (length > STREAM_CHUNK)
		length = STREAM_CHUNK;
	if (length > held)
		length = held;
	memcpy(scratch, buffer_bytes(&output->left), length);
	buffer_consume(&output->left, length);
	return (ssize_t)length;
}

ssize_t output_fill(struct output *output, size_t length)
{
	uint8_t *room = buffer_reserve(&output->left, length);
	ssize_t count = room ? read_some(output->fd, room, length) : -ENOMEM;

	if (room)
		buffer_commit(&output->left, count > 0 ? (size_t)count : 0);
	buffer_consume(&output->left, 0); /* gives back room for which nothing has come */
	return count;
}

bool output_acknowledge(struct output *output, uint64_t offset)
{
	if (offset < output->position || offset - output->position > buffer_length(&output->left))
		return false;
	buffer_consume(&output->left, (size_t)(offset - output->position));
	output->position = offset;
	return true;
}

/* How many bytes of `left` the first reader gets, who names offsets. As read_some(). */
static ssize_t kept_bytes(struct output *output, size_t length)
{
	size_t held = buffer_length(&output->left);

	if (length > STREAM_CHUNK)
		length = STREAM_CHUNK;
	if (held == 0)
		return output->fd < 0 ? 0 : output_fill(output, length);
	return (ssize_t)(length < held ? length : held);
}

/* Nothing more comes out of the process: everyone who waits is told. */
void output_end(struct output *output)
{
	stream_close(output->loop, &output->source, &output->fd);
	while (output->readers) {
		output->end_told = true;
		answer_read(call_queue_take(&output->readers), NULL, 0);
	}
	if (buffer_length(&output->left) > 0)
		return;
	/* The connection is closed when both sides are done with it; the reader sees the end at once. */
	stream_close(output->loop, &output->socket_source, &output->socket);
	if (output->ended)
		output->ended(output);
}

/* Hands what is there to the calls that wait. False where nothing is there. */
static bool serve_readers(struct output *output)
{
	while (output->readers) {
		const struct queued_call *entry = output->readers;
		bool named = entry->offset != OUTPUT_NEXT;
		ssize_t count;

		if (named && !output_acknowledge(output, entry->offset)) {
			unsigned long long offset = entry->offset, begin = output->position;

			ttrpc_call_fail(call_queue_take(&output->readers), TTRPC_FAILED_PRECONDITION,
					"no byte is kept at offset %llu: they are there from %llu to %llu", offset, begin,
					begin + buffer_length(&output->left));
			continue;
		}
		count = named ? kept_bytes(output, entry->length) : next_bytes(output, entry->length);
		if (count == -EAGAIN && !output->finished)
			return false;
		if (count <= 0) {
			output_end(output);
			return true;
		}
		if (named)
			answer_read(call_queue_take(&output->readers), buffer_bytes(&output->left), (size_t)count);
		else
			hand_out(output, (size_t)count);
	}
	/* Without a reader nothing may leave the pipe. */
	if (output->fd >= 0)
		stream_watch(output->loop, &output->source, output->fd, 0, output_ready);
	return true;
}

/* Sends `length` bytes of scratch, and keeps what the connection doesn't take. */
static void forward(struct output *output, size_t length)
{
	ssize_t sent;

	if (output->socket < 0)
		return; /* its reader has left: read on, so that the process doesn't block for ever */
	sent = send(output->socket, scratch, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		stream_close(output->loop, &output->socket_source, &output->socket);
		return;
	}
	if (sent < 0)
		sent = 0;
	if ((size_t)sent == length)
		return;
	if (buffer_append(&output->left, scratch + sent, length - (size_t)sent) < 0) {
		stream_close(output->loop, &output->socket_source, &output->socket);
		return;
	}
	stream_watch(output->loop, &output->source, output->fd, 0, output_ready);
	stream_watch(output->loop, &output->socket_source, output->socket, EPOLLOUT, output_socket_ready);
}

static void output_ready(struct loop_source *source, uint32_t events)
{
	struct output *output = container_of(source, struct output, source);
	ssize_t count;

	(void)events;
	if (output->attached) {
		attached_output_ready(output);
		return;
	}
	if (output->readers) {
		serve_readers(output);
		return;
	}
	count = read_some(output->fd, scratch, STREAM_CHUNK);
	if (count == -EAGAIN)
		return;
	if (count <= 0)
		output_end(output);
	else
		forward(output, (size_t)count);
}

static void output_socket_ready(struct loop_source *source, uint32_t events)
{
	struct output *output = container_of(source, struct output, socket_source);
	ssize_t sent = send(output->socket, buffer_bytes(&output->left), buffer_length(&output->left),
			    MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)events;
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		buffer_free(&output->left);
		stream_close(output->loop, &output->socket_source, &output->socket);
	} else {
		buffer_consume(&output->left, (size_t)sent);
	}
	if (buffer_length(&output->left) > 0)
		return;
	loop_remove(output->loop, &output->socket_source);
	if (output->fd < 0)
		output_end(output);
	else if (output->finished)
		output_finish(output);
	else
		stream_watch(output->loop, &output->source, output->fd, EPOLLIN, output_ready);
}

static void reader_left(void *owner)
{
	struct output *output = owner;

	if (output->fd >= 0 && !output->readers)
		stream_watch(output->loop, &output->source, output->fd, 0, output_ready);
}

void output_watch(struct output *output, bool wanted)
{
	stream_watch(output->loop, &output->source, output->fd, wanted ? EPOLLIN : 0, output_ready);
}

void output_read(struct output *output, struct ttrpc_call *call, size_t length, uint64_t offset)
{
	struct queued_call *request;

	if (output->attached) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, ATTACHED);
		return;
	}
	if (!output->by_calls) {
		ttrpc_call_fail(call, TTRPC_INTERNAL, "cannot get stream reader: a connection has it");
		return;
	}
	if (output->fd < 0 && buffer_length(&output->left) == 0 && offset == OUTPUT_NEXT) {
		output->end_told = true;
		answer_read(call, NULL, 0);
		return;
	}
	if (length == 0) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "len must be greater than 0");
		return;
	}
	request = call_queue_add(&output->readers, call, output, reader_left);
	if (!request)
		return;
	request->length = length;
	request->offset = offset;
	/* Only the first in the queue may read: bytes go out in the order of the calls. */
	if (request == output->readers && !serve_readers(output))
		stream_watch(output->loop, &output->source, output->fd, EPOLLIN, output_ready);
}

void output_finish(struct output *output)
{
	ssize_t count = 1;

	output->finished = true;
	if (output->fd < 0)
		return;
	if (output->attached) {
		attached_output_ready(output);
		return;
	}
	if (output->by_calls) {
		/* A later read finds what is left, and then the end. */
		serve_readers(output);
		return;
	}
	while (count > 0 && buffer_length(&output->left) == 0) {
		count = read_some(output->fd, scratch, STREAM_CHUNK);
		if (count > 0)
			forward(output, (size_t)count);
	}
	if (count <= 0)
		output_end(output);
}

bool output_drained(const struct output *output)
{
	struct pollfd state = {.fd = output->fd, .events = POLLIN};

	if (buffer_length(&output->left) > 0 || output->answered)
		return false;
	if (output->fd < 0)
		return true;
	/* A pipe without writers only says POLLHUP; with bytes in it POLLIN as well. */
	if (poll(&state, 1, 0) < 0 || (state.revents & POLLIN))
		return false;
	return output->finished || (state.revents & (POLLHUP | POLLERR));
}

void output_settle(struct output *output)
{
	if (output->by_calls && output->fd >= 0 && !output->readers && !output->attached && output_drained(output))
		output_end(output);
}

void output_close(struct output *output)
{
	output->ended = NULL;
	call_queue_forget(&output->answered);
	output_detach(output);
	buffer_free(&output->left);
	if (output->fd >= 0 || output->socket >= 0 || output->readers)
		output_end(output);
}

/* Input -------------------------------------------------------------------------------------------------------- */

static void input_ready(struct loop_source *source, uint32_t events);
static void input_socket_ready(struct loop_source *source, uint32_t events);

void input_open(struct input *input, struct loop *loop, int fd, int socket, bool terminal)
{
	*input = (struct input){
		.loop = loop,
		.fd = fd,
		.terminal = terminal,
		.source.fd = -1,
		.by_calls = socket < 0,
		.socket = socket,
		.socket_source.fd = -1,
	};
	buffer_init(&input->left, STREAM_CHUNK);
	if (socket < 0)
		return;
	fd_set_blocking(socket, false);
	stream_watch(loop, &input->socket_source, socket, fd >= 0 ? EPOLLIN : 0, input_socket_ready);
}

void input_fail_writers(struct input *input, const char *reason)
{
	while (input->writers)
		ttrpc_call_fail(call_queue_take(&input->writers), TTRPC_INTERNAL, "stdin: %s", reason);
}

void input_broken(struct input *input, const char *reason)
{
	input_detach(input);
	stream_close(input->loop, &input->source, &input->fd);
	stream_close(input->loop, &input->socket_source, &input->socket);
	input_fail_writers(input, reason);
}

/* Writes what it can. The count, or -errno. */
static ssize_t write_some(int fd, const void *data, size_t length)
{
	ssize_t count;

	do {
		count = write(fd, data, length);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

ssize_t input_feed(struct input *input, const void *data, size_t length)
{
	ssize_t count = write_some(input->fd, data, length);

	if (count > 0)
		input->position += (uint64_t)count;
	return count;
}

/* What ends a terminal's input: its VEOF character where a line discipline reads it, and nothing else. */
static void end_terminal(struct input *input)
{
	struct termios settings;

	if (tcgetattr(input->fd, &settings) == 0 && (settings.c_lflag & ICANON))
		write_some(input->fd, &settings.c_cc[VEOF], 1);
}

void input_finish(struct input *input)
{
	if (input->fd < 0)
		return;
	input_detach(input);
	input->finished = true;
	if (input->terminal)
		end_terminal(input);
	else
		stream_close(input->loop, &input->source, &input->fd);
	stream_close(input->loop, &input->socket_source, &input->socket);
}

static void answer_write(struct ttrpc_call *call, size_t length)
{
	Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;

	response.len = (uint32_t)length;
	ttrpc_call_reply(call, &response.base);
}

/* Writes what the queued calls brought, in their order; an empty one is the end. */
static void serve_writers(struct input *input)
{
	while (input->writers) {
		struct queued_call *request = input->writers;
		ssize_t count;

		if (request->length == 0) {
			struct ttrpc_call *call = call_queue_take(&input->writers);

			input_finish(input);
			answer_write(call, 0);
			if (input->fd < 0)
				input_fail_writers(input, "is closed");
			continue;
		}
		count = input_feed(input, request->data + request->done, request->length - request->done);
		if (count == -EAGAIN)
			break;
		if (count < 0) {
			input_broken(input, strerror((int)-count));
			return;
		}
		request->done += (size_t)count;
		if (request->done == request->length)
			answer_write(call_queue_take(&input->writers), request->length);
	}
	if (input->fd >= 0)
		stream_watch(input->loop, &input->source, input->fd, input->writers ? EPOLLOUT : 0, input_ready);
}

/* Writes what came over the connection and is still here. */
static void serve_left(struct input *input)
{
	ssize_t count = input_feed(input, buffer_bytes(&input->left), buffer_length(&input->left));

	if (count < 0 && count != -EAGAIN) {
		input_broken(input, strerror((int)-count));
		return;
	}
	if (count > 0)
		buffer_consume(&input->left, (size_t)count);
	if (buffer_length(&input->left) > 0)
		return;
	stream_watch(input->loop, &input->source, input->fd, 0, input_ready);
	stream_watch(input->loop, &input->socket_source, input->socket, EPOLLIN, input_socket_ready);
}

static void input_ready(struct loop_source *source, uint32_t events)
{
	struct input *input = container_of(source, struct input, source);

	(void)events;
	if (input->attached)
		attached_input_ready(input);
	else if (buffer_length(&input->left) > 0)
		serve_left(input);
	else
		serve_writers(input);
}

static void input_socket_ready(struct loop_source *source, uint32_t events)
{
	struct input *input = container_of(source, struct input, socket_source);
	ssize_t count = read_some(input->socket, scratch, STREAM_CHUNK), taken;

	(void)events;
	if (count == -EAGAIN)
		return;
	if (count <= 0) {
		input_finish(input);
		return;
	}
	taken = input_feed(input, scratch, (size_t)count);
	if (taken == -EAGAIN)
		taken = 0;
	if (taken < 0) {
		input_broken(input, strerror((int)-taken));
		return;
	}
	if (taken == count)
		return;
	if (buffer_append(&input->left, scratch + taken, (size_t)(count - taken)) < 0) {
		input_broken(input, strerror(ENOMEM));
		return;
	}
	stream_watch(input->loop, &input->socket_source, input->socket, 0, input_socket_ready);
	stream_watch(input->loop, &input->source, input->fd, EPOLLOUT, input_ready);
}

static void writer_left(void *owner)
{
	struct input *input = owner;

	if (input->fd >= 0 && !input->writers && buffer_length(&input->left) == 0)
		stream_watch(input->loop, &input->source, input->fd, 0, input_ready);
}

void input_watch(struct input *input, bool wanted)
{
	stream_watch(input->loop, &input->source, input->fd, wanted ? EPOLLOUT : 0, input_ready);
}

void input_write(struct input *input, struct ttrpc_call *call, const void *data, size_t length)
{
	struct queued_call *request;

	if (input->attached && length > 0) {
		ttrpc_call_fail(call, TTRPC_FAILED_PRECONDITION, ATTACHED);
		return;
	}
	if (input->attached) {
		attached_input_end(input);
		answer_write(call, 0);
		return;
	}
	if (length == 0 && (input->fd < 0 || !input->by_calls)) {
		input_finish(input);
		answer_write(call, 0);
		return;
	}
	if (input->fd < 0 || !input->by_calls) {
		ttrpc_call_fail(call, TTRPC_INTERNAL, "Cannot get writer");
		return;
	}
	request = call_queue_add(&input->writers, call, input, writer_left);
	if (!request)
		return;
	request->data = data;
	request->length = length;
	if (request == input->writers)
		serve_writers(input);
}

void input_abandon(struct input *input)
{
	if (buffer_length(&input->left) == 0)
		stream_close(input->loop, &input->socket_source, &input->socket);
}

void input_close(struct input *input)
{
	if (input->fd >= 0 || input->socket >= 0)
		input_broken(input, "the process is gone");
	buffer_free(&input->left);
}
