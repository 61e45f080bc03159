/* Sinks: a file with a bound, and sockets that take datagrams.
 *
 * The journal's protocol is one datagram of fields an entry (systemd.io/JOURNAL_NATIVE_PROTOCOL), written here as the proxy is a
 * static program, and libsystemd exists as a shared library of glibc's only.
 */
#include "proxy/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "proxy/unix_socket.h"

/* syscalls: open openat fstat lseek ftruncate sendfile writev sendmsg socket connect close */

#define JOURNAL "/run/systemd/journal/socket"
#define RETRY LOOP_SECOND

int log_sink_parse(struct log_sink_options *options, const char *text, struct error *error)
{
	static const struct {
		const char *name;
		enum log_sink_type type;
	} types[] = {{"file:", LOG_SINK_FILE}, {"journal:", LOG_SINK_JOURNAL}, {"unix:", LOG_SINK_SOCKET}};

	*options = (struct log_sink_options){0};
	if (strcmp(text, "journal") == 0)
		*options = (struct log_sink_options){LOG_SINK_JOURNAL, JOURNAL};
	for (size_t i = 0; i < array_size(types); i++) {
		size_t length = strlen(types[i].name);

		if (strncmp(text, types[i].name, length) == 0 && text[length])
			*options = (struct log_sink_options){types[i].type, text + length};
	}
	return options->type != LOG_SINK_NONE
		       ? 0
		       : error_set(error, EINVAL, "--guest-log %s: must be file:PATH, journal or unix:PATH", text);
}

/* ---- A file -------------------------------------------------------------------------------------------------- */

static int open_file(const char *path, int flags, struct error *error)
{
	cleanup_close int fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat status;

	if (fd < 0)
		return error_errno(error, errno, "open %s", path);
	if (fstat(fd, &status) < 0)
		return error_errno(error, errno, "%s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "%s is no regular file", path);
	return take_fd(&fd);
}

static int open_files(struct log_sink *sink, struct error *error)
{
	cleanup_free char *old = NULL;
	struct stat status;

	if (asprintf(&old, "%s.1", sink->options.path) < 0) {
		old = NULL;
		return error_errno(error, ENOMEM, "%s.1", sink->options.path);
	}
	sink->fd = open_file(sink->options.path, O_RDWR | O_APPEND, error);
	if (sink->fd < 0)
		return sink->fd;
	sink->old = open_file(old, O_WRONLY, error);
	if (sink->old < 0)
		return sink->old;
	if (fstat(sink->fd, &status) < 0)
		return error_errno(error, errno, "%s", sink->options.path);
	sink->size = (size_t)status.st_size;
	return 0;
}

/* What is there becomes the predecessor: its last LOG_SINK_FILE_MAX bytes, where somebody else has made it longer. */
static void begin_anew(struct log_sink *sink)
{
	off_t from = sink->size > LOG_SINK_FILE_MAX ? (off_t)(sink->size - LOG_SINK_FILE_MAX) : 0;

	if (ftruncate(sink->old, 0) == 0 && lseek(sink->old, 0, SEEK_SET) == 0)
		while (from < (off_t)sink->size)
			if (sendfile(sink->old, sink->fd, &from, sink->size - (size_t)from) <= 0)
				break;
	/* Also where there was no room for the copy: least of all then may it grow. */
	if (ftruncate(sink->fd, 0) == 0)
		sink->size = 0;
}

static bool write_file(struct log_sink *sink, const char *line, size_t length)
{
	struct iovec parts[] = {{(void *)line, length}, {"\n", 1}};
	ssize_t written;

	if (sink->size + length + 1 > LOG_SINK_FILE_MAX)
		begin_anew(sink);
	if (sink->size + length + 1 > LOG_SINK_FILE_MAX)
		return false;
	written = writev(sink->fd, parts, array_size(parts));
	if (written == (ssize_t)length + 1) {
		sink->size += (size_t)written;
		return true;
	}
	/* A full disk has taken a part of it. */
	if (written > 0 && ftruncate(sink->fd, (off_t)sink->size) < 0)
		sink->size += (size_t)written;
	return false;
}

/* ---- Datagrams ----------------------------------------------------------------------------------------------- */

static bool connect_socket(struct log_sink *sink)
{
	uint64_t now = loop_now();

	if (sink->fd < 0 && now < sink->retry)
		return false;
	fd_close(&sink->fd);
	sink->retry = now + RETRY;
	sink->fd = unix_connect_datagrams(sink->options.path);
	return sink->fd >= 0;
}

static bool send_parts(struct log_sink *sink, struct iovec *parts, size_t count, size_t size)
{
	const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	ssize_t sent;

	if (sink->fd < 0 && !connect_socket(sink))
		return false;
	sent = sendmsg(sink->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	/* Its reader has gone, and another one may be there. */
	if (sent < 0 && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET) && connect_socket(sink))
		sent = sendmsg(sink->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent == (ssize_t)size;
}

static bool write_socket(struct log_sink *sink, const char *line, size_t length)
{
	return send_parts(sink, &(struct iovec){(void *)line, length}, 1, length);
}

static bool write_journal(struct log_sink *sink, const char *line, size_t length, int priority)
{
	char head[512];
	int head_length = snprintf(head, sizeof(head), "SYSLOG_IDENTIFIER=nacre-guest\nNACRE_VM=%s\nPRIORITY=%d\nMESSAGE=",
				   sink->name, priority);
	struct iovec parts[] = {{head, (size_t)head_length}, {(void *)line, length}, {"\n", 1}};

	return send_parts(sink, parts, array_size(parts), (size_t)head_length + length + 1);
}

/* ---- All of them --------------------------------------------------------------------------------------------- */

int log_sink_open(struct log_sink *sink, const struct log_sink_options *options, const char *name, struct error *error)
{
	int status = 0;

	*sink = (struct log_sink){.options = *options, .name = name, .fd = -1, .old = -1};
	if (options->type == LOG_SINK_FILE)
		status = open_files(sink, error);
	else
		connect_socket(sink);
	if (status < 0)
		log_sink_close(sink);
	return status < 0 ? error_wrap(error, "--guest-log") : 0;
}

bool log_sink_write(struct log_sink *sink, const char *line, size_t length, int priority)
{
	switch (sink->options.type) {
	case LOG_SINK_FILE:
		return write_file(sink, line, length);
	case LOG_SINK_JOURNAL:
		return write_journal(sink, line, length, priority);
	case LOG_SINK_SOCKET:
		return write_socket(sink, line, length);
	case LOG_SINK_NONE:
		break;
	}
	return false;
}

void log_sink_close(struct log_sink *sink)
{
	fd_close(&sink->fd);
	fd_close(&sink->old);
}
