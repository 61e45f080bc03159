/* Sessions: what all ways have in common. */
#include "proxy/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "proxy/agent_methods.h"
#include "proxy/attachment.h"

#define LOG_SUBSYSTEM "session"
#include "lib/log.h"

/* How long output may be held open by somebody else after the process's end. */
#define GRACE_TIME (2 * LOOP_SECOND)

/* An offset of this size is no honest one, and what is added to smaller ones doesn't overflow. */
#define OFFSET_MAX (UINT64_C(1) << 62)

static struct loop *loop_of(const struct session *session)
{
	return session->sessions->loop;
}

static void add_event(const struct session *session, Nacre__Event__Type type, int64_t number)
{
	events_add(&session->sessions->events, type, session->record->container_id, session->record->exec_id, number);
}

static bool output_ended(const struct session *session)
{
	return session_stream_ended(&session->streams[SESSION_STDOUT]) &&
	       session_stream_ended(&session->streams[SESSION_STDERR]);
}

/* ---- Calls to the agent -------------------------------------------------------------------------------------- */

struct agent_call {
	struct list link;
	struct session *session; /* NULL: it has gone */
	unsigned int number;
	session_answered answered;
	struct list client; /* whose call it is, if it is one's and he is still there */
};

/* Nobody has anything to ask of the agent when all processes have ended, and their output, which else may have to be attached
 * again, and all has been answered; unless somebody asks whether it is there. */
static void let_caller_rest(struct sessions *sessions)
{
	for (const struct list *link = sessions->all.next; link != &sessions->all; link = link->next) {
		const struct session *session = container_of(link, struct session, link);

		if (!session->record->exit_told || !output_ended(session) || !list_empty(&session->calls))
			return;
	}
	if (list_empty(&sessions->events.waiting))
		agent_caller_rest(&sessions->caller);
}

static void call_answered(void *data, const struct ttrpc_result *result)
{
	struct agent_call *call = data;
	struct sessions *sessions = call->session ? call->session->sessions : NULL;
	struct ttrpc_call *client = waiting_take(&call->client);

	list_remove(&call->link);
	if (client && result->code == TTRPC_OK)
		ttrpc_call_reply(client, NULL);
	else if (client)
		ttrpc_call_fail(client, result->code, "%s", result->message);
	if (call->session)
		call->answered(call->session, call->number, result);
	free(call);
	if (sessions)
		let_caller_rest(sessions);
}

/* The call of a client that waits for the answer to this is taken in any case; NULL for none. */
static int call_for(struct session *session, const ProtobufCServiceDescriptor *service, const char *method,
		    const ProtobufCMessage *request, unsigned int number, session_answered answered, struct ttrpc_call *client)
{
	struct agent_call *call = calloc(1, sizeof(*call));
	int status = -ENOMEM;

	if (call) {
		*call = (struct agent_call){.session = session, .number = number, .answered = answered};
		list_init(&call->link);
		list_init(&call->client);
		if (!session->sessions->finishing)
			agent_caller_want(&session->sessions->caller);
		status = agent_caller_call(&session->sessions->caller, service, method, request, call_answered, call);
	}
	if (status < 0) {
		free(call);
		if (client)
			ttrpc_call_fail(client, TTRPC_UNAVAILABLE, "%s: the agent can't be asked: %s", method,
					strerror(-status));
		return status;
	}
	list_append(&session->calls, &call->link);
	if (client)
		waiting_add(&call->client, client);
	return 0;
}

int session_call_agent(struct session *session, const ProtobufCServiceDescriptor *service, const char *method,
		 const ProtobufCMessage *request, unsigned int number, session_answered answered)
{
	return call_for(session, service, method, request, number, answered, NULL);
}

static void abandon_calls(struct session *session)
{
	struct list *link;

	while ((link = list_take(&session->calls))) {
		struct agent_call *call = container_of(link, struct agent_call, link);

		call->session = NULL;
		waiting_fail(&call->client, TTRPC_UNAVAILABLE, "the session has been closed");
	}
}

/* ---- The end of the process ---------------------------------------------------------------------------------- */

