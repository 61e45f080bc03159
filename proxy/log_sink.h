/* Where the guest's log goes: --guest-log file:PATH, journal or unix:PATH. A sink never waits: what it can't take at once is lost,
 * and its caller counts that.
 *
 * Nothing but a descriptor is needed once a sink is open, as the proxy sees no file system then; only a socket that has gone is
 * connected to again where there is one still.
 */
#ifndef NACRE_PROXY_LOG_SINK_H
#define NACRE_PROXY_LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define LOG_SINK_FILE_MAX (1u << 20) /* of a file, and as much of what was before, in PATH.1 */

#define LOG_SINK_NAME 255u

enum log_sink_type { LOG_SINK_NONE, LOG_SINK_FILE, LOG_SINK_JOURNAL, LOG_SINK_SOCKET };

struct log_sink_options {
	enum log_sink_type type;
	const char *path; /* of the journal's: its socket */
};

/* Reads "file:PATH", "journal", "journal:SOCKET" or "unix:PATH"; the path is in `text`. 0 or -EINVAL with `error` filled. */
int log_sink_parse(struct log_sink_options *options, const char *text, struct error *error);

struct log_sink {
	struct log_sink_options options;
	const char *name;	   /* what the journal is told of whose log it is: at most LOG_SINK_NAME bytes without controls */
	int fd, old;		   /* the file or socket; a file's predecessor */
	size_t size;		   /* of the file */
	uint64_t retry;		   /* when a socket that wasn't there is tried again */
};

/* A file is made (0600, symbolic links aren't followed) or appended to; a socket may come later. 0, or -errno with `error`
 * filled and nothing to close. `name` is kept. */
int log_sink_open(struct log_sink *sink, const struct log_sink_options *options, const char *name, struct error *error);

/* Writes a line, which has no newline of its own. `priority` is syslog's. False where it was lost. */
bool log_sink_write(struct log_sink *sink, const char *line, size_t length, int priority);

void log_sink_close(struct log_sink *sink);

#endif
