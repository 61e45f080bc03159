/* What clients send to a monitor. */
#include <errno.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "runtime/clients_private.h"

static int take_hello(struct client *client, const struct frame *frame)
{
	if (client->greeted)
		return -EPROTO;
	client->greeted = true;
	client->wants_output = frame_number(frame, 0) & FRAME_WANTS_OUTPUT;
	client_tell_state(client);
	return 0;
}

/* The buffer's limit is the credit: what doesn't fit wasn't the client's to send. */
static int take_stdin(struct client *client, const struct frame *frame)
{
	if (client->input_ended || buffer_append(&client->input, frame->body, frame->length) < 0)
		return -EPROTO;
	client->clients->events->input(client->clients->data);
	return 0;
}

static int take_stdin_end(struct client *client, const struct frame *frame)
{
	(void)frame;
	client->input_ended = true;
	client->clients->events->input(client->clients->data);
	return 0;
}

static int take_resize(struct client *client, const struct frame *frame)
{
	client->clients->events->resize(client->clients->data, frame_number(frame, 0), frame_number(frame, 1));
	return 0;
}

static int take_signal(struct client *client, const struct frame *frame)
{
	client->clients->events->signal(client->clients->data, client->number, (int)frame_number(frame, 0));
	return 0;
}

static int take_stop(struct client *client, const struct frame *frame)
{
	client->clients->events->stop(client->clients->data, frame_number(frame, 0));
	return 0;
}

static int take_end(struct client *client, const struct frame *frame)
{
	(void)frame;
	client->clients->events->end(client->clients->data);
	return 0;
}

static int take_detach(struct client *client, const struct frame *frame)
{
	(void)frame;
	client->must_stay = false;
	return 0;
}

static int take(struct client *client, const struct frame *frame)
{
	static int (*const takers[])(struct client *client, const struct frame *frame) = {
		[FRAME_HELLO] = take_hello,   [FRAME_STDIN] = take_stdin, [FRAME_STDIN_END] = take_stdin_end,
		[FRAME_RESIZE] = take_resize, [FRAME_SIGNAL] = take_signal, [FRAME_STOP] = take_stop,
		[FRAME_END] = take_end,	      [FRAME_DETACH] = take_detach,
	};

	if (!client->greeted && frame->type != FRAME_HELLO)
		return -EPROTO;
	return takers[frame->type](client, frame);
}

void client_readable(struct loop_source *source, uint32_t events)
{
	struct client *client = container_of(source, struct client, source);
	size_t room = FRAME_BUFFER_LIMIT - buffer_length(&client->received);
	uint8_t *to = buffer_reserve(&client->received, room);
	ssize_t count = to ? recv(client->fd, to, room, MSG_DONTWAIT) : 0;
	struct frame frame;
	int status;

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		client_leave(client);
		return;
	}
	buffer_commit(&client->received, (size_t)count);
	for (status = frame_parse(&client->received, 1, &frame); status > 0;
	     status = frame_parse(&client->received, 1, &frame)) {
		status = take(client, &frame);
		if (status < 0)
			break;
		buffer_consume(&client->received, frame_size(&frame));
	}
	if (status < 0)
		client_leave(client);
}

bool clients_next_input(struct clients *clients, const void **bytes, size_t *length)
{
	for (unsigned i = 0; i < clients->count; i++) {
		unsigned turn = (clients->turn + i) % clients->count;
		struct client *client = clients->list[turn];
		size_t held = buffer_length(&client->input);

		if (held == 0 && (client->gone || !client->input_ended || clients->detached))
			continue;
		clients->turn = turn;
		*bytes = buffer_bytes(&client->input);
		*length = held < FRAME_MOST ? held : FRAME_MOST;
		return true;
	}
	return false;
}

void clients_input_taken(struct clients *clients, size_t length)
{
	struct client *client = clients->list[clients->turn];
	uint32_t credit = (uint32_t)length;

	clients->turn++;
	if (length == 0)
		return;
	buffer_consume(&client->input, length);
	client_tell(client, FRAME_CREDIT_BACK, &credit, NULL, 0);
	if (client->gone)
		clients_sweep(clients);
}