static void answer_exit(const struct session *session, struct ttrpc_call *call)
{
	Nacre__WaitExitResponse response = NACRE__WAIT_EXIT_RESPONSE__INIT;

	response.status = session->record->status;
	response.time = session->record->exit_time;
	response.output_cut = session->record->output_cut;
	ttrpc_call_reply(call, &response.base);
}

static void tell_exit(struct session *session)
{
	struct ttrpc_call *call;

	loop_timer_clear(loop_of(session), &session->grace_timer);
	session->record->exit_told = true;
	session->record->output_cut = !output_ended(session);
	add_event(session, NACRE__EVENT__TYPE__EXIT, session->record->status);
	while ((call = waiting_take(&session->exit_waiters)))
		answer_exit(session, call);
	let_caller_rest(session->sessions);
}

static void grace_expired(struct loop_timer *timer)
{
	tell_exit(container_of(timer, struct session, grace_timer));
}

static void exit_came(struct session *session)
{
	session_stream_end(&session->streams[SESSION_STDIN]);
	if (session->record->exit_told)
		return;
	if (output_ended(session))
		tell_exit(session);
	else
		loop_timer_set(loop_of(session), &session->grace_timer, GRACE_TIME, grace_expired);
}

static void exit_answered(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	struct ring_record *record = session->record;
	struct ttrpc_call *call;

	(void)number;
	session->asked_exit = false;
	/* Where the connection was cut it is asked for again when there is another one. */
	if (result->code == TTRPC_UNAVAILABLE)
		return;
	if (result->code != TTRPC_OK) {
		log_debug("%s/%s: no exit status: %s", record->container_id, record->exec_id, result->message);
		while ((call = waiting_take(&session->exit_waiters)))
			ttrpc_call_fail(call, result->code, "%s", result->message);
		return;
	}
	record->status = ((const Grpc__WaitProcessResponse *)result->response)->status & 0xff;
	record->exit_time = events_time();
	record->exited = true;
	exit_came(session);
}

/* An agent that isn't ours forgets what hasn't been read of a process whose exit it has told: by calls it comes last. */
static bool exit_due(const struct session *session)
{
	return session->record->opened && session->record->begun && !session->record->exited && !session->asked_exit &&
	       (session->way != &session_way_calls || output_ended(session));
}

void session_ask_exit(struct session *session)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;

	if (!exit_due(session))
		return;
	request.container_id = session->record->container_id;
	request.exec_id = session->record->exec_id;
	session->asked_exit = session_call_agent(session, &agent_methods, "WaitProcess", &request.base, 0,
					   exit_answered) == 0;
}

void session_wait_exit(struct session *session, struct ttrpc_call *call)
{
	if (session->record->exit_told) {
		answer_exit(session, call);
		return;
	}
	if (!waiting_add(&session->exit_waiters, call))
		return;
	session_ask_exit(session);
}

/* ---- Streams ------------------------------------------------------------------------------------------------- */

/* What an attachment that must miss nothing has still to get, or, where all is kept, what nobody has had. */
static uint64_t needed_from(const struct session_stream *stream)
{
	const struct ring_state *state = stream->ring.state;
	uint64_t needed = UINT64_MAX;

	if (stream->session->record->keep)
		needed = state->had > state->begin ? state->had : state->begin;
	for (const struct list *link = stream->attachments.next; link != &stream->attachments; link = link->next) {
		const struct attachment *attachment = container_of(link, struct attachment, link);

		if (!attachment->lossy && attachment->offset < needed)
			needed = attachment->offset;
	}
	return needed;
}

uint64_t session_stream_credit(const struct session_stream *stream)
{
	struct iovec parts[2];

	return session_stream_ended(stream)
		       ? 0
		       : ring_room(&stream->ring,
				   stream->number == SESSION_STDIN ? stream->ring.state->begin : needed_from(stream), parts);
}

static void wait_for_room(struct session_stream *stream, bool none)
{
	if (none && !stream->waiting)
		stream->stalls++;
	stream->waiting = none;
}

