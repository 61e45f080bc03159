/* The calls of nacre.Proxy that are about sessions (proto/proxy.proto). call->server->context is the struct service, whose
 * `sessions` they work on. */
#ifndef NACRE_PROXY_SESSION_CALLS_H
#define NACRE_PROXY_SESSION_CALLS_H

#include "lib/ttrpc_server.h"
#include "proxy/session.h"

void session_calls_open(struct ttrpc_call *call);
void session_calls_close(struct ttrpc_call *call);
void session_calls_list(struct ttrpc_call *call);
void session_calls_attach(struct ttrpc_call *call);
void session_calls_detach(struct ttrpc_call *call);
void session_calls_signal(struct ttrpc_call *call);
void session_calls_resize(struct ttrpc_call *call);
void session_calls_wait_exit(struct ttrpc_call *call);
void session_calls_next_events(struct ttrpc_call *call);

/* A client's connection is gone: what it has attached goes, too. */
void session_calls_disconnected(struct sessions *sessions, const struct ttrpc_connection *connection);

#endif
