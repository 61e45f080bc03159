/* Reading output.log (output_log.h has its format), also while it is being written. */
#ifndef NACRE_RUNTIME_LOG_READER_H
#define NACRE_RUNTIME_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "runtime/log_format.h"

struct log_reader {
	int directory; /* the caller's */
	int old, fd;   /* the files: the one before, -1 when it has been read; and the current one */
	struct buffer buffer;
	size_t taken; /* of the buffer, by the entry that was returned last */
};

/* Opens the log in a run directory. 0 or -errno. */
int log_reader_open(struct log_reader *reader, int directory, struct error *error);
void log_reader_close(struct log_reader *reader);

/* From the beginning again. 0 or -errno. */
int log_reader_rewind(struct log_reader *reader, struct error *error);

/* The next entry, which is valid until the next call: 1; 0 where there is no more, for now; or -errno. Lines that are no
 * entries are passed over. */
int log_reader_next(struct log_reader *reader, struct log_entry *entry, struct error *error);

#endif
