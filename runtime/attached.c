/* Attaching, and what is answered. */
#include "runtime/attached.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

static void refuse(struct attached *attached, const char *text)
{
	attached_close(attached);
	attached->refused(attached, text);
}

/* Byte by byte: what follows the line is the stream's. 1 where it is there, 0, or -errno. */
static int take_line(struct attached *attached)
{
	for (; attached->length < sizeof(attached->line); attached->length++) {
		char *next = attached->line + attached->length;
		ssize_t count = recv(attached->fd, next, 1, MSG_DONTWAIT);

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (count <= 0)
			return -ECONNRESET;
		if (*next == '\n') {
			*next = '\0';
			return 1;
		}
	}
	return -EPROTO;
}

static void ready(struct loop_source *source, uint32_t events);

static void try(struct attached *attached)
{
	struct error error = {0};

	attached_close(attached);
	do {
		attached->fd = proxy_attach_begin(attached->directory, &attached->stream, &error);
	} while (attached->fd < 0 && (error.number == EPIPE || error.number == ECONNRESET));
	if (attached->fd < 0)
		refuse(attached, error.text);
	else if (loop_add(attached->loop, &attached->source, attached->fd, EPOLLIN, ready) < 0)
		refuse(attached, "event loop");
}

/* An end before the answer is that of a worker; the next one takes who has connected meanwhile. */
static void take_answer(struct attached *attached)
{
	struct proxy_attached answer;
	struct error error = {0};
	int status = take_line(attached);

	if (status == -ECONNRESET) {
		try(attached);
	} else if (status < 0) {
		refuse(attached, "the proxy's answer is too long");
	} else if (status > 0 && proxy_attach_parse(attached->line, &answer, &error) < 0) {
		refuse(attached, error.text);
	} else if (status > 0) {
		attached->established = true;
		attached->answered(attached, &answer);
	}
}

static void ready(struct loop_source *source, uint32_t events)
{
	struct attached *attached = container_of(source, struct attached, source);

	if (attached->established)
		attached->ready(attached, events);
	else
		take_answer(attached);
}

void attached_open(struct attached *attached, const char *from)
{
	snprintf(attached->from, sizeof(attached->from), "%s", from);
	attached->stream.options = attached->from;
	try(attached);
}

void attached_open_at(struct attached *attached, uint64_t offset)
{
	char from[sizeof(attached->from)];

	snprintf(from, sizeof(from), "%" PRIu64, offset);
	attached_open(attached, from);
}

void attached_watch(struct attached *attached, uint32_t events)
{
	if (!attached->established)
		return;
	if (events == 0)
		loop_remove(attached->loop, &attached->source);
	else if (attached->source.fd >= 0)
		loop_change(attached->loop, &attached->source, events);
	else if (loop_add(attached->loop, &attached->source, attached->fd, events, ready) < 0)
		refuse(attached, "event loop");
}

void attached_close(struct attached *attached)
{
	if (attached->fd >= 0)
		loop_remove(attached->loop, &attached->source);
	fd_close(&attached->fd);
	attached->established = false;
	attached->length = 0;
}
