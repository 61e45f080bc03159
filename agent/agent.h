/* The agent: the process which serves the Kata agent protocol, started and kept by the supervisor (init/).
 *
 * One thread around one event loop; see docs/design.md, "The agent". Where things are:
 *   config, listener, supervisor   what it is told, what it listens on, whom it reports to
 *   serial                         listening where there is no vsock
 *   rpc*                           the services: check a request, hand it on, answer
 *   sandbox, container, process    the state: a sandbox has containers, a container has processes
 *   stream, attached_stream, stream_ports   stdin, stdout, stderr
 *   log_port, debug_console        for whoever looks at it from the host
 *   job                            what may block, in a child
 *   container/, storage/           how they are really made; neither knows of RPC
 */
#ifndef NACRE_AGENT_AGENT_H
#define NACRE_AGENT_AGENT_H

#include "agent/config.h"
#include "agent/debug_console.h"
#include "agent/listener.h"
#include "agent/log_port.h"
#include "agent/sandbox.h"
#include "agent/serial.h"
#include "agent/stream_ports.h"
#include "agent/supervisor.h"
#include "lib/loop.h"
#include "lib/ttrpc_server.h"

struct agent {
	struct loop loop;
	struct agent_config config;
	struct supervisor supervisor;
	struct listener calls;	 /* ttrpc */
	struct listener streams; /* one connection a stream */
	struct listener log_listener, console_listener;
	struct serial *serial; /* NULL where they are sockets */
	struct log_port log_port;
	struct debug_console debug_console;
	struct stream_ports stream_ports;
	struct ttrpc_server server;
	struct sandbox sandbox;
	struct loop_timer power_off; /* after DestroySandbox */
	uint64_t scrapes;	     /* answers of GetMetrics */
};

/* The agent's role. Returns the exit status: it ends only after a fault, or when the supervisor goes. */
int agent_main(int argc, char **argv);

/* Has the supervisor end the machine, once the clients have their answers and are gone. */
void agent_power_off(struct agent *agent);

#endif
