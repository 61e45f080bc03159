/* What a client of proxy.sock speaks, and ATTACH lines. */
#include "proxy/attach_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "proxy/attachment.h"
#include "proxy/line.h"
#include "proxy/session.h"

/* syscalls: recvfrom sendto fcntl close */

#define TEXT_SIZE 1024 /* two ids of RING_ID_SIZE, and what is around them */
#define WORDS_MAX 7

struct newcomer {
	struct list link;
	struct service *service;
	struct loop_source source;
	struct loop_timer timer;
	char text[TEXT_SIZE];
	size_t length;
};

static struct loop *loop_of(const struct newcomer *newcomer)
{
	return newcomer->service->server.loop;
}

/* Its descriptor is the caller's. */
static int leave(struct newcomer *newcomer)
{
	int fd = newcomer->source.fd;

	loop_remove(loop_of(newcomer), &newcomer->source);
	loop_timer_clear(loop_of(newcomer), &newcomer->timer);
	list_remove(&newcomer->link);
	free(newcomer);
	return fd;
}

static void timed_out(struct loop_timer *timer)
{
	close(leave(container_of(timer, struct newcomer, timer)));
}

/* ---- The line ------------------------------------------------------------------------------------------------ */

static int parse_stream(const char *word, unsigned int *stream)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};

	for (unsigned int i = 0; i < array_size(names); i++) {
		if (strcmp(word, names[i]) != 0)
			continue;
		*stream = i;
		return 0;
	}
	return -EINVAL;
}

static int parse_from(const char *word, struct attachment_options *options)
{
	char *end;

	options->from = NACRE__ATTACH_REQUEST__FROM__RING;
	if (strcmp(word, "now") == 0)
		options->from = NACRE__ATTACH_REQUEST__FROM__NOW;
	if (*word < '0' || *word > '9')
		return options->from == NACRE__ATTACH_REQUEST__FROM__NOW || strcmp(word, "ring") == 0 ? 0 : -EINVAL;
	options->from = NACRE__ATTACH_REQUEST__FROM__OFFSET;
	errno = 0;
	options->offset = strtoull(word, &end, 10);
	return *end == '\0' && errno == 0 ? 0 : -EINVAL;
}

/* Those behind the stream. */
static int parse_options(char *const words[], size_t count, struct attachment_options *options, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(words[i], "lossy") == 0)
			options->lossy = true;
		else if (strcmp(words[i], "keep-open") == 0)
			options->keep_open = true;
		else if (i > 0 || parse_from(words[i], options) < 0)
			return error_set(error, EINVAL, "'%s' isn't known here", words[i]);
	}
	return 0;
}

static size_t split(char *text, char *words[WORDS_MAX])
{
	size_t count = 0;
	char *rest = text;

	while (count < WORDS_MAX && (words[count] = strtok_r(rest, " \r", &rest)))
		count++;
	return count;
}

/* "ATTACH CONTAINER EXEC STREAM [FROM] [lossy] [keep-open]": the stream of a session. */
static struct session_stream *parse_line(struct sessions *sessions, char *text, struct attachment_options *options,
					 struct error *error)
{
	char *words[WORDS_MAX];
	size_t count = split(text, words);
	struct session *session;
	unsigned int stream;

	if (count < 4 || strcmp(words[0], "ATTACH") != 0 || parse_stream(words[3], &stream) < 0) {
		error_set(error, EINVAL, "a line is ATTACH CONTAINER EXEC STREAM [FROM] [lossy] [keep-open]");
		return NULL;
	}
	if (parse_options(words + 4, count - 4, options, error) < 0)
		return NULL;
	session = sessions_find(sessions, words[1], strcmp(words[2], "-") == 0 ? "" : words[2]);
	if (!session || !session->record->opened) {
		error_set(error, ENOENT, "there is no session of this process");
		return NULL;
	}
	if (stream == SESSION_STDERR && session->record->terminal) {
		error_set(error, EINVAL, "the process has no stderr");
		return NULL;
	}
	return &session->streams[stream];
}

static bool ended(const struct attachment *attachment)
{
	const struct session_stream *stream = attachment->stream;

	return session_stream_ended(stream) && attachment->offset == ring_end(&stream->ring);
}

/* The answer comes before what is attached; nothing has been written to the socket, so it fits. */
static void attach(struct service *service, int fd, char *text)
{
	struct attachment_options options = {0};
	struct error error = {0};
	struct session_stream *stream = parse_line(service->sessions, text, &options, &error);
	struct attachment *attachment = NULL;
	char answer[TEXT_SIZE];
	uint64_t dropped;
	int length;

	if (stream)
		attachment = attachment_new(stream, fcntl(fd, F_DUPFD_CLOEXEC, 0), &options, &dropped, &error);
	if (attachment)
		length = snprintf(answer, sizeof(answer), "OK %llu %llu%s\n", (unsigned long long)attachment->offset,
				  (unsigned long long)dropped, ended(attachment) ? " ended" : "");
	else
		length = snprintf(answer, sizeof(answer), "ERROR %s\n", error.text);
	/* A client that has gone is found out by the attachment. */
	(void)send(fd, answer, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* ---- The first bytes ----------------------------------------------------------------------------------------- */

/* A client of ttrpc may be silent for as long as it likes; one that has begun a line has to end it. */
static void newcomer_ready(struct loop_source *source, uint32_t events)
{
	struct newcomer *newcomer = container_of(source, struct newcomer, source);
	struct service *service = newcomer->service;
	char first = 'A', text[TEXT_SIZE];
	int status;

	(void)events;
	if (newcomer->length == 0 && recv(source->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first != 'A') {
		service_serve(service, leave(newcomer));
		return;
	}
	status = line_take(newcomer->text, sizeof(newcomer->text), &newcomer->length, source->fd);
	if (status == 0 && newcomer->timer.deadline == 0 && newcomer->length > 0)
		loop_timer_set(loop_of(newcomer), &newcomer->timer, service->streams->limits.handshake_time, timed_out);
	if (status == 0)
		return;
	memcpy(text, newcomer->text, sizeof(text));
	if (status < 0)
		close(leave(newcomer));
	else
		attach(service, leave(newcomer), text);
}

void attach_line_serve(struct service *service, int fd)
{
	struct newcomer *newcomer = calloc(1, sizeof(*newcomer));

	if (!newcomer || loop_add(service->server.loop, &newcomer->source, fd, EPOLLIN, newcomer_ready) < 0) {
		free(newcomer);
		close(fd);
		return;
	}
	newcomer->service = service;
	list_append(&service->newcomers, &newcomer->link);
}

void attach_line_close(struct service *service)
{
	while (!list_empty(&service->newcomers))
		close(leave(container_of(service->newcomers.next, struct newcomer, link)));
}
