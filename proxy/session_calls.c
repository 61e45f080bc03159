/* Sessions, as clients of proxy.sock ask for them. */
#include "proxy/session_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/ttrpc_passing.h"
#include "proxy/attachment.h"
#include "proxy/service.h"
#include "proxy_service.pb-c.h"

static struct sessions *sessions_of(const struct ttrpc_call *call)
{
	return ((const struct service *)call->server->context)->sessions;
}

static enum ttrpc_code code_of(const struct error *error)
{
	switch (error->number) {
	case EINVAL:
		return TTRPC_INVALID_ARGUMENT;
	case EPIPE:
		return TTRPC_FAILED_PRECONDITION;
	case ENOSPC:
	case EMFILE:
	case ENOMEM:
		return TTRPC_RESOURCE_EXHAUSTED;
	default:
		return TTRPC_UNAVAILABLE;
	}
}

/* NULL: the call has been failed. */
static struct session *find(struct ttrpc_call *call, const char *container_id, const char *exec_id)
{
	struct session *session = sessions_find(sessions_of(call), container_id, exec_id);

	if (session && session->record->opened)
		return session;
	ttrpc_call_fail(call, TTRPC_NOT_FOUND, "there is no session of this process");
	return NULL;
}

/* ---- Opening and closing ------------------------------------------------------------------------------------- */

void session_calls_open(struct ttrpc_call *call)
{
	const Nacre__OpenSessionRequest *request = (const void *)call->request;
	struct sessions *sessions = sessions_of(call);
	struct session *session = sessions_find(sessions, request->container_id, request->exec_id);
	struct error error = {0};

	if (*request->container_id == '\0' || strlen(request->container_id) >= RING_ID_SIZE ||
	    strlen(request->exec_id) >= RING_ID_SIZE) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "an id has 1 to %d bytes, an exec id may be empty",
				RING_ID_SIZE - 1);
		return;
	}
	if (!session)
		session = session_new(sessions, request->container_id, request->exec_id, request->terminal, request->ports,
				      &error);
	if (!session) {
		ttrpc_call_fail(call, code_of(&error), "%s", error.text);
		return;
	}
	session->record->keep |= request->keep;
	if (!session->record->opened) {
		waiting_add(&session->openers, call);
		return;
	}
	if (!request->ports)
		session_begin(session);
	session_answer_open(session, call);
}

void session_calls_close(struct ttrpc_call *call)
{
	const Nacre__SessionRequest *request = (const void *)call->request;
	struct session *session = find(call, request->container_id, request->exec_id);

	if (!session)
		return;
	session_forget(session);
	ttrpc_call_reply(call, NULL);
}

/* ---- ListSessions -------------------------------------------------------------------------------------------- */

struct description {
	Nacre__Session message;
	Nacre__WaitExitResponse exit;
	Nacre__SessionStream streams[RING_STREAMS];
	Nacre__SessionStream *pointers[RING_STREAMS];
};

static void describe_stream(Nacre__SessionStream *message, struct session_stream *stream)
{
	const struct ring_state *state = stream->ring.state;
	bool input = stream->number == SESSION_STDIN;

	nacre__session_stream__init(message);
	message->stream = stream->number;
	message->bytes = input ? state->begin : state->end;
	message->kept = state->end - state->begin;
	message->dropped = state->dropped;
	message->stalls = stream->stalls;
	message->attached = (uint32_t)list_length(&stream->attachments);
	message->ended = state->ended;
	message->credit = session_stream_credit(stream);
}

static void describe(struct description *description, struct session *session)
{
	struct ring_record *record = session->record;
	Nacre__Session *message = &description->message;

	nacre__session__init(message);
	message->container_id = record->container_id;
	message->exec_id = record->exec_id;
	message->way = session->way->number;
	message->terminal = record->terminal;
	message->streams = description->pointers;
	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		if (i == SESSION_STDERR && record->terminal)
			continue;
		describe_stream(&description->streams[i], &session->streams[i]);
		description->pointers[message->n_streams++] = &description->streams[i];
	}
	if (!session->record->exit_told)
		return;
	nacre__wait_exit_response__init(&description->exit);
	description->exit.status = record->status;
	description->exit.time = record->exit_time;
	description->exit.output_cut = record->output_cut;
	message->exit = &description->exit;
}

