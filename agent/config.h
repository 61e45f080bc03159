/* What the agent is told: kernel command line in a guest, or a configuration file, then environment, then arguments
 * (behaviour.md 1.3). */
#ifndef NACRE_AGENT_CONFIG_H
#define NACRE_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/log.h"

/* What the host's connections come over. */
enum agent_carrier {
	CARRIER_FOUND, /* serial where there is such a port and no vsock device, and vsock else */
	CARRIER_VSOCK,
	CARRIER_SERIAL,
};

struct agent_config {
	bool init;		      /* under a supervisor that is PID 1 of a machine */
	bool guest;		      /* that, or --guest: in a machine of its own with another PID 1 */
	bool debug_console;	      /* a shell for whoever connects to debug_console_port, or without one on the console */
	bool visible_cdi_devices;     /* a container names CDI devices by VISIBLE_CDI_DEVICES, too */
	bool tracing;		      /* asked for, which no build of this agent serves */
	bool mem_agent;		      /* the same */
	char server_address[128];     /* "vsock://-1:1024" or "unix://PATH" */
	uint32_t streams_port;	      /* vsock port of stream connections; 0: the default one */
	uint32_t debug_console_port;  /* vsock port; 0: none */
	uint32_t log_port;	      /* vsock port where the log is read; 0: it goes to stderr */
	uint32_t container_pipe_size; /* bytes of an output pipe; 0: the kernel's default */
	uint64_t hotplug_timeout;     /* nanoseconds that a device may take to appear */
	uint64_t cdi_timeout;	      /* nanoseconds that a CDI specification may take to appear */
	enum log_level log_level;
	enum agent_carrier carrier;
};

/* 0, or -errno: a value that can't be read is an error. Outside of a guest an address must be given: there is no
 * default that would open a vsock socket of the host's. */
int config_load(struct agent_config *config, int argc, char **argv, struct error *error);

/* Takes what a kernel's command line says. 0, or -errno; 1 where it names a configuration file, which then is all that
 * counts, also in the place of the environment. */
int config_read_command_line(struct agent_config *config, const char *text, struct error *error);

/* Takes what a configuration file says. 0, or -errno. */
int config_read_file(struct agent_config *config, const char *path, struct error *error);

#endif
