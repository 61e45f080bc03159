/* The agent's log for a reader on the host: whoever connects gets the lines, one reader at a time.
 *
 * Lines go into a pipe in the place of stderr, which never makes the agent wait: what a full one doesn't take is lost,
 * and the next line that fits says how many were (lib/log.h). So a reader that comes late gets the first 64 KiB, and one
 * that stops reading loses what is newer.
 */
#ifndef NACRE_AGENT_LOG_PORT_H
#define NACRE_AGENT_LOG_PORT_H

#include <stdbool.h>

#include "agent/supervisor.h"
#include "lib/error.h"
#include "lib/loop.h"

struct log_port {
	struct loop *loop;
	struct supervisor *supervisor;
	struct loop_source lines;  /* the pipe's end that is read */
	struct loop_source reader; /* the connection; -1: none */
};

/* Sends what is written to stderr from here on to the reader, who may still be connected from before the agent was started
 * again. 0 or -errno, with stderr as it was. */
int log_port_open(struct log_port *port, struct loop *loop, struct supervisor *supervisor, struct error *error);

/* Takes a connection, which it owns from here on: it is closed where there is a reader. */
void log_port_accept(struct log_port *port, int fd);

#endif
