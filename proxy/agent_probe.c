/* The question: a call of nacre.Guest that names no process. */
#include "proxy/agent_probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "guest.pb-c.h"
#include "guest_service.pb-c.h"

#define LOG_SUBSYSTEM "agent"
#include "lib/log.h"

/* syscalls: socketpair close */

#define TIME (5 * LOOP_SECOND)

void agent_probe_init(struct agent_probe *probe, struct loop *loop, struct streams *streams,
		      void (*known)(struct agent_probe *probe))
{
	*probe = (struct agent_probe){.loop = loop, .streams = streams, .known = known};
}

static void done(struct loop_timer *timer)
{
	struct agent_probe *probe = container_of(timer, struct agent_probe, done);

	ttrpc_client_free(probe->client);
	probe->client = NULL;
	probe->known(probe);
}

/* Any other answer is one of the method's own. */
static bool is_other(const struct ttrpc_result *result)
{
	switch (result->code) {
	case TTRPC_INVALID_ARGUMENT:
	case TTRPC_NOT_FOUND:
		return strstr(result->message, "service does not exist") || strstr(result->message, "is not supported");
	case TTRPC_UNIMPLEMENTED:
	case TTRPC_UNAVAILABLE:
	case TTRPC_DEADLINE_EXCEEDED:
	case TTRPC_INTERNAL:
		return true;
	default:
		return false;
	}
}

static void answered(void *data, const struct ttrpc_result *result)
{
	struct agent_probe *probe = data;

	if (probe->kind != AGENT_ASKED)
		return;
	probe->kind = is_other(result) ? AGENT_OTHER : AGENT_OURS;
	log_debug("the agent %s nacre.Guest's streams: %s", probe->kind == AGENT_OURS ? "has" : "hasn't", result->message);
	/* The client can't be freed from within this. */
	loop_timer_set(probe->loop, &probe->done, 0, done);
}

static int ask(struct agent_probe *probe)
{
	const Nacre__AttachStreamRequest nothing = NACRE__ATTACH_STREAM_REQUEST__INIT;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	probe->client = ttrpc_client_new(probe->loop, pair[0]);
	if (streams_serve(probe->streams, pair[1], STREAM_AGENT, STREAM_AGENT_PORT) < 0 || !probe->client)
		return -ENOMEM;
	return ttrpc_client_call(probe->client, &nacre__guest__descriptor, "AttachStream", &nothing.base, TIME, answered, probe);
}

enum agent_kind agent_probe_ask(struct agent_probe *probe)
{
	if (probe->kind != AGENT_UNKNOWN)
		return probe->kind;
	probe->kind = AGENT_ASKED;
	if (ask(probe) < 0) {
		probe->kind = AGENT_OTHER;
		loop_timer_set(probe->loop, &probe->done, 0, done);
	}
	return probe->kind;
}

void agent_probe_close(struct agent_probe *probe)
{
	probe->kind = AGENT_OTHER;
	loop_timer_clear(probe->loop, &probe->done);
	ttrpc_client_free(probe->client);
	probe->client = NULL;
}