void session_calls_list(struct ttrpc_call *call)
{
	Nacre__ListSessionsResponse response = NACRE__LIST_SESSIONS_RESPONSE__INIT;
	struct list *all = &sessions_of(call)->all;
	size_t count = list_length(all);
	cleanup_free struct description *descriptions = calloc(count + 1, sizeof(*descriptions));
	cleanup_free Nacre__Session **pointers = calloc(count + 1, sizeof(*pointers));

	if (!descriptions || !pointers) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "no memory for %zu sessions", count);
		return;
	}
	response.sessions = pointers;
	for (struct list *link = all->next; link != all; link = link->next) {
		struct session *session = container_of(link, struct session, link);
		struct description *description = &descriptions[response.n_sessions];

		if (!session->record->opened)
			continue;
		describe(description, session);
		pointers[response.n_sessions++] = &description->message;
	}
	ttrpc_call_reply(call, &response.base);
}

/* ---- Attachments --------------------------------------------------------------------------------------------- */

void session_calls_attach(struct ttrpc_call *call)
{
	const Nacre__AttachRequest *request = (const void *)call->request;
	Nacre__AttachResponse response = NACRE__ATTACH_RESPONSE__INIT;
	struct attachment_options options = {.from = request->from,
					     .offset = request->offset,
					     .lossy = request->lossy,
					     .keep_open = request->keep_open,
					     .owner = call->connection};
	struct session *session = find(call, request->container_id, request->exec_id);
	struct attachment *attachment;
	struct error error = {0};
	int fd;

	if (!session)
		return;
	if (request->stream >= RING_STREAMS || (request->stream == SESSION_STDERR && session->record->terminal)) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "the process has no stream %u", request->stream);
		return;
	}
	fd = ttrpc_passing_take(call);
	if (fd < 0) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "one descriptor is to come with the request's first byte, and there %s",
				fd == -ENOENT ? "is none" : "are others");
		return;
	}
	attachment = attachment_new(&session->streams[request->stream], fd, &options, &response.dropped, &error);
	if (!attachment) {
		ttrpc_call_fail(call, code_of(&error), "%s", error.text);
		return;
	}
	response.attachment = attachment->id;
	response.offset = attachment->offset;
	ttrpc_call_reply(call, &response.base);
}

/* Its owner's: a number from before a worker's end may be somebody else's now. */
static bool by_id(const struct attachment *attachment, const void *data)
{
	const struct ttrpc_call *call = data;

	return attachment->owner == call->connection &&
	       attachment->id == ((const Nacre__DetachRequest *)call->request)->attachment;
}

static bool by_owner(const struct attachment *attachment, const void *data)
{
	return attachment->owner == data;
}

static struct attachment *find_attachment(const struct sessions *sessions,
					  bool (*matches)(const struct attachment *attachment, const void *data), const void *data)
{
	for (const struct list *link = sessions->all.next; link != &sessions->all; link = link->next) {
		const struct session *session = container_of(link, struct session, link);

		for (unsigned int i = 0; i < RING_STREAMS; i++) {
			const struct list *all = &session->streams[i].attachments;

			for (struct list *next = all->next; next != all; next = next->next)
				if (matches(container_of(next, struct attachment, link), data))
					return container_of(next, struct attachment, link);
		}
	}
	return NULL;
}

void session_calls_detach(struct ttrpc_call *call)
{
	const Nacre__DetachRequest *request = (const void *)call->request;
	Nacre__DetachResponse response = NACRE__DETACH_RESPONSE__INIT;
	struct attachment *attachment = find_attachment(sessions_of(call), by_id, call);

	if (!attachment) {
		ttrpc_call_fail(call, TTRPC_NOT_FOUND, "there is no attachment %llu",
				(unsigned long long)request->attachment);
		return;
	}
	response.offset = attachment->offset;
	response.dropped = attachment->missed;
	attachment_free(attachment);
	ttrpc_call_reply(call, &response.base);
}

void session_calls_disconnected(struct sessions *sessions, const struct ttrpc_connection *connection)
{
	struct attachment *attachment;

	while ((attachment = find_attachment(sessions, by_owner, connection)))
		attachment_free(attachment);
}

/* ---- The others ---------------------------------------------------------------------------------------------- */

void session_calls_signal(struct ttrpc_call *call)
{
	const Nacre__SignalRequest *request = (const void *)call->request;
	struct session *session = find(call, request->container_id, request->exec_id);

	if (session)
		session_signal(session, call);
}

void session_calls_resize(struct ttrpc_call *call)
{
	const Nacre__ResizeRequest *request = (const void *)call->request;
	struct session *session = find(call, request->container_id, request->exec_id);

	if (session)
		session_resize(session, call);
}

void session_calls_wait_exit(struct ttrpc_call *call)
{
	const Nacre__SessionRequest *request = (const void *)call->request;
	struct session *session = find(call, request->container_id, request->exec_id);

	if (session)
		session_wait_exit(session, call);
}

void session_calls_next_events(struct ttrpc_call *call)
{
	struct sessions *sessions = sessions_of(call);

	/* Whether the agent is there is one of them. */
	agent_caller_want(&sessions->caller);
	events_answer(&sessions->events, call);
}