size_t session_output_room(struct session_stream *stream, struct iovec parts[2])
{
	size_t room = ring_room(&stream->ring, needed_from(stream), parts);

	wait_for_room(stream, room == 0);
	return room;
}

static void pump(struct session_stream *stream)
{
	struct list *link = stream->attachments.next;

	while (link != &stream->attachments) {
		struct attachment *attachment = container_of(link, struct attachment, link);

		link = link->next;
		attachment_pump(attachment);
	}
}

void session_output_came(struct session_stream *stream, size_t size)
{
	uint64_t dropped = stream->ring.state->dropped;

	ring_commit(&stream->ring, size);
	if (dropped == 0 && stream->ring.state->dropped > 0)
		add_event(stream->session, NACRE__EVENT__TYPE__DROPPED, stream->number);
	pump(stream);
}

int session_output_at(struct session_stream *stream, uint64_t offset)
{
	struct ring_state *state = stream->ring.state;

	if (offset < state->end || offset > OFFSET_MAX)
		return -EPROTO;
	if (offset == state->end)
		return 0;
	if (state->end == 0) {
		/* What was before this session is nobody's loss. */
		state->begin = state->had = state->end = offset;
		return 0;
	}
	if (state->dropped == 0)
		add_event(stream->session, NACRE__EVENT__TYPE__DROPPED, stream->number);
	ring_restart(&stream->ring, offset);
	return 0;
}

static void tell_quiet(struct sessions *sessions)
{
	if (sessions->quiet && sessions_quiet(sessions))
		sessions->quiet(sessions);
}

void session_stream_update(struct session_stream *stream)
{
	struct sessions *sessions = stream->session->sessions;
	struct iovec parts[2];

	if (stream->number != SESSION_STDIN && stream->waiting && session_output_room(stream, parts) > 0)
		stream->session->way->resume(stream);
	tell_quiet(sessions);
}

size_t session_input_room(struct session_stream *stream, struct iovec parts[2])
{
	size_t room;

	if (stream->ring.state->closing || session_stream_ended(stream))
		return 0;
	room = ring_room(&stream->ring, stream->ring.state->begin, parts);
	wait_for_room(stream, room == 0);
	return room;
}

void session_input_came(struct session_stream *stream, size_t size)
{
	ring_commit(&stream->ring, size);
	stream->session->way->resume(stream);
}

void session_input_end(struct session_stream *stream)
{
	stream->ring.state->closing = true;
	pump(stream);
	stream->session->way->resume(stream);
}

static void advance_signals(struct session *session);

void session_input_taken(struct session_stream *stream, uint64_t offset)
{
	ring_consume(&stream->ring, offset);
	stream->ring.state->had = offset;
	pump(stream);
	advance_signals(stream->session);
}

void session_stream_end(struct session_stream *stream)
{
	struct session *session = stream->session;

	if (session_stream_ended(stream))
		return;
	stream->ring.state->ended = true;
	pump(stream);
	if (stream->number == SESSION_STDIN)
		advance_signals(session);
	else if (output_ended(session) && session->record->exited && !session->record->exit_told)
		tell_exit(session);
	else
		session_ask_exit(session);
	let_caller_rest(session->sessions);
	tell_quiet(session->sessions);
}

void session_stream_fail(struct session_stream *stream, const char *format, ...)
{
	static const char *const names[] = {"stdin", "stdout", "stderr"};
	const struct ring_record *record = stream->session->record;
	va_list arguments;
	char text[256];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	log_warning("%s of %s/%s ends: %s", names[stream->number], record->container_id, record->exec_id, text);
	session_stream_end(stream);
}

/* ---- Signals and sizes --------------------------------------------------------------------------------------- */

#define SIGNALS_MAX 64
#define SIGNAL_TIME LOOP_SECOND
#define SIGNAL_KILL 9
#define SIGNAL_LAST 64

static void signalled(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	(void)number;
	(void)result;
	session->signalling = false;
	advance_signals(session);
}

static int send_signal(struct session *session, struct ttrpc_call *call, session_answered answered)
{
	const Nacre__SignalRequest *asked = (const void *)call->request;
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	request.container_id = asked->container_id;
	if (!asked->all)
		request.exec_id = asked->exec_id;
	request.signal = asked->signal;
	return call_for(session, &agent_methods, "SignalProcess", &request.base, 0, answered, call);
}

