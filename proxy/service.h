/* The proxy's own service, on proxy.sock: ttrpc, nacre.Proxy of proto/proxy.proto. It tells what the proxy knows: whether
 * the guest's agent takes connections yet, which connections there are, and the sessions of processes (proxy/session.h).
 */
#ifndef NACRE_PROXY_SERVICE_H
#define NACRE_PROXY_SERVICE_H

#include "lib/list.h"
#include "lib/ttrpc_server.h"
#include "proxy/stream.h"

struct sessions;

struct service {
	struct ttrpc_server server;
	struct streams *streams;
	struct sessions *sessions;
	struct list waiting;   /* the WaitReady calls */
	struct list newcomers; /* who hasn't said yet what he speaks (attach_line.h) */
	int probe;		    /* our end of the connection by which WaitReady finds out, -1 */
	bool ready;
};

/* `streams` and `sessions` are what is told about; they must outlive the service. */
void service_init(struct service *service, struct loop *loop, struct streams *streams, struct sessions *sessions);

/* Serves a client of ttrpc; the fd is taken in any case. */
void service_serve(struct service *service, int fd);

/* The agent has accepted a connection: answers those who wait for that. */
void service_set_ready(struct service *service);

/* Fails what waits (UNAVAILABLE), and closes every client's connection; what they have attached stays. Harmless the second time. */
void service_close(struct service *service);

#endif
