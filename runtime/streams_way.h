/* How the streams of a process travel: what streams.c has in common, and streams_*.c each for itself. */
#ifndef NACRE_RUNTIME_STREAMS_WAY_H
#define NACRE_RUNTIME_STREAMS_WAY_H

#include "runtime/streams.h"

struct streams_way {
	/* Before the process is made. 0 or -errno; close() in any case. */
	int (*open)(struct streams *streams, const char *directory, struct error *error);

	/* The process exists. 0 or -errno. */
	int (*start)(struct streams *streams, struct error *error);

	/* Of an output that hasn't ended: reads on, or rests; harmless the second time. NULL: it rests by itself. */
	void (*read)(struct stream_output *output);
	void (*rest)(struct stream_output *output);

	/* Of stdin. What is written is taken, where there is room. */
	bool (*has_room)(const struct stream_input *input);
	void (*write)(struct stream_input *input, const void *bytes, size_t length);
	void (*end)(struct stream_input *input);

	/* Asks for the exit: streams->told. */
	void (*wait)(struct streams *streams);

	void (*close)(struct streams *streams);
};

extern const struct streams_way streams_by_connections, streams_by_calls, streams_by_sessions;

/* ---- For ways. */

/* Bytes have come. */
void streams_output_came(struct stream_output *output, const void *bytes, size_t length);

/* Its end has. Harmless the second time. */
void streams_output_end(struct stream_output *output);

/* There may be room for more, or less. */
void streams_input_update(struct stream_input *input);

/* Nobody reads it any more. */
void streams_input_lost(struct stream_input *input);

/* Asks the agent for the exit. */
void streams_wait_agent(struct streams *streams);

#endif
