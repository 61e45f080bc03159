/* The process behind each container: it makes the container's process, whose parent it is, and stays until the container is
 * deleted. Its mount namespace is its own, so that what is mounted for the container goes with it.
 *
 * The commands ask it over ROOT/ID/socket, one request a connection; nothing but the words below is understood.
 */
#ifndef NACRE_BOX_MONITOR_H
#define NACRE_BOX_MONITOR_H

#include <stddef.h>

#include "box/state.h"
#include "lib/error.h"

/* Of a creation. */
struct monitor_options {
	const char *pid_file; /* absolute; or NULL */
	unsigned preserved_fds; /* of the caller's, from 3, for the container's process */
	int console;	      /* a connected socket, over which the terminal's master goes; -1 */
};

/* Makes the monitor of the container in `state` (id, folder, bundle), whose folder is there, with a copy of config.json. Returns
 * once the container is created, or isn't: then nothing is left but the folder. 0; or -errno with *failure_status being 125, 126
 * or 127, as of the command. */
int monitor_start(struct state *state, const struct monitor_options *options, int *failure_status, struct error *error);

enum monitor_request {
	MONITOR_START = 's',  /* answered when the command is executed, and poststart hooks have run */
	MONITOR_PAUSE = 'p',
	MONITOR_RESUME = 'r',
	MONITOR_WAIT = 'w',   /* answered when the process has ended: its exit status is the answer */
	MONITOR_QUIT = 'q',   /* ends the monitor, which must be of a container that has stopped */
};

/* Asks. The answer, not negative; or -errno with the monitor's own words. *failure_status (may be NULL) as above. */
int monitor_ask(const struct state *state, enum monitor_request request, int *failure_status, struct error *error);

#endif
