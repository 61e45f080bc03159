/* The table of streams: few at a time, so that it is searched from its end. */
#include "proxy/read_offsets.h"

#include <stdlib.h>
#include <string.h>

void read_offsets_init(struct read_offsets *offsets)
{
	*offsets = (struct read_offsets){.next_number = 1};
	list_init(&offsets->streams);
}

static struct read_stream *of_link(struct list *link)
{
	return container_of(link, struct read_stream, link);
}

static void stream_free(struct read_offsets *offsets, struct read_stream *stream)
{
	list_remove(&stream->link);
	offsets->count--;
	free(stream);
}

void read_offsets_free(struct read_offsets *offsets)
{
	while (!list_empty(&offsets->streams))
		stream_free(offsets, of_link(offsets->streams.next));
}

static bool is_of(const struct read_stream *stream, struct slice container, struct slice exec, bool all)
{
	const uint8_t *own_exec = stream->name + stream->container_length;

	if (stream->container_length != container.length || memcmp(stream->name, container.bytes, container.length) != 0)
		return false;
	return all || (stream->exec_length == exec.length &&
		       (exec.length == 0 || memcmp(own_exec, exec.bytes, exec.length) == 0));
}

struct read_stream *read_offsets_find(struct read_offsets *offsets, struct slice container, struct slice exec, bool error)
{
	struct list *head = &offsets->streams;
	struct read_stream *stream;

	if (container.length == 0 || container.length > READ_OFFSETS_NAME ||
	    exec.length > READ_OFFSETS_NAME - container.length)
		return NULL;
	for (struct list *link = head->previous; link != head; link = link->previous) {
		stream = of_link(link);
		if (stream->error != error || !is_of(stream, container, exec, false))
			continue;
		list_remove(link);
		list_append(head, link);
		return stream;
	}
	if (offsets->count == READ_OFFSETS_MAX)
		stream_free(offsets, of_link(head->next));
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	stream->number = offsets->next_number++;
	stream->error = error;
	stream->container_length = container.length;
	stream->exec_length = exec.length;
	memcpy(stream->name, container.bytes, container.length);
	if (exec.length > 0)
		memcpy(stream->name + container.length, exec.bytes, exec.length);
	list_append(head, &stream->link);
	offsets->count++;
	return stream;
}

struct read_stream *read_offsets_get(struct read_offsets *offsets, uint64_t number)
{
	struct list *head = &offsets->streams;

	for (struct list *link = head->previous; number > 0 && link != head; link = link->previous)
		if (of_link(link)->number == number)
			return of_link(link);
	return NULL;
}

void read_offsets_forget(struct read_offsets *offsets, struct slice container, struct slice exec, bool all)
{
	struct list *link = offsets->streams.next;

	while (container.length > 0 && link != &offsets->streams) {
		struct read_stream *stream = of_link(link);

		link = link->next;
		if (is_of(stream, container, exec, all))
			stream_free(offsets, stream);
	}
}
