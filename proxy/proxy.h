/* One VM's worker: everything that parses what the guest says, and what is connected to it. It has from the keeper
 * (keeper.h) what it begins with, and nothing in it is needed by the worker that follows, but what it leaves in shared memory.
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
#include "proxy/ring.h"
#include "proxy/service.h"
#include "proxy/session.h"
#include "proxy/shared.h"
#include "proxy/sockets.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

/* What a worker gets. */
struct estate {
	const struct options *options;
	const struct sockets *sockets;
	struct shared *shared;
	int lock; /* held by being open */
	struct ring_store *rings; /* what sessions have */
	struct worker_ends ends;
};

struct proxy {
	const struct estate *estate;
	const struct options *options;
	struct loop loop;
	struct listener agent_listener, port_listener, service_listener;
	struct forwards forwards;
	struct carrier *carrier;
	struct guest_ports guest_ports;
	struct vsock_engine engine;
	struct streams streams;
	struct agent_links agent_links;
	struct guest_log guest_log;
	struct sessions sessions;
	struct service service;
	struct loop_source control; /* what the keeper says */
	struct loop_timer last_words;
	bool finishing;
};

/* A worker's life, in its process: until the keeper ends it, or has ended. The exit status. */
int proxy_work(const struct estate *estate);

#endif
