/* Lines, entries, files. */
#include "runtime/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "runtime/output_log.h"

#define LINE_MOST (LOG_TEXT_MOST + 256)
#define BUFFER_LIMIT (8 * LINE_MOST)

static bool same_file(int first, int second)
{
	struct stat one, other;

	return fstat(first, &one) == 0 && fstat(second, &other) == 0 && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

/* The current one first: if it becomes the one before in the meantime, it is found twice, and nothing is missing. */
int log_reader_open(struct log_reader *reader, int directory, struct error *error)
{
	*reader = (struct log_reader){.directory = directory, .old = -1};
	buffer_init(&reader->buffer, BUFFER_LIMIT);
	reader->fd = openat(directory, OUTPUT_LOG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (reader->fd < 0)
		return error_errno(error, errno, "open %s", OUTPUT_LOG);
	reader->old = openat(directory, OUTPUT_LOG_OLD, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (reader->old >= 0 && same_file(reader->old, reader->fd))
		fd_close(&reader->old);
	return 0;
}

void log_reader_close(struct log_reader *reader)
{
	fd_close(&reader->old);
	fd_close(&reader->fd);
	buffer_free(&reader->buffer);
}

int log_reader_rewind(struct log_reader *reader, struct error *error)
{
	int directory = reader->directory;

	log_reader_close(reader);
	return log_reader_open(reader, directory, error);
}

/* Whether the current file is full, and another one has begun. */
static bool moved_on(struct log_reader *reader)
{
	int next = openat(reader->directory, OUTPUT_LOG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (next < 0)
		return false;
	if (same_file(next, reader->fd)) {
		close(next);
		return false;
	}
	reader->old = reader->fd;
	reader->fd = next;
	return true;
}

/* More bytes: 1; 0 where there are none; or -errno. A file that is over is read to its end before the next. */
static int fill(struct log_reader *reader)
{
	uint8_t *to = buffer_reserve(&reader->buffer, LINE_MOST);
	ssize_t count;

	if (!to)
		return -errno;
	do {
		count = read(reader->old >= 0 ? reader->old : reader->fd, to, LINE_MOST);
		if (count < 0)
			return -errno;
		if (count == 0 && reader->old >= 0)
			fd_close(&reader->old);
		else if (count == 0 && !moved_on(reader))
			return 0;
	} while (count == 0);
	buffer_commit(&reader->buffer, (size_t)count);
	return 1;
}

int log_reader_next(struct log_reader *reader, struct log_entry *entry, struct error *error)
{
	buffer_consume(&reader->buffer, reader->taken);
	reader->taken = 0;
	while (true) {
		const char *line = (const char *)buffer_bytes(&reader->buffer);
		size_t held = buffer_length(&reader->buffer);
		const char *newline = held > 0 ? memchr(line, '\n', held) : NULL;
		int status;

		if (newline && log_entry_parse(line, (size_t)(newline - line), entry) == 0) {
			reader->taken = (size_t)(newline - line) + 1;
			return 1;
		}
		if (newline || held > LINE_MOST) {
			buffer_consume(&reader->buffer, newline ? (size_t)(newline - line) + 1 : held);
			continue;
		}
		status = fill(reader);
		if (status < 0)
			return error_errno(error, -status, "read %s", OUTPUT_LOG);
		if (status == 0)
			return 0;
	}
}
