/* The monitor's end of attach.sock. */
#include "runtime/clients_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/unix_socket.h"

#define FLUSH_TIMEOUT (10 * LOOP_SECOND)

/* Coming and going ---------------------------------------------------------------------------------------------- */

static void free_client(struct client *client)
{
	loop_remove(client->clients->loop, &client->source);
	outlet_close(&client->outlet);
	fd_close(&client->fd);
	buffer_free(&client->received);
	buffer_free(&client->input);
	free(client);
}

/* Whether it has gone, and not all that it has sent has been taken. */
static bool left_input(const struct client *client)
{
	return client->gone && buffer_length(&client->input) > 0;
}

/* Outside of any walk over the list. */
static void sweep(struct loop_timer *timer)
{
	struct clients *clients = container_of(timer, struct clients, sweeper);
	unsigned kept = 0, count = clients->count;
	bool abandoned = false;

	for (unsigned i = 0; i < count; i++) {
		struct client *client = clients->list[i];

		abandoned |= client->gone && client->must_stay;
		client->must_stay &= !client->gone;
		if (!client->gone || left_input(client))
			clients->list[kept++] = client;
		else
			free_client(client);
	}
	clients->count = kept;
	if (abandoned)
		clients->events->abandoned(clients->data);
	if (!clients_pending(clients))
		clients->events->drained(clients->data);
}

void clients_sweep(struct clients *clients)
{
	loop_timer_set(clients->loop, &clients->sweeper, 0, sweep);
}

void client_leave(struct client *client)
{
	if (client->gone)
		return;
	client->gone = true;
	loop_remove(client->clients->loop, &client->source);
	shutdown(client->fd, SHUT_RDWR);
	clients_sweep(client->clients);
}

static void outlet_drained(struct outlet *outlet)
{
	struct clients *clients = container_of(outlet, struct client, outlet)->clients;

	if (!clients_pending(clients))
		clients->events->drained(clients->data);
}

/* Who takes nothing any more may have said something before, that he detaches for one: it is over with him when that is read. */
static void outlet_broke(struct outlet *outlet)
{
	struct client *client = container_of(outlet, struct client, outlet);

	if (outlet->broken == EPIPE || outlet->broken == ECONNRESET)
		clients_sweep(client->clients);
	else
		client_leave(client);
}

/* In a full list, in the place of one that has gone and left input, if there is one whose end has been told. */
static bool make_place(struct clients *clients)
{
	for (unsigned i = 0; i < clients->count && clients->count == CLIENTS_MOST; i++) {
		if (!left_input(clients->list[i]) || clients->list[i]->must_stay)
			continue;
		free_client(clients->list[i]);
		clients->list[i] = clients->list[--clients->count];
	}
	return clients->count < CLIENTS_MOST;
}

static struct client *add(struct clients *clients, int fd)
{
	struct client *client = make_place(clients) ? calloc(1, sizeof(*client)) : NULL;
	int copy = client ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (copy < 0) {
		free(client);
		close(fd);
		return NULL;
	}
	client->clients = clients;
	client->number = ++clients->last;
	client->fd = fd;
	client->source.fd = -1;
	outlet_open_socket(&client->outlet, clients->loop, copy);
	client->outlet.drained = outlet_drained;
	client->outlet.broke = outlet_broke;
	buffer_init(&client->received, FRAME_BUFFER_LIMIT);
	buffer_init(&client->input, FRAME_CREDIT);
	if (loop_add(clients->loop, &client->source, fd, EPOLLIN, client_readable) < 0) {
		free_client(client);
		return NULL;
	}
	clients->list[clients->count++] = client;
	return client;
}

/* To a client --------------------------------------------------------------------------------------------------- */

void client_tell(struct client *client, enum frame_type type, const uint32_t *number, const void *bytes,
		 size_t length)
{
	uint8_t start[FRAME_NUMBERS_SIZE];
	size_t size = FRAME_HEADER_SIZE;

	if (client->gone)
		return;
	if (number)
		size = frame_of_numbers(start, type, 1, *number, 0);
	frame_header(start, type, size - FRAME_HEADER_SIZE + length);
	outlet_write(&client->outlet, start, size);
	if (length > 0)
		outlet_write(&client->outlet, bytes, length);
}

void client_tell_state(struct client *client)
{
	struct clients *clients = client->clients;

	if (clients->started)
		client_tell(client, FRAME_STARTED, &clients->flags, clients->name, strlen(clients->name));
	if (clients->exited)
		client_tell(client, FRAME_EXIT, &clients->status, NULL, 0);
	if (clients->failed)
		client_tell(client, FRAME_FAILED, &clients->status, clients->text, strlen(clients->text));
}

