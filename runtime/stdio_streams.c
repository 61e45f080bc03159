/* What connects a process's streams with ours. */
#include "runtime/stdio_streams.h"

#include "lib/cleanup.h"

static void output(void *data, unsigned stream, const void *bytes, size_t length)
{
	struct stdio_streams *own = data;

	stdio_write(&own->stdio, stream, bytes, length);
	if (stdio_pending(&own->stdio, stream))
		streams_hold(&own->streams, stream, true);
}

static void wanted(void *data, bool wanted)
{
	struct stdio_streams *own = data;

	stdio_want(&own->stdio, wanted);
}

static void changed(void *data)
{
	struct stdio_streams *own = data;

	own->changed(own->data);
}

static void arrived(struct stdio *stdio, const void *bytes, size_t length)
{
	streams_input(&container_of(stdio, struct stdio_streams, stdio)->streams, bytes, length);
}

static void drained(struct stdio *stdio, unsigned stream)
{
	struct stdio_streams *own = container_of(stdio, struct stdio_streams, stdio);

	streams_hold(&own->streams, stream, false);
	changed(own);
}

static void broke(struct stdio *stdio)
{
	changed(container_of(stdio, struct stdio_streams, stdio));
}

int stdio_streams_open(struct stdio_streams *own, const struct streams_options *options, const char *directory,
		       struct error *error)
{
	struct streams_options inner = *options;

	*own = (struct stdio_streams){.changed = options->changed, .data = options->data};
	own->stdio.arrived = arrived;
	own->stdio.drained = drained;
	own->stdio.broke = broke;
	stdio_open(&own->stdio, options->loop);
	inner.output = output;
	inner.wanted = wanted;
	inner.changed = changed;
	inner.data = own;
	return streams_open(&own->streams, &inner, directory, error);
}

int stdio_streams_start(struct stdio_streams *own, struct session *session, struct error *error)
{
	return streams_start(&own->streams, session, error);
}

static void exit_told(void *data, int status, const char *message)
{
	struct stdio_streams *own = data;

	own->told(own->data, status, message);
}

void stdio_streams_wait(struct stdio_streams *own, streams_told told)
{
	own->told = told;
	streams_wait(&own->streams, exit_told);
}

bool stdio_streams_written(const struct stdio_streams *own)
{
	return streams_ended(&own->streams) && !stdio_pending(&own->stdio, STREAMS_STDOUT) &&
	       !stdio_pending(&own->stdio, STREAMS_STDERR);
}

int stdio_streams_broken(const struct stdio_streams *own)
{
	return stdio_broken(&own->stdio);
}

void stdio_streams_close(struct stdio_streams *own)
{
	streams_close(&own->streams);
	stdio_close(&own->stdio);
}