static void signal_timer_expired(struct loop_timer *timer)
{
	advance_signals(container_of(timer, struct session, signal_timer));
}

/* One at a time, so that they arrive in their order. */
static void advance_signals(struct session *session)
{
	const struct session_stream *input = &session->streams[SESSION_STDIN];

	loop_timer_clear(loop_of(session), &session->signal_timer);
	while (!session->signalling && !list_empty(&session->signals)) {
		struct waiting *next = container_of(session->signals.next, struct waiting, link);
		uint64_t now = loop_now();

		if (!session_stream_ended(input) && input->ring.state->begin < next->number && now < next->deadline) {
			loop_timer_set(loop_of(session), &session->signal_timer, next->deadline - now,
				       signal_timer_expired);
			return;
		}
		session->signalling = send_signal(session, waiting_remove(next), signalled) == 0;
	}
}

static void killed(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	(void)session;
	(void)number;
	(void)result;
}

void session_signal(struct session *session, struct ttrpc_call *call)
{
	const Nacre__SignalRequest *request = (const void *)call->request;
	const struct session_stream *input = &session->streams[SESSION_STDIN];
	struct waiting *waiting;

	if (request->signal > SIGNAL_LAST) {
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "%u is no signal", request->signal);
	} else if (request->signal == SIGNAL_KILL) {
		send_signal(session, call, killed);
	} else if (request->all) {
		/* Which is all that the protocol has. */
		ttrpc_call_fail(call, TTRPC_INVALID_ARGUMENT, "signal %u: only SIGKILL goes to all processes",
				request->signal);
	} else if (list_length(&session->signals) >= SIGNALS_MAX) {
		ttrpc_call_fail(call, TTRPC_RESOURCE_EXHAUSTED, "%u signals are waiting already", SIGNALS_MAX);
	} else if ((waiting = waiting_add(&session->signals, call))) {
		/* What clients have written and isn't read yet comes before it, too. */
		waiting->number = ring_end(&input->ring) + attachments_unread(input);
		waiting->deadline = loop_now() + SIGNAL_TIME;
		advance_signals(session);
	}
}

static void advance_resizes(struct session *session);

static void resized(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	(void)number;
	(void)result;
	session->resizing = false;
	advance_resizes(session);
}

/* One is under way, and of the others only the newest counts. */
static void advance_resizes(struct session *session)
{
	while (!session->resizing && !list_empty(&session->resizes)) {
		struct ttrpc_call *call = waiting_take(&session->resizes);
		const Nacre__ResizeRequest *asked = (const void *)call->request;
		Grpc__TtyWinResizeRequest request = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

		request.container_id = asked->container_id;
		request.exec_id = asked->exec_id;
		request.row = asked->rows;
		request.column = asked->columns;
		session->resizing = call_for(session, &agent_methods, "TtyWinResize", &request.base, 0,
					     resized, call) == 0;
	}
}

void session_resize(struct session *session, struct ttrpc_call *call)
{
	struct ttrpc_call *older = waiting_take(&session->resizes);

	if (older)
		ttrpc_call_reply(older, NULL);
	if (waiting_add(&session->resizes, call))
		advance_resizes(session);
}

/* ---- Beginning and end --------------------------------------------------------------------------------------- */

struct session *sessions_find(struct sessions *sessions, const char *container_id, const char *exec_id)
{
	for (struct list *link = sessions->all.next; link != &sessions->all; link = link->next) {
		struct session *session = container_of(link, struct session, link);

		if (strcmp(session->record->container_id, container_id) == 0 &&
		    strcmp(session->record->exec_id, exec_id) == 0)
			return session;
	}
	return NULL;
}

static struct session *session_over(struct sessions *sessions, struct ring_record *record, const struct session_way *way)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->sessions = sessions;
	session->record = record;
	session->way = way;
	list_init(&session->calls);
	list_init(&session->openers);
	list_init(&session->exit_waiters);
	list_init(&session->signals);
	list_init(&session->resizes);
	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		struct session_stream *stream = &session->streams[i];

		stream->session = session;
		stream->number = i;
		stream->ring = ring_store_ring(sessions->store, record, i);
		list_init(&stream->attachments);
	}
	list_append(&sessions->all, &session->link);
	return session;
}

