/* One VM's proxy: everything that it consists of, in two parts.
 *
 * `keeper` is what must survive, and what would have to be handed to a process which takes over from this one: what the
 * host's clients are connected to, and the VMM (of the carrier: its listener, and what the VMM has said). Nothing in it is
 * derived from the contents of a ring. Everything else belongs to the work, and could be built again.
 */
#ifndef NACRE_PROXY_PROXY_H
#define NACRE_PROXY_PROXY_H

#include "proxy/agent_link.h"
#include "proxy/carrier.h"
#include "proxy/forward.h"
#include "proxy/guest_log.h"
#include "proxy/guest_ports.h"
#include "proxy/listener.h"
#include "proxy/options.h"
#include "proxy/service.h"
#include "proxy/stream.h"
#include "proxy/vmm.h"

struct keeper {
	struct listener agent_listener, port_listener, service_listener;
	struct forwards forwards;
	struct vmm vmm;
	int pid_file; /* locked as long as this process runs */
};

struct proxy {
	const struct options *options;
	struct loop loop;
	struct keeper keeper;
	struct carrier *carrier;
	struct guest_ports guest_ports;
	struct vsock_engine engine;
	struct streams streams;
	struct agent_links agent_links;
	struct guest_log guest_log;
	struct service service;
	struct loop_source signals;
	struct loop_timer last_words;
	bool vmm_due; /* all else is there: where proxy_open() fails now, it is the VMM that can't be run */
	bool finishing;
	int status; /* of the process */
};

/* Opens the sockets, and starts the VMM where the options have one. 0, or -errno with `error` filled; proxy_close() is
 * due in both cases. */
int proxy_open(struct proxy *proxy, const struct options *options, struct error *error);

/* Serves until the VM has ended. The exit status for the process. */
int proxy_run(struct proxy *proxy);

/* Kills the VMM where it still runs, and removes what proxy_open() has made in the run directory. */
void proxy_close(struct proxy *proxy);

#endif
