/* One write for many entries, and the files' names. */
#include "runtime/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define WRITE_ENOUGH 65536u
#define TEXT_LIMIT (1u << 20) /* of one entry in any format, with what is below WRITE_ENOUGH before it */

/* Not to wait for a pipe's reader before it is refused. */
static int open_file(const char *path, uint64_t *size, struct error *error)
{
	cleanup_close int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return error_errno(error, errno, "open %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, EINVAL, "--write: %s is no regular file", path);
	*size = (uint64_t)status.st_size;
	return take_fd(&fd);
}

int log_writer_open(struct log_writer *writer, struct error *error)
{
	buffer_init(&writer->text, TEXT_LIMIT);
	writer->fd = open_file(writer->path, &writer->size, error);
	return writer->fd < 0 ? writer->fd : 0;
}

int log_writer_reopen(struct log_writer *writer, struct error *error)
{
	int fd = open_file(writer->path, &writer->size, error);

	if (fd < 0)
		return fd;
	fd_close(&writer->fd);
	writer->fd = fd;
	return 0;
}

/* The name of the file that is `age` rotations old. NULL without memory. */
static char *name_of(const struct log_writer *writer, unsigned age)
{
	char *name = NULL;

	if (asprintf(&name, age > 0 ? "%s.%u" : "%s", writer->path, age) < 0)
		return NULL;
	return name;
}

/* The oldest goes, as the one before it takes its name. Where there is no file of the name (a failure has come between this
 * and its making) there is nothing to move. 0 or -errno of the youngest. */
static int move_files(const struct log_writer *writer)
{
	int status = 0;

	if (access(writer->path, F_OK) < 0)
		return 0;
	if (writer->files <= 1)
		return unlink(writer->path) < 0 ? -errno : 0;
	for (unsigned age = writer->files - 1; age > 0; age--) {
		cleanup_free char *from = name_of(writer, age - 1), *to = name_of(writer, age);

		if (!from || !to)
			return -ENOMEM;
		status = rename(from, to) < 0 ? -errno : 0;
	}
	return status;
}

/* Where it fails, it is tried again when as much has been written once more. 0 or 1. */
static int rotate(struct log_writer *writer, struct error *error)
{
	int status = move_files(writer);

	if (status < 0)
		error_errno(error, -status, "rename %s", writer->path);
	else if (log_writer_reopen(writer, error) == 0)
		return 0;
	writer->size = 0;
	return 1;
}

/* Writes the first bytes of the text. Of what isn't written as a whole nothing stays. */
static int write_text(struct log_writer *writer, size_t length, struct error *error)
{
	struct stat before;
	int status;

	if (length == 0)
		return 0;
	status = fstat(writer->fd, &before) < 0 ? -errno : fd_write_all(writer->fd, buffer_bytes(&writer->text), length);
	buffer_consume(&writer->text, length);
	if (status == 0) {
		writer->size += length;
		writer->failing = false;
		return 0;
	}
	writer->lost += length;
	if (ftruncate(writer->fd, before.st_size) < 0 || writer->failing)
		return 0;
	writer->failing = true;
	error_errno(error, -status, "write %s", writer->path);
	return 1;
}

int log_writer_flush(struct log_writer *writer, struct error *error)
{
	return write_text(writer, buffer_length(&writer->text), error);
}

int log_writer_add(struct log_writer *writer, const struct log_entry *entry, struct error *error)
{
	size_t before = buffer_length(&writer->text), length;
	int told = 0;

	if (writer->format(&writer->text, entry) < 0) {
		/* No memory: what was added before is in front of half an entry. */
		told = write_text(writer, before, error);
		writer->lost += entry->length;
		buffer_consume(&writer->text, buffer_length(&writer->text));
		return told;
	}
	length = buffer_length(&writer->text);
	/* One that is too large for any file gets one for itself. */
	if (writer->size_most > 0 && writer->size + length > writer->size_most && writer->size + before > 0) {
		told = write_text(writer, before, error);
		told |= rotate(writer, error);
	}
	if (buffer_length(&writer->text) >= WRITE_ENOUGH)
		told |= log_writer_flush(writer, error);
	return told;
}

void log_writer_close(struct log_writer *writer)
{
	fd_close(&writer->fd);
	buffer_free(&writer->text);
}
