/* A container's log as others want it: a file in their format, cut over to a new one when it is full, and opened again when
 * somebody else has moved it.
 *
 * A full file becomes PATH.1, the one before PATH.2, and so on. Nothing is ever forced to the disk (fsync). What there is no
 * room for is left out, whole entries, and counted; who reads the file sees entries alone.
 */
#ifndef NACRE_RUNTIME_LOG_WRITER_H
#define NACRE_RUNTIME_LOG_WRITER_H

#include <stdint.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "runtime/log_format.h"

#define LOG_WRITER_FILES_DEFAULT 5
#define LOG_WRITER_FILES_MOST 1000

struct log_writer {
	const char *path; /* the caller's */
	int (*format)(struct buffer *text, const struct log_entry *entry);
	uint64_t size_most; /* of a file, in bytes; 0: it is never full */
	unsigned files;	    /* kept, with the one that is written; 1: the full one goes */
	int fd;
	uint64_t size;	    /* of the file */
	struct buffer text; /* entries that are still to be written */
	uint64_t lost;	    /* bytes of entries that there was no room for */
	bool failing;	    /* the last write did */
};

/* Opens the file at its end, or makes it, mode 0640. `path`, `format`, `size_most` and `files` are set by the caller. 0 or
 * -errno (EINVAL: it is no regular file). log_writer_close() in any case. */
int log_writer_open(struct log_writer *writer, struct error *error);

/* Adds an entry, and writes what has been added where it is enough. 1: what has failed was told in `error` (once, until it
 * goes well again); 0 else. Nothing fails for good: the next entry is tried again. */
int log_writer_add(struct log_writer *writer, const struct log_entry *entry, struct error *error);

/* Writes what has been added. As log_writer_add(). */
int log_writer_flush(struct log_writer *writer, struct error *error);

/* Goes on in the file that has the name now, which is made where there is none. 0, or -errno, and the old one stays. */
int log_writer_reopen(struct log_writer *writer, struct error *error);

/* What wasn't flushed is gone. */
void log_writer_close(struct log_writer *writer);

#endif
