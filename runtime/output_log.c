/* Writing output.log. */
#include "runtime/output_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/log_format.h"
#include "runtime/moment.h"

#define PENDING_LIMIT (16u << 20)

int output_log_open(struct output_log *log, int directory, struct error *error)
{
	*log = (struct output_log){.directory = directory};
	log->fd = openat(directory, OUTPUT_LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	return log->fd < 0 ? error_errno(error, errno, "make %s", OUTPUT_LOG) : 0;
}

/* One entry for each line of the bytes, and for what is behind the last newline. 0 or -errno. */
static int format(struct buffer *text, unsigned stream, const char *bytes, size_t length)
{
	char time[MOMENT_SIZE];
	struct log_entry entry = {.time = time, .stream = stream};
	int status = 0;

	moment_format(moment_now(), time);
	entry.time_length = strlen(time);
	while (length > 0 && status == 0) {
		size_t count = log_entry_cut(&entry, bytes, length);

		status = log_format_cri(text, &entry);
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
	struct buffer text;

	rotate(log);
	buffer_init(&text, PENDING_LIMIT);
	if (format(&text, stream, bytes, length) < 0 ||
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
