/* nacre.Proxy: the calls of proxy.sock. */
#include "proxy/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/ttrpc_passing.h"
#include "proxy/attach_line.h"
#include "proxy/dial.h"
#include "proxy/session_calls.h"
#include "proxy_service.pb-c.h"

/* syscalls: close */

/* ---- WaitReady ----------------------------------------------------------------------------------------------- */

/* A connection as by a client of agent.sock, which is tried until the agent accepts it. Nothing is said over it. */
static int start_probe(struct service *service)
{
	if (service->probe < 0)
		service->probe = dial_pair(service->streams, STREAM_AGENT, STREAM_AGENT_PORT);
	return service->probe < 0 ? service->probe : 0;
}

static void wait_ready(struct ttrpc_call *call)
{
	struct service *service = call->server->context;
	int status = service->ready ? 0 : start_probe(service);

	if (status < 0) {
		service->probe = -1;
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "ask the guest: %s", strerror(-status));
	} else if (service->ready) {
		ttrpc_call_reply(call, NULL);
	} else {
		waiting_add(&service->waiting, call);
	}
}

void service_set_ready(struct service *service)
{
	struct ttrpc_call *call;

	service->ready = true;
	fd_close(&service->probe);
	while ((call = waiting_take(&service->waiting)))
		ttrpc_call_reply(call, NULL);
}

/* ---- ListConnections ----------------------------------------------------------------------------------------- */

static const Nacre__Connection__Origin origins[] = {
	[STREAM_AGENT] = NACRE__CONNECTION__ORIGIN__AGENT,
	[STREAM_PORT] = NACRE__CONNECTION__ORIGIN__PORT,
	[STREAM_FORWARD] = NACRE__CONNECTION__ORIGIN__FORWARD,
	[STREAM_GUEST] = NACRE__CONNECTION__ORIGIN__GUEST,
};

static const Nacre__Connection__State states[] = {
	[STREAM_HANDSHAKE] = NACRE__CONNECTION__STATE__WAITING,
	[STREAM_WAITING] = NACRE__CONNECTION__STATE__WAITING,
	[STREAM_CONNECTING] = NACRE__CONNECTION__STATE__WAITING,
	[STREAM_OPEN] = NACRE__CONNECTION__STATE__OPEN,
	[STREAM_DRAINING] = NACRE__CONNECTION__STATE__DRAINING,
};

static void describe(Nacre__Connection *message, const struct stream *stream)
{
	const struct vsock_connection *connection = &stream->socket.connection;

	nacre__connection__init(message);
	message->origin = origins[stream->origin];
	message->state = states[stream_state(stream)];
	message->host_port = connection->known_port;
	message->guest_port = stream->origin == STREAM_GUEST ? connection->peer_port : stream->port;
	message->to_guest = connection->sent;
	message->from_guest = connection->received;
	message->backlog = (uint32_t)buffer_length(&stream->socket.backlog);
	message->credit = stream_state(stream) == STREAM_OPEN ? vsock_connection_credit(connection) : 0;
	message->stalls = connection->stalls;
}

static void list_connections(struct ttrpc_call *call)
{
	Nacre__ListConnectionsResponse response = NACRE__LIST_CONNECTIONS_RESPONSE__INIT;
	struct service *service = call->server->context;
	struct list *all = &service->streams->all;
	size_t count = service->streams->from_host + service->streams->from_guest;
	cleanup_free Nacre__Connection *messages = calloc(count + 1, sizeof(*messages));
	cleanup_free Nacre__Connection **pointers = calloc(count + 1, sizeof(*pointers));

	if (!messages || !pointers) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory for %zu connections", count);
		return;
	}
	response.connections = pointers;
	for (struct list *link = all->next; link != all; link = link->next) {
		pointers[response.n_connections] = &messages[response.n_connections];
		describe(&messages[response.n_connections++], container_of(link, struct stream, link));
	}
	ttrpc_call_reply(call, &response.base);
}

/* ---- The server ---------------------------------------------------------------------------------------------- */

static const struct ttrpc_method methods[] = {
	{"WaitReady", wait_ready},
	{"ListConnections", list_connections},
	{"OpenSession", session_calls_open},
	{"CloseSession", session_calls_close},
	{"ListSessions", session_calls_list},
	{"Attach", session_calls_attach},
	{"Detach", session_calls_detach},
	{"Signal", session_calls_signal},
	{"Resize", session_calls_resize},
	{"WaitExit", session_calls_wait_exit},
	{"NextEvents", session_calls_next_events},
	{NULL, NULL},
};

static const struct ttrpc_service proxy_service = {.descriptor = &nacre__proxy__descriptor, .methods = methods};
static const struct ttrpc_service *const services[] = {&proxy_service, NULL};

static void disconnected(struct ttrpc_server *server, const struct ttrpc_connection *connection)
{
	session_calls_disconnected(((struct service *)server->context)->sessions, connection);
}

void service_init(struct service *service, struct loop *loop, struct streams *streams, struct sessions *sessions)
{
	*service = (struct service){.streams = streams, .sessions = sessions, .probe = -1};
	list_init(&service->waiting);
	list_init(&service->newcomers);
	ttrpc_server_init(&service->server, loop, services, service);
	service->server.receiver = &ttrpc_passing;
	service->server.disconnected = disconnected;
}

void service_serve(struct service *service, int fd)
{
	ttrpc_server_serve(&service->server, fd);
}

void service_close(struct service *service)
{
	waiting_fail(&service->waiting, TTRPC_UNAVAILABLE, "the VM has ended");
	fd_close(&service->probe);
	attach_line_close(service);
	service->server.disconnected = NULL;
	ttrpc_server_destroy(&service->server);
}
