/* From the log port to a sink: connecting, lines, and their rate. */
#include "proxy/guest_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "lib/utf8.h"

#define LOG_SUBSYSTEM "guest-log"
#include "lib/log.h"

/* syscalls: recvfrom socketpair close readlink readlinkat getcwd */

#define RETRY_FIRST (20 * LOOP_MILLISECOND)
#define RETRY_LAST LOOP_SECOND
#define READS_MAX 8 /* at a time: there are others */
#define TOKEN 1000u

static void retry_due(struct loop_timer *timer);

/* ---- Lines --------------------------------------------------------------------------------------------------- */

static bool may_write(struct guest_log *log)
{
	uint64_t most = (uint64_t)log->options.rate * TOKEN, now = loop_now(), passed = now - log->filled;

	if (most == 0)
		return true;
	/* In whole microseconds, or nothing would come of many short times. A second fills it, and nothing overflows. */
	log->tokens += (passed < LOOP_SECOND ? passed : LOOP_SECOND) / 1000 * most / (LOOP_SECOND / 1000);
	log->filled = now - passed % 1000;
	if (log->tokens > most)
		log->tokens = most;
	if (log->tokens < TOKEN)
		return false;
	log->tokens -= TOKEN;
	return true;
}

/* What the agent's lines say of themselves (lib/log.c, and Kata's agent's): syslog's numbers. Anything else is information. */
static int priority_of(const char *line)
{
	static const struct {
		const char *text;
		int priority;
	} levels[] = {
		{"\"level\":\"CRIT\"", 2}, {"\"level\":\"ERRO\"", 3}, {"\"level\":\"WARN\"", 4},
		{"\"level\":\"DEBG\"", 7}, {"\"level\":\"TRCE\"", 7},
	};

	for (size_t i = 0; i < array_size(levels); i++)
		if (strstr(line, levels[i].text))
			return levels[i].priority;
	return 6;
}

/* True where it was written, or there was none. */
static bool tell_left_out(struct guest_log *log)
{
	char text[64];
	int length;

	if (log->left_out == 0)
		return true;
	length = snprintf(text, sizeof(text), "nacre-proxy: %" PRIu64 " lines left out", log->left_out);
	if (!log_sink_write(&log->sink, text, (size_t)length, 4))
		return false;
	log->left_out = 0;
	return true;
}

/* C0, DEL, and C1 as UTF-8 has it. */
static size_t neutralise(char *text)
{
	char *c = text;

	for (; *c; c++) {
		unsigned char byte = (unsigned char)*c, next = (unsigned char)c[1];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			*c = '?';
		else if (byte == 0xc2 && next >= 0x80 && next < 0xa0)
			c[0] = c[1] = '?';
	}
	return (size_t)(c - text);
}

static void line_ended(struct guest_log *log)
{
	char text[UTF8_COPY_SIZE(GUEST_LOG_LINE)];
	size_t length = log->length;

	log->length = 0;
	if (length > 0 && log->line[length - 1] == '\r')
		length--;
	if (length == 0)
		return;
	if (!may_write(log)) {
		log->left_out++;
		return;
	}
	utf8_copy(text, log->line, length);
	length = neutralise(text);
	if (!tell_left_out(log) || !log_sink_write(&log->sink, text, length, priority_of(text)))
		log->left_out++;
}

static void take_bytes(struct guest_log *log, const char *bytes, size_t length)
{
	while (length > 0) {
		const char *end = memchr(bytes, '\n', length);
		size_t part = end ? (size_t)(end - bytes) : length;
		size_t room = GUEST_LOG_LINE - log->length, kept = part < room ? part : room;

		memcpy(log->line + log->length, bytes, kept);
		log->length += kept;
		bytes += part;
		length -= part;
		if (!end)
			return;
		line_ended(log);
		bytes++;
		length--;
	}
}

/* ---- The connection ------------------------------------------------------------------------------------------ */

static void retry_later(struct guest_log *log)
{
	loop_timer_set(log->loop, &log->retry, log->delay, retry_due);
	log->delay = log->delay * 2 < RETRY_LAST ? log->delay * 2 : RETRY_LAST;
}

static void disconnect(struct guest_log *log)
{
	loop_remove(log->loop, &log->source);
	if (log->fd >= 0)
		shutdown(log->fd, SHUT_RDWR);
	fd_close(&log->fd);
	line_ended(log);
}

/* How much came: 0 at the end, or -errno. */
static ssize_t read_once(struct guest_log *log)
{
	char bytes[8192];
	ssize_t count = recv(log->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (count > 0)
		take_bytes(log, bytes, (size_t)count);
	return count < 0 ? -errno : count;
}

static void ready(struct loop_source *source, uint32_t events)
{
	struct guest_log *log = container_of(source, struct guest_log, source);
	ssize_t count = 1;

	(void)events;
	for (int i = 0; i < READS_MAX && count > 0; i++) {
		count = read_once(log);
		if (count > 0)
			log->delay = RETRY_FIRST;
	}
	if (count > 0 || count == -EAGAIN || count == -EINTR)
		return;
	disconnect(log);
	retry_later(log);
}

static void retry_due(struct loop_timer *timer)
{
	struct guest_log *log = container_of(timer, struct guest_log, retry);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0) {
		log->fd = pair[0];
		if (streams_serve(log->streams, pair[1], STREAM_FORWARD, log->options.port) == 0 &&
		    loop_add(log->loop, &log->source, log->fd, EPOLLIN, ready) == 0)
			return;
		disconnect(log);
	}
	retry_later(log);
}

/* The last part of the path as it was given: the worker reads no links. */
static void set_name(struct guest_log *log, const char *directory)
{
	size_t end = strlen(directory), start, most = LOG_SINK_NAME / 3;

	while (end > 1 && directory[end - 1] == '/')
		end--;
	for (start = end; start > 0 && directory[start - 1] != '/'; start--)
		;
	utf8_copy(log->name, directory + start, end - start < most ? end - start : most);
	neutralise(log->name);
}

int guest_log_open(struct guest_log *log, const struct guest_log_options *options, struct loop *loop,
		   struct streams *streams, const char *directory, struct error *error)
{
	int status;

	*log = (struct guest_log){.fd = -1, .source.fd = -1};
	if (options->sink.type == LOG_SINK_NONE)
		return 0;
	set_name(log, directory);
	status = log_sink_open(&log->sink, &options->sink, log->name, error);
	if (status < 0)
		return status;
	log->loop = loop;
	log->streams = streams;
	log->options = *options;
	log->delay = RETRY_FIRST;
	log->tokens = (uint64_t)options->rate * TOKEN;
	log->filled = loop_now();
	log->line = malloc(GUEST_LOG_LINE);
	if (!log->line)
		return error_errno(error, ENOMEM, "--guest-log");
	loop_timer_set(loop, &log->retry, 0, retry_due);
	return 0;
}

void guest_log_close(struct guest_log *log)
{
	if (!log->loop)
		return;
	loop_timer_clear(log->loop, &log->retry);
	/* No more than the socket has room for: nobody writes meanwhile. */
	while (log->fd >= 0 && read_once(log) > 0)
		;
	if (log->line)
		disconnect(log);
	tell_left_out(log);
	log_sink_close(&log->sink);
	free(log->line);
	*log = (struct guest_log){.fd = -1, .source.fd = -1};
}
