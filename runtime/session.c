/* Calls to the agent. */
#include "runtime/session.h"

#include <errno.h>
#include <string.h>

#include "agent_service.pb-c.h"
#include "proxy/client.h"

#define CONNECT_PAUSE (2 * LOOP_MILLISECOND)
#define CONNECT_ATTEMPTS 2500
#define VM_END_MILLISECONDS 1000

static void woken(struct loop_timer *timer)
{
	(void)timer;
}

static bool machine_ended(const struct session *session)
{
	return session->machine && session->machine->ended;
}

/* The proxy makes its sockets when it starts, which is a moment after it was started. */
static int connect_agent(struct session *session, const char *directory, struct error *error)
{
	struct loop_timer pause = {0};
	int fd = -EIO;

	for (int i = 0; i < CONNECT_ATTEMPTS; i++) {
		fd = proxy_connect_agent(directory, error);
		if (fd >= 0 || !session->machine || (error->number != ENOENT && error->number != ECONNREFUSED))
			return fd;
		loop_timer_set(session->loop, &pause, CONNECT_PAUSE, woken);
		while (pause.deadline != 0 && !machine_ended(session) && !*session->cancelled)
			loop_step(session->loop);
		loop_timer_clear(session->loop, &pause);
		if (machine_ended(session))
			return machine_explain_end(session->machine, error);
		if (*session->cancelled)
			return error_set(error, ECANCELED, "interrupted");
	}
	return fd;
}

static void connection_broke(void *data)
{
	((struct session *)data)->broke = true;
}

static int take_connection(struct session *session, int fd)
{
	struct ttrpc_client *client = ttrpc_client_new(session->loop, fd);

	if (!client)
		return -ENOMEM;
	ttrpc_client_free(session->client);
	session->client = client;
	session->broke = false;
	ttrpc_client_tell_broken(client, connection_broke, session);
	return 0;
}

/* A call by a connection that can't be made again says that it is broken. 0 or -errno. */
static int mend(struct session *session)
{
	struct error ignored;
	int fd;

	if (!session->mends || !session->broke)
		return 0;
	fd = proxy_connect_agent(session->directory, &ignored);
	return fd < 0 ? 0 : take_connection(session, fd);
}

int session_open(struct session *session, struct loop *loop, const char *directory, const struct machine *machine,
		 const bool *cancelled, struct error *error)
{
	int fd;

	*session = (struct session){.loop = loop, .machine = machine, .cancelled = cancelled, .directory = directory};
	fd = connect_agent(session, directory, error);
	if (fd < 0)
		return fd;
	return take_connection(session, fd) < 0 ? error_errno(error, ENOMEM, "connect to the agent") : 0;
}

static void call_answered(void *data, const struct ttrpc_result *result)
{
	struct session *session = data;

	session->answered = true;
	session->code = result->code;
	if (result->code != TTRPC_OK)
		error_set(&session->error, EREMOTEIO, "%s", result->message);
}

/* A broken connection is most often the VM's end, which is about to be noticed. */
static int explain(const struct session *session, const char *method, struct error *error)
{
	if (session->machine && !session->machine->ended && session->code == TTRPC_UNAVAILABLE &&
	    child_ended(&session->machine->proxy, VM_END_MILLISECONDS))
		loop_step(session->loop);
	if (machine_ended(session))
		return machine_explain_end(session->machine, error);
	if (session->code == TTRPC_DEADLINE_EXCEEDED)
		return error_set(error, ETIMEDOUT, "%s: no answer from the agent", method);
	*error = session->error;
	return -error->number;
}

int session_call_service(struct session *session, const ProtobufCServiceDescriptor *service, const char *method,
			 const ProtobufCMessage *request, uint64_t timeout, struct error *error)
{
	int status = mend(session);

	session->answered = false;
	if (status == 0)
		status = ttrpc_client_call(session->client, service, method, request, timeout, call_answered, session);
	if (status < 0)
		return error_errno(error, -status, "call %s", method);
	while (!session->answered && !machine_ended(session) && !*session->cancelled)
		if (loop_step(session->loop) < 0)
			break;
	if (session->answered && session->code == TTRPC_OK)
		return 0;
	if (!session->answered && !machine_ended(session))
		return error_set(error, ECANCELED, "interrupted");
	return explain(session, method, error);
}

int session_call(struct session *session, const char *method, const ProtobufCMessage *request, uint64_t timeout,
		 struct error *error)
{
	return session_call_service(session, &grpc__agent_service__descriptor, method, request, timeout, error);
}

static void ignore(void *data, const struct ttrpc_result *result)
{
	(void)data;
	(void)result;
}

int session_start(struct session *session, const char *method, const ProtobufCMessage *request,
		  ttrpc_answered answered, void *data)
{
	int status = mend(session);

	return status < 0 ? status
			  : ttrpc_client_call(session->client, &grpc__agent_service__descriptor, method, request, 0,
					      answered ? answered : ignore, data);
}

void session_close(struct session *session)
{
	session->mends = false;
	ttrpc_client_free(session->client);
	session->client = NULL;
}
