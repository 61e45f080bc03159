/* What the agent is told: kernel command line in a guest, then environment, then arguments (behaviour.md 1.3). */
#ifndef NACRE_AGENT_CONFIG_H
#define NACRE_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/log.h"

struct agent_config {
	bool init;		      /* under a supervisor that is PID 1 of a machine */
	bool guest;		      /* that, or --guest: in a machine of its own with another PID 1 */
	char server_address[128];     /* "vsock://-1:1024" or "unix://PATH" */
	uint32_t streams_port;	      /* vsock port of stream connections; 0: none */
	uint32_t container_pipe_size; /* bytes of an output pipe; 0: the kernel's default */
	uint64_t hotplug_timeout;     /* nanoseconds that a device may take to appear */
	enum log_level log_level;
};

/* 0, or -errno: a value that can't be read is an error. Outside of a guest an address must be given: there is no
 * default that would open a vsock socket of the host's. */
int config_load(struct agent_config *config, int argc, char **argv, struct error *error);

#endif
