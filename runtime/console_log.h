/* console.log: what a guest has written to its console, for ever if it wants to, in a run directory, which is in memory. The
 * VMM appends to the file by itself; when it has grown to CONSOLE_LOG_MOST, what is in it is moved to console.log.1, over what
 * was moved there before. What is written in the moment of the move is lost.
 */
#ifndef NACRE_RUNTIME_CONSOLE_LOG_H
#define NACRE_RUNTIME_CONSOLE_LOG_H

#include "lib/error.h"
#include "lib/loop.h"

#define CONSOLE_LOG "console.log"
#define CONSOLE_LOG_OLD "console.log.1"
#define CONSOLE_LOG_MOST (1u << 20)

struct console_log {
	struct loop *loop;
	int directory; /* the caller's */
	int fd;
	int watch; /* inotify(7) */
	struct loop_source source;
};

/* Makes an empty one, and looks at it whenever it has grown. 0, or -errno with nothing to close. */
int console_log_open(struct console_log *log, struct loop *loop, int directory, struct error *error);

/* The files stay. All zeros are closed. */
void console_log_close(struct console_log *log);

#endif