/* Leaves the record as it is. */
static void session_free(struct session *session, enum ttrpc_code code, const char *text)
{
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		while (!list_empty(&session->streams[i].attachments))
			attachment_free(container_of(session->streams[i].attachments.next, struct attachment, link));
	session->way->close(session);
	abandon_calls(session);
	waiting_fail(&session->openers, code, text);
	waiting_fail(&session->exit_waiters, code, text);
	waiting_fail(&session->signals, code, text);
	waiting_fail(&session->resizes, code, text);
	loop_timer_clear(loop_of(session), &session->signal_timer);
	loop_timer_clear(loop_of(session), &session->grace_timer);
	list_remove(&session->link);
	free(session);
}

static void session_drop(struct session *session, enum ttrpc_code code, const char *text)
{
	struct sessions *sessions = session->sessions;
	struct ring_record *record = session->record;

	session_free(session, code, text);
	ring_store_give(sessions->store, record);
	let_caller_rest(sessions);
}

struct session *session_new(struct sessions *sessions, const char *container_id, const char *exec_id, bool terminal, bool ports,
			    struct error *error)
{
	struct ring_record *record = ring_store_take(sessions->store);
	struct session *session;
	int status;

	if (!record) {
		error_set(error, ENOSPC, "there are %zu sessions, and may be no more", sessions->store->count);
		return NULL;
	}
	snprintf(record->container_id, sizeof(record->container_id), "%s", container_id);
	snprintf(record->exec_id, sizeof(record->exec_id), "%s", exec_id);
	record->terminal = terminal;
	record->begun = !ports;
	record->streams[SESSION_STDERR].ended = terminal;
	session = session_over(sessions, record, ports ? &session_way_ports : &session_way_guest);
	if (!session) {
		ring_store_give(sessions->store, record);
		error_errno(error, ENOMEM, "session");
		return NULL;
	}
	agent_caller_want(&sessions->caller);
	status = session->way->open(session);
	if (status < 0) {
		error_errno(error, -status, "reach the agent");
		session_drop(session, TTRPC_UNAVAILABLE, error->text);
		return NULL;
	}
	return session;
}

void session_forget(struct session *session)
{
	add_event(session, NACRE__EVENT__TYPE__CLOSED, 0);
	session_drop(session, TTRPC_UNAVAILABLE, "the session has been closed");
}

void session_begin(struct session *session)
{
	if (!session->record->opened || session->record->begun)
		return;
	session->record->begun = true;
	if (session->way->begin)
		session->way->begin(session);
	session_ask_exit(session);
}

void session_answer_open(const struct session *session, struct ttrpc_call *call)
{
	Nacre__OpenSessionResponse response = NACRE__OPEN_SESSION_RESPONSE__INIT;

	response.way = session->way->number;
	response.stdin_port = session->ports[SESSION_STDIN];
	response.stdout_port = session->ports[SESSION_STDOUT];
	response.stderr_port = session->ports[SESSION_STDERR];
	ttrpc_call_reply(call, &response.base);
}

void session_opened(struct session *session)
{
	struct ttrpc_call *call;

	session->record->opened = true;
	session->record->way = (uint8_t)session->way->number;
	add_event(session, NACRE__EVENT__TYPE__SESSION, 0);
	while ((call = waiting_take(&session->openers)))
		session_answer_open(session, call);
	session_ask_exit(session);
}

void session_open_failed(struct session *session, enum ttrpc_code code, const char *text)
{
	session_drop(session, code, text);
}

void session_change_way(struct session *session, const struct session_way *way)
{
	int status;

	session->way->close(session);
	session->way = way;
	memset(session->ports, 0, sizeof(session->ports));
	status = way->open(session);
	if (status < 0)
		session_open_failed(session, TTRPC_UNAVAILABLE, strerror(-status));
}

