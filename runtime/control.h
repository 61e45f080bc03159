/* A monitor's client that wants something done, and no output: for `nacre kill` and its fellows. */
#ifndef NACRE_RUNTIME_CONTROL_H
#define NACRE_RUNTIME_CONTROL_H

#include <stdint.h>

#include "lib/buffer.h"
#include "lib/error.h"
#include "runtime/run_directory.h"

struct control {
	int fd;
	struct buffer received;
	size_t taken;  /* of it, by the frame that was read last */
	bool started;
	bool ended;    /* the container has, or never began: */
	int exit_code; /* with this; or -1 where it never began */
};

#define CONTROL_NEVER UINT32_MAX

/* Connects to the monitor of an opened run directory: the socket, or -errno (ESRCH: it isn't running). */
int control_connect(const struct run_directory *directory, struct error *error);

/* Connects, and says HELLO. 0 or -errno; control_close() in any case. */
int control_open(struct control *control, const struct run_directory *directory, struct error *error);
void control_close(struct control *control);

/* Sends the container's first process a signal, and waits for the answer. 0 or -errno. */
int control_signal(struct control *control, int number, struct error *error);

/* Asks the container to stop: SIGTERM, and SIGKILL after `seconds` (CONTROL_NEVER: never). 0 or -errno. */
int control_stop(struct control *control, uint32_t seconds, struct error *error);

/* Ends the machine, whatever runs in it. 0 or -errno. */
int control_end(struct control *control, struct error *error);

/* Waits at most `milliseconds` (-1: for ever) until the machine is gone. 0 or -errno (ETIMEDOUT). */
int control_await(struct control *control, int milliseconds, struct error *error);

/* Kills the monitor, and with it VMM and proxy. Then control_await() knows when it is gone. */
void control_kill(const struct control *control);

#endif
