/* The proxy's own connection to the agent. */
#include "proxy/agent_link.h"

#include <errno.h>

#include "health_service.pb-c.h"
#include "lib/cleanup.h"
#include "proxy/dial.h"

#define LOG_SUBSYSTEM "session"
#include "lib/log.h"

/* An agent that takes a connection and closes it again isn't asked without pause. */
#define RETRY_TIME (50 * LOOP_MILLISECOND)

static void connect_again(struct loop_timer *timer);

static void connect_later(struct agent_link *link)
{
	loop_timer_set(link->loop, &link->retry, RETRY_TIME, connect_again);
}

static void broken(void *data)
{
	struct agent_link *link = data;
	bool was_ready = link->ready;

	ttrpc_client_free(link->client);
	link->client = NULL;
	link->ready = false;
	connect_later(link);
	if (was_ready)
		link->changed(link);
}

/* Whatever it answers, it is there. */
static void checked(void *data, const struct ttrpc_result *result)
{
	struct agent_link *link = data;

	if (result->code == TTRPC_UNAVAILABLE || link->ready)
		return;
	link->ready = true;
	link->changed(link);
}

static void connect_now(struct agent_link *link)
{
	Grpc__CheckRequest request = GRPC__CHECK_REQUEST__INIT;
	int fd = dial_pair(link->streams, STREAM_AGENT, STREAM_AGENT_PORT);

	if (fd >= 0)
		link->client = ttrpc_client_new(link->loop, fd);
	if (!link->client) {
		log_warning("no connection to the agent: %s", fd < 0 ? strerror(-fd) : "no memory");
		connect_later(link);
		return;
	}
	ttrpc_client_tell_broken(link->client, broken, link);
	if (ttrpc_client_call(link->client, &grpc__health__descriptor, "Check", &request.base, 0, checked, link) < 0) {
		ttrpc_client_free(link->client);
		link->client = NULL;
		connect_later(link);
	}
}

static void connect_again(struct loop_timer *timer)
{
	connect_now(container_of(timer, struct agent_link, retry));
}

void agent_link_init(struct agent_link *link, struct loop *loop, struct streams *streams,
		     void (*changed)(struct agent_link *link))
{
	*link = (struct agent_link){.loop = loop, .streams = streams, .changed = changed};
}

void agent_link_want(struct agent_link *link)
{
	if (link->wanted)
		return;
	link->wanted = true;
	connect_now(link);
}

int agent_link_call(struct agent_link *link, const ProtobufCServiceDescriptor *service, const char *method,
		    const ProtobufCMessage *request, ttrpc_answered answered, void *data)
{
	if (!link->client)
		return -ENOTCONN;
	return ttrpc_client_call(link->client, service, method, request, 0, answered, data);
}

void agent_link_close(struct agent_link *link)
{
	link->wanted = link->ready = false;
	loop_timer_clear(link->loop, &link->retry);
	ttrpc_client_free(link->client);
	link->client = NULL;
}
