/* output.log: what a container has written, in the format of the Container Runtime Interface's logs (log_format.h).
 *
 * The file is cut over to a new one when it has grown to OUTPUT_LOG_MOST, and the one before is kept as output.log.1:
 * run directories are in memory, and a container may write for ever.
 */
#ifndef NACRE_RUNTIME_OUTPUT_LOG_H
#define NACRE_RUNTIME_OUTPUT_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define OUTPUT_LOG "output.log"
#define OUTPUT_LOG_OLD "output.log.1"
#define OUTPUT_LOG_MOST (16u << 20)

struct output_log {
	int directory; /* the caller's */
	int fd;
	uint64_t size;
	uint64_t lost; /* bytes that could not be written: no room */
};

/* Makes it. 0 or -errno. */
int output_log_open(struct output_log *log, int directory, struct error *error);

/* Adds what stream 0 (stdout) or 1 (stderr) has written. A failure costs the bytes, is counted, and nothing else. */
void output_log_write(struct output_log *log, unsigned stream, const void *bytes, size_t length);

void output_log_close(struct output_log *log);

#endif
