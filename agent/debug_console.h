/* Shells for whoever debugs the guest (agent.debug_console, behaviour.md 2.5): one with a terminal of its own for each
 * connection, or, where no port is named, one on the console.
 *
 * Each is a child of the agent's which copies between connection and terminal, so that the loop has nothing to do with what
 * passes there. It dies with the agent.
 */
#ifndef NACRE_AGENT_DEBUG_CONSOLE_H
#define NACRE_AGENT_DEBUG_CONSOLE_H

#include <sys/types.h>

#include "lib/loop.h"

#define DEBUG_SHELLS_MAX 16

struct debug_shell {
	struct debug_console *console;
	pid_t pid; /* 0 while there is none */
	struct loop_source ended;
};

struct debug_console {
	struct loop *loop;
	struct debug_shell shells[DEBUG_SHELLS_MAX];
	struct loop_timer next; /* shell on the console */
};

void debug_console_init(struct debug_console *console, struct loop *loop);

/* A shell for this connection, which belongs to the console from here on. The raw bytes of the terminal go both ways; the
 * shell is killed when the peer closes, and the connection is closed when the shell ends. */
void debug_console_accept(struct debug_console *console, int fd);

/* A shell on /dev/console, started again when it ends. */
void debug_console_on_terminal(struct debug_console *console);

#endif
