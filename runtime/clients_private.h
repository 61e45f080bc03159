/* One client of a monitor: what clients.c (coming, going, and what they are told) and clients_take.c (what they send)
 * share.
 */
#ifndef NACRE_RUNTIME_CLIENTS_PRIVATE_H
#define NACRE_RUNTIME_CLIENTS_PRIVATE_H

#include "runtime/clients.h"

struct client {
	struct clients *clients;
	unsigned number;
	int fd; /* read here; the outlet has a copy, as a loop watches a descriptor once */
	struct loop_source source;
	struct outlet outlet;
	struct buffer received; /* a frame that isn't complete */
	struct buffer input;	/* stdin that nobody has taken yet */
	bool input_ended;
	bool greeted; /* has said HELLO */
	bool starter; /* gets notes */
	bool wants_output;
	bool must_stay; /* its end is the container's */
	bool gone;	/* freed as soon as nobody is looking, and its input has been taken */
};

/* It is over with this one, which is freed from the loop. */
void client_leave(struct client *client);

/* Frees those that have gone and whose input has been taken, from the loop. */
void clients_sweep(struct clients *clients);

/* Sends a frame: an optional number, and bytes. */
void client_tell(struct client *client, enum frame_type type, const uint32_t *number, const void *bytes, size_t length);

/* Tells what has happened already. */
void client_tell_state(struct client *client);

/* Its socket is readable. */
void client_readable(struct loop_source *source, uint32_t events);

#endif