static void tell_all(struct clients *clients, enum frame_type type, const char *text)
{
	const uint32_t *number = type == FRAME_STARTED ? &clients->flags : &clients->status;

	for (unsigned i = 0; i < clients->count; i++)
		if (clients->list[i]->greeted)
			client_tell(clients->list[i], type, number, text, text ? strlen(text) : 0);
}

void clients_tell_started(struct clients *clients, const char *name, uint32_t flags)
{
	clients->started = true;
	clients->flags = flags;
	strncpy(clients->name, name, sizeof(clients->name) - 1);
	tell_all(clients, FRAME_STARTED, clients->name);
	for (unsigned i = 0; clients->detached && i < clients->count; i++)
		clients->list[i]->must_stay = false;
}

void clients_tell_exit(struct clients *clients, int status)
{
	clients->exited = true;
	clients->status = (uint32_t)status;
	tell_all(clients, FRAME_EXIT, NULL);
}

void clients_tell_failed(struct clients *clients, int status, const char *text)
{
	clients->failed = true;
	clients->status = (uint32_t)status;
	strncpy(clients->text, text, sizeof(clients->text) - 1);
	tell_all(clients, FRAME_FAILED, clients->text);
}

void clients_tell_output(struct clients *clients, unsigned stream, const void *bytes, size_t length)
{
	for (unsigned i = 0; i < clients->count; i++)
		if (clients->list[i]->wants_output)
			client_tell(clients->list[i], stream == 0 ? FRAME_STDOUT : FRAME_STDERR, NULL, bytes, length);
}

void clients_tell_note(struct clients *clients, const char *line)
{
	for (unsigned i = 0; i < clients->count; i++)
		if (clients->list[i]->starter)
			client_tell(clients->list[i], FRAME_NOTE, NULL, line, strlen(line));
}

void clients_answer(struct clients *clients, unsigned client, int number, const char *text)
{
	uint32_t code = (uint32_t)number;

	for (unsigned i = 0; i < clients->count; i++)
		if (clients->list[i]->number == client)
			client_tell(clients->list[i], FRAME_ANSWER, &code, text, strlen(text));
}

bool clients_pending(const struct clients *clients)
{
	for (unsigned i = 0; i < clients->count; i++)
		if (!clients->list[i]->gone && outlet_pending(&clients->list[i]->outlet))
			return true;
	return false;
}

/* All of them ---------------------------------------------------------------------------------------------------- */

void clients_init(struct clients *clients, struct loop *loop, const struct clients_events *events, void *data)
{
	*clients = (struct clients){.loop = loop, .events = events, .data = data, .listener = -1};
	clients->source.fd = -1;
}

int clients_add_starter(struct clients *clients, int fd, bool detached, struct error *error)
{
	struct client *client = add(clients, fd);

	if (!client)
		return error_errno(error, ENOMEM, "the starter's connection");
	client->starter = client->greeted = client->must_stay = true;
	client->wants_output = !detached;
	clients->detached = detached;
	return 0;
}

static void accept_client(struct loop_source *source, uint32_t events)
{
	struct clients *clients = container_of(source, struct clients, source);
	int fd = accept4(clients->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (unix_peer_allowed(fd))
		add(clients, fd);
	else
		close(fd);
}

int clients_listen(struct clients *clients, const char *path, struct error *error)
{
	int status;

	clients->listener = unix_listen(path, error);
	if (clients->listener < 0)
		return clients->listener;
	status = loop_add(clients->loop, &clients->source, clients->listener, EPOLLIN, accept_client);
	return status < 0 ? error_errno(error, -status, "watch %s", path) : 0;
}

static void flush_expired(struct loop_timer *timer)
{
	(void)timer;
}

/* Whether there is somebody to wait for. */
static bool flushing(const struct clients *clients, bool expired)
{
	for (unsigned i = 0; i < clients->count; i++) {
		const struct client *client = clients->list[i];

		if (!client->gone && outlet_pending(&client->outlet) && (!expired || client->must_stay))
			return true;
	}
	return false;
}

void clients_flush(struct clients *clients)
{
	struct loop_timer timer = {0};

	loop_timer_set(clients->loop, &timer, FLUSH_TIMEOUT, flush_expired);
	while (flushing(clients, timer.deadline == 0))
		if (loop_step(clients->loop) < 0)
			break;
	loop_timer_clear(clients->loop, &timer);
}

void clients_close(struct clients *clients)
{
	if (!clients->loop)
		return;
	for (unsigned i = 0; i < clients->count; i++)
		free_client(clients->list[i]);
	clients->count = 0;
	loop_timer_clear(clients->loop, &clients->sweeper);
	loop_remove(clients->loop, &clients->source);
	fd_close(&clients->listener);
	clients->loop = NULL;
}