/* ---- All of them --------------------------------------------------------------------------------------------- */

static void caller_changed(struct agent_caller *caller)
{
	struct sessions *sessions = container_of(caller, struct sessions, caller);
	struct list *next = sessions->all.next;

	/* It may have rested, and is ready still. */
	if (caller->ready != sessions->told_ready)
		events_add(&sessions->events, caller->ready ? NACRE__EVENT__TYPE__READY : NACRE__EVENT__TYPE__LOST, NULL, NULL,
			   0);
	sessions->told_ready = caller->ready;
	while (next != &sessions->all) {
		struct session *session = container_of(next, struct session, link);

		next = next->next;
		if (!caller->ready) {
			session->way->lost(session);
			continue;
		}
		session_ask_exit(session);
		session->way->ready(session);
	}
}

/* One that another process has left: what its rings have is there, and its way is tried again. */
static void restore(struct sessions *sessions, struct ring_record *record)
{
	static const struct session_way *const ways[] = {
		[NACRE__OPEN_SESSION_RESPONSE__WAY__CALLS] = &session_way_calls,
		[NACRE__OPEN_SESSION_RESPONSE__WAY__PORTS] = &session_way_ports,
		[NACRE__OPEN_SESSION_RESPONSE__WAY__GUEST] = &session_way_guest,
	};
	struct session *session = session_over(sessions, record, ways[record->way]);

	if (!session) {
		log_error("%s/%s: no memory to go on with it", record->container_id, record->exec_id);
		ring_store_give(sessions->store, record);
		return;
	}
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		if (record->streams[i].end < record->streams[i].begin)
			record->streams[i].end = record->streams[i].begin;
	agent_caller_want(&sessions->caller);
	if (session->way->open(session) < 0)
		session_open_failed(session, TTRPC_UNAVAILABLE, "");
	else if (record->exited)
		exit_came(session);
}

void sessions_init(struct sessions *sessions, struct loop *loop, struct streams *streams, struct ring_store *store)
{
	*sessions = (struct sessions){.loop = loop, .streams = streams, .store = store};
	list_init(&sessions->all);
	events_init(&sessions->events);
	agent_caller_init(&sessions->caller, loop, streams, caller_changed);
	for (size_t i = 0; i < store->count; i++) {
		struct ring_record *record = ring_store_at(store, i);

		if (record && record->opened)
			restore(sessions, record);
		else if (record)
			ring_store_give(store, record);
	}
}

static bool session_quiet(const struct session *session)
{
	for (unsigned int i = SESSION_STDOUT; session->record->opened && i < RING_STREAMS; i++)
		if (!session_stream_ended(&session->streams[i]) || !list_empty(&session->streams[i].attachments))
			return false;
	return true;
}

bool sessions_quiet(const struct sessions *sessions)
{
	for (const struct list *link = sessions->all.next; link != &sessions->all; link = link->next)
		if (!session_quiet(container_of(link, struct session, link)))
			return false;
	return true;
}

void sessions_finish(struct sessions *sessions, void (*quiet)(struct sessions *sessions))
{
	sessions->finishing = true;
	sessions->quiet = quiet;
	agent_caller_close(&sessions->caller);
	events_close(&sessions->events);
	for (struct list *link = sessions->all.next; link != &sessions->all; link = link->next) {
		struct session *session = container_of(link, struct session, link);

		waiting_fail(&session->openers, TTRPC_UNAVAILABLE, "the VM has ended");
		waiting_fail(&session->exit_waiters, TTRPC_UNAVAILABLE, "the VM has ended");
		waiting_fail(&session->signals, TTRPC_UNAVAILABLE, "the VM has ended");
		waiting_fail(&session->resizes, TTRPC_UNAVAILABLE, "the VM has ended");
		session->way->lost(session);
	}
}

void sessions_destroy(struct sessions *sessions)
{
	sessions->quiet = NULL;
	while (!list_empty(&sessions->all))
		session_free(container_of(sessions->all.next, struct session, link), TTRPC_UNAVAILABLE, "the proxy ends");
	agent_caller_close(&sessions->caller);
	events_close(&sessions->events);
}
