/* How far the calls that read a process's output have come, for all clients of agent.sock together: a read that names its
 * offset can be issued again, and loses and doubles nothing (ttrpc metadata READ_OFFSET_KEY; docs/design.md, "Streams").
 *
 * The offsets are the agent's, who counts from the process's first byte. They aren't known here where somebody else has read
 * before, and not any more where two reads of a stream are open at once: then the stream is left `plain`, and its reads go as
 * their clients sent them.
 */
#ifndef NACRE_PROXY_READ_OFFSETS_H
#define NACRE_PROXY_READ_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"
#include "proxy/envelope.h"

#define READ_OFFSET_KEY "nacre-offset"
#define READ_OFFSETS_MAX 256	/* streams; the one that was read longest ago is forgotten for another */
#define READ_OFFSETS_NAME 256u /* bytes of both IDs together; a stream with longer ones has no offset */

struct read_stream {
	struct list link;
	uint64_t number; /* its name for those who may find it gone */
	uint64_t offset;
	bool open;  /* a read is */
	bool plain;
	bool error; /* stderr */
	size_t container_length, exec_length;
	uint8_t name[READ_OFFSETS_NAME];
};

struct read_offsets {
	struct list streams; /* the one used last comes last */
	size_t count;
	uint64_t next_number;
};

void read_offsets_init(struct read_offsets *offsets);
void read_offsets_free(struct read_offsets *offsets);

/* The stream, which is made where it isn't known. NULL where it can't have an offset. */
struct read_stream *read_offsets_find(struct read_offsets *offsets, struct slice container, struct slice exec, bool error);

/* The one of that number, 0 being none's; NULL where it was forgotten. */
struct read_stream *read_offsets_get(struct read_offsets *offsets, uint64_t number);

/* Forgets the streams of a process, which is another one from now on. With `all` those of the whole container. */
void read_offsets_forget(struct read_offsets *offsets, struct slice container, struct slice exec, bool all);

#endif
