/* The clients of a monitor: who is attached, what they get, and what they send (frame.h has the protocol).
 *
 * One of them, the starter, is there from the beginning, over a socketpair; the others come through attach.sock. Only
 * processes of the same user and of root are let in.
 */
#ifndef NACRE_RUNTIME_CLIENTS_H
#define NACRE_RUNTIME_CLIENTS_H

#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "runtime/frame.h"
#include "runtime/outlet.h"

#define CLIENTS_MOST 64 /* more are turned away */
#define CLIENTS_SOCKET "attach.sock"

struct clients;
struct client;

/* What clients want of the monitor. `data` is the clients' own. */
struct clients_events {
	void (*input)(void *data); /* there are bytes for stdin, or its end: see clients_next_input() */
	void (*drained)(void *data); /* all have taken all: clients_pending() is false again */
	void (*resize)(void *data, unsigned rows, unsigned columns);
	void (*signal)(void *data, unsigned client, int number); /* wants clients_answer() */
	void (*stop)(void *data, unsigned seconds);
	void (*end)(void *data);
	void (*abandoned)(void *data); /* the starter is gone, and has not detached */
};

struct clients {
	struct loop *loop;
	const struct clients_events *events;
	void *data;
	int listener;
	struct loop_source source;
	struct loop_timer sweeper;
	struct client *list[CLIENTS_MOST];
	unsigned count;
	unsigned turn; /* whose stdin comes next */
	unsigned last; /* the number that was given last */
	bool detached; /* stdin's end is no client's business */
	/* What those who come later are told first. */
	bool started, exited, failed;
	uint32_t flags, status;
	char text[ERROR_TEXT_SIZE]; /* the name, then the failure */
	char name[ERROR_TEXT_SIZE];
};

/* `events` stays the caller's. */
void clients_init(struct clients *clients, struct loop *loop, const struct clients_events *events, void *data);

/* The starter, over a connected socket, which is the clients' from here on. Its end is told by `abandoned`: until the
 * container runs, and, where it is not `detached`, afterwards too; then it gets all output as well. 0 or -errno. */
int clients_add_starter(struct clients *clients, int fd, bool detached, struct error *error);

/* Lets others in, through the socket `path`. 0 or -errno. */
int clients_listen(struct clients *clients, const char *path, struct error *error);

/* What happens, for all of them. `flags` are FRAME_IS_*. */
void clients_tell_started(struct clients *clients, const char *name, uint32_t flags);
void clients_tell_exit(struct clients *clients, int status);
void clients_tell_failed(struct clients *clients, int status, const char *text);
void clients_tell_output(struct clients *clients, unsigned stream, const void *bytes, size_t length);

/* A line for the starter. */
void clients_tell_note(struct clients *clients, const char *line);

/* How a signal fared. `client` may be gone. */
void clients_answer(struct clients *clients, unsigned client, int number, const char *text);

/* Whether one of them hasn't taken all yet. */
bool clients_pending(const struct clients *clients);

/* The next bytes for stdin, at most FRAME_MOST, which are the clients'; or its end, with a length of 0. False where there
 * is nothing. Once they are written, clients_input_taken(). */
bool clients_next_input(struct clients *clients, const void **bytes, size_t *length);
void clients_input_taken(struct clients *clients, size_t length);

/* Runs the loop until all have taken all: the starter without limit, the others for ten seconds. */
void clients_flush(struct clients *clients);

void clients_close(struct clients *clients);

#endif
