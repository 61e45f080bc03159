/* Calls of nacre.Proxy. */
#include "runtime/proxy_session.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"
#include "proxy/client.h"
#include "proxy_service.pb-c.h"

#define ANSWER_TIMEOUT (60 * LOOP_SECOND)

static const char *const stream_names[PROXY_SESSION_STREAMS] = {"stdin", "stdout", "stderr"};

static char *exec_of(const struct proxy_session *session)
{
	return (char *)(session->exec ? session->exec : "");
}

/* The answer is the caller's; NULL, and `error` says why. */
static ProtobufCMessage *invoke(struct proxy_session *session, const char *method, const ProtobufCMessage *request,
				struct error *error)
{
	ProtobufCMessage *response = NULL;

	if (ttrpc_client_invoke(session->client, &nacre__proxy__descriptor, method, request, ANSWER_TIMEOUT, &response, NULL,
				error) < 0)
		return NULL;
	return response;
}

static int make(struct proxy_session *session, bool terminal, struct error *error)
{
	Nacre__OpenSessionRequest request = NACRE__OPEN_SESSION_REQUEST__INIT;
	ProtobufCMessage *response;

	request.container_id = session->target->container;
	request.exec_id = exec_of(session);
	request.terminal = terminal;
	response = invoke(session, "OpenSession", &request.base, error);
	if (!response)
		return error_wrap(error, "%s", session->target->container);
	protobuf_c_message_free_unpacked(response, NULL);
	return 0;
}

static void take(struct proxy_session *session, const Nacre__Session *found)
{
	session->terminal = found->terminal;
	for (size_t i = 0; i < found->n_streams; i++) {
		const Nacre__SessionStream *stream = found->streams[i];

		if (stream->stream >= PROXY_SESSION_STREAMS)
			continue;
		session->bytes[stream->stream] = stream->bytes;
		session->dropped[stream->stream] = stream->dropped;
	}
}

int proxy_session_look(struct proxy_session *session, struct error *error)
{
	Google__Protobuf__Empty nothing = GOOGLE__PROTOBUF__EMPTY__INIT;
	ProtobufCMessage *response = invoke(session, "ListSessions", &nothing.base, error);
	const Nacre__ListSessionsResponse *list = (const void *)response;
	int status = -ENOENT;

	if (!response)
		return -error->number;
	for (size_t i = 0; i < list->n_sessions && status < 0; i++) {
		if (strcmp(list->sessions[i]->container_id, session->target->container) != 0 ||
		    strcmp(list->sessions[i]->exec_id, exec_of(session)) != 0)
			continue;
		take(session, list->sessions[i]);
		status = 0;
	}
	protobuf_c_message_free_unpacked(response, NULL);
	return status < 0 ? error_set(error, ENOENT, "the session of %s is closed", session->target->container) : 0;
}

int proxy_session_open(struct proxy_session *session, struct loop *loop, const struct target *target, const char *exec,
		       bool terminal, struct error *error)
{
	int fd, status;

	*session = (struct proxy_session){.target = target, .exec = exec};
	fd = proxy_connect_service(target->directory, error);
	if (fd < 0)
		return fd;
	session->client = ttrpc_client_new(loop, fd);
	if (!session->client)
		return error_errno(error, ENOMEM, "connect to the proxy");
	status = make(session, terminal, error);
	return status < 0 ? status : proxy_session_look(session, error);
}

int proxy_session_attach(const struct proxy_session *session, unsigned stream, const char *options, uint64_t *offset,
			 struct error *error)
{
	const struct proxy_stream wanted = {
		.container = session->target->container,
		.exec = session->exec,
		.stream = stream_names[stream],
		.options = options,
	};
	struct proxy_attached attached;
	int fd = proxy_attach_stream(session->target->directory, &wanted, &attached, error);

	if (fd >= 0 && offset)
		*offset = attached.offset;
	return fd;
}

static void ignore(void *data, const struct ttrpc_result *result)
{
	(void)data;
	(void)result;
}

static int call(struct proxy_session *session, const char *method, const ProtobufCMessage *request,
		ttrpc_answered answered, void *data)
{
	return ttrpc_client_call(session->client, &nacre__proxy__descriptor, method, request, 0,
				 answered ? answered : ignore, data);
}

int proxy_session_wait(struct proxy_session *session, ttrpc_answered answered, void *data)
{
	Nacre__SessionRequest request = NACRE__SESSION_REQUEST__INIT;

	request.container_id = session->target->container;
	request.exec_id = exec_of(session);
	return call(session, "WaitExit", &request.base, answered, data);
}

int proxy_session_signal(struct proxy_session *session, int number, ttrpc_answered answered, void *data)
{
	Nacre__SignalRequest request = NACRE__SIGNAL_REQUEST__INIT;

	request.container_id = session->target->container;
	request.exec_id = exec_of(session);
	request.signal = (uint32_t)number;
	return call(session, "Signal", &request.base, answered, data);
}

int proxy_session_resize(struct proxy_session *session, unsigned rows, unsigned columns)
{
	Nacre__ResizeRequest request = NACRE__RESIZE_REQUEST__INIT;

	request.container_id = session->target->container;
	request.exec_id = exec_of(session);
	request.rows = rows;
	request.columns = columns;
	return call(session, "Resize", &request.base, NULL, NULL);
}

void proxy_session_close(struct proxy_session *session)
{
	ttrpc_client_free(session->client);
	session->client = NULL;
}
