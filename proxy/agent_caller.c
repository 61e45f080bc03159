/* The proxy's own connection to the agent. */
#include "proxy/agent_caller.h"

#include <errno.h>

#include "health_service.pb-c.h"
#include "lib/cleanup.h"
#include "proxy/dial.h"

#define LOG_SUBSYSTEM "session"
#include "lib/log.h"

/* An agent that takes a connection and closes it again isn't asked without pause. */
#define RETRY_TIME (50 * LOOP_MILLISECOND)
/* And after a lack of descriptors or memory. */
#define LACK_TIME LOOP_SECOND

static void connect_again(struct loop_timer *timer);

static void connect_later(struct agent_caller *caller, uint64_t delay)
{
	loop_timer_set(caller->loop, &caller->retry, delay, connect_again);
}

static void broken(void *data)
{
	struct agent_caller *caller = data;
	bool was_ready = caller->ready;

	ttrpc_client_free(caller->client);
	caller->client = NULL;
	caller->ready = false;
	if (caller->wanted)
		connect_later(caller, RETRY_TIME);
	if (was_ready)
		caller->changed(caller);
}

/* Whatever it answers, it is there. */
static void checked(void *data, const struct ttrpc_result *result)
{
	struct agent_caller *caller = data;

	(void)result;
	if (ttrpc_client_broken(caller->client) || caller->ready)
		return;
	caller->ready = true;
	caller->changed(caller);
}

static void connect_now(struct agent_caller *caller)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
	int fd = dial_pair(caller->streams, STREAM_AGENT, STREAM_AGENT_PORT);

	if (fd >= 0)
		caller->client = ttrpc_client_new(caller->loop, fd);
	if (!caller->client) {
		log_warning("no connection to the agent: %s", fd < 0 ? strerror(-fd) : "no memory");
		connect_later(caller, LACK_TIME);
		return;
	}
	ttrpc_client_tell_broken(caller->client, broken, caller);
	if (ttrpc_client_call(caller->client, &grpc__health__descriptor, "Check", &request.base, 0, checked, caller) < 0) {
		ttrpc_client_free(caller->client);
		caller->client = NULL;
		connect_later(caller, LACK_TIME);
	}
}

static void connect_again(struct loop_timer *timer)
{
	connect_now(container_of(timer, struct agent_caller, retry));
}

void agent_caller_init(struct agent_caller *caller, struct loop *loop, struct streams *streams,
		     void (*changed)(struct agent_caller *caller))
{
	*caller = (struct agent_caller){.loop = loop, .streams = streams, .changed = changed};
}

void agent_caller_want(struct agent_caller *caller)
{
	if (caller->wanted)
		return;
	caller->wanted = true;
	loop_timer_clear(caller->loop, &caller->retry);
	if (!caller->client)
		connect_now(caller);
}

static void rest(struct loop_timer *timer)
{
	agent_caller_close(container_of(timer, struct agent_caller, retry));
}

void agent_caller_rest(struct agent_caller *caller)
{
	if (!caller->wanted)
		return;
	caller->wanted = false;
	loop_timer_set(caller->loop, &caller->retry, 0, rest);
}

int agent_caller_call(struct agent_caller *caller, const ProtobufCServiceDescriptor *service, const char *method,
		    const ProtobufCMessage *request, ttrpc_answered answered, void *data)
{
	if (!caller->client)
		return -ENOTCONN;
	return ttrpc_client_call(caller->client, service, method, request, 0, answered, data);
}

void agent_caller_close(struct agent_caller *caller)
{
	caller->wanted = caller->ready = false;
	loop_timer_clear(caller->loop, &caller->retry);
	ttrpc_client_free(caller->client);
	caller->client = NULL;
}
