/* Writing output.log. */
#include "runtime/output_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/moment.h"

#define PREFIX_SIZE 64
#define PENDING_LIMIT (16u << 20)

int output_log_open(struct output_log *log, int directory, struct error *error)
{
	*log = (struct output_log){.directory = directory};
	log->fd = openat(directory, OUTPUT_LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return log->fd < 0 ? error_errno(error, errno, "make %s", OUTPUT_LOG) : 0;
}

/* One entry for each line of the bytes, and for what is behind the last newline. 0 or -errno. */
static int format(struct buffer *text, const char *time, const char *stream, const char *bytes, size_t length)
{
	int status = 0;

	while (length > 0 && status == 0) {
		const char *newline = memchr(bytes, '\n', length < OUTPUT_LOG_TEXT_MOST ? length : OUTPUT_LOG_TEXT_MOST);
		size_t count = newline ? (size_t)(newline - bytes) : length;
		char prefix[PREFIX_SIZE];
		int size;

		if (count > OUTPUT_LOG_TEXT_MOST)
			count = OUTPUT_LOG_TEXT_MOST;
		size = snprintf(prefix, sizeof(prefix), "%s %s %c ", time, stream, newline ? 'F' : 'P');
		status = buffer_append(text, prefix, (size_t)size);
		if (status == 0)
			status = buffer_append(text, bytes, count);
		if (status == 0)
			status = buffer_append(text, "\n", 1);
		count += newline ? 1 : 0;
		bytes += count;
		length -= count;
	}
	return status;
}

/* Begins a new file, where this one is full. Readers of the old one see by its name that it is over. */
static void rotate(struct output_log *log)
{
	int fd;

	if (log->size < OUTPUT_LOG_MOST || renameat(log->directory, OUTPUT_LOG, log->directory, OUTPUT_LOG_OLD) < 0)
		return;
	fd = openat(log->directory, OUTPUT_LOG, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	fd_close(&log->fd);
	log->fd = fd;
	log->size = 0;
}

void output_log_write(struct output_log *log, unsigned stream, const void *bytes, size_t length)
{
	char time[MOMENT_SIZE];
	struct buffer text;

	rotate(log);
	buffer_init(&text, PENDING_LIMIT);
	moment_format(moment_now(), time);
	if (format(&text, time, stream == 0 ? "stdout" : "stderr", bytes, length) < 0 ||
	    fd_write_all(log->fd, buffer_bytes(&text), buffer_length(&text)) < 0) {
		/* No half entry stays. */
		log->lost += length;
		if (ftruncate(log->fd, (off_t)log->size) < 0)
			log->lost += log->size;
	} else {
		log->size += buffer_length(&text);
	}
	buffer_free(&text);
}

void output_log_close(struct output_log *log)
{
	fd_close(&log->fd);
}
