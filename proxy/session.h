/* Sessions: the streams, the input and the end of one process in the guest, kept here for clients that come and go
 * (nacre.Proxy, proto/proxy.proto).
 *
 * A session has three streams, each a ring (proxy/ring.h) between the clients' descriptors on the one side (proxy/attachment.h)
 * and a way to the guest on the other: nacre.Guest's attached streams, the calls of the protocol, or its connections. Output goes
 * from the way into the ring, and from there to each attachment at its own pace; input from the attachments into the ring, and
 * from there to the guest, which says how far it has taken it. A way never reads or writes while it is told that it may: it
 * watches, and does it from the loop. So what happens to an attachment never leads to another one.
 *
 * The guest is hostile: what it says wrongly ends that stream, with a line in the log, and nothing else.
 */
#ifndef NACRE_PROXY_SESSION_H
#define NACRE_PROXY_SESSION_H

#include "lib/list.h"
#include "proxy/agent_caller.h"
#include "proxy/events.h"
#include "proxy/ring.h"
#include "proxy/waiting.h"

enum { SESSION_STDIN, SESSION_STDOUT, SESSION_STDERR };

#define SESSION_STREAM_PORT 1027 /* the agent's for streams, unless its configuration says otherwise */

struct session;
struct sessions;

struct session_stream {
	struct session *session;
	unsigned int number; /* SESSION_STDIN and fellows */
	struct ring ring;
	struct list attachments;
	uint64_t stalls; /* how often it has waited: for a reader, or for the guest */
	bool waiting;	 /* it does now */
};

/* The way to the guest. */
struct session_way {
	Nacre__OpenSessionResponse__Way number;

	/* Begins. session_opened() or session_open_failed() follows, or session_change_way(). 0 or -errno. */
	int (*open)(struct session *session);

	/* The process is there now, which open() didn't need (PORTS). May be NULL. */
	void (*begin)(struct session *session);

	/* Of output: its ring has room again. Of stdin: its ring has bytes, or its end. */
	void (*resume)(struct session_stream *stream);

	/* The agent takes calls (again), or doesn't any more. */
	void (*ready)(struct session *session);
	void (*lost)(struct session *session);

	/* Lets go of everything. */
	void (*close)(struct session *session);
};

extern const struct session_way session_way_guest, session_way_calls, session_way_ports;

struct session {
	struct sessions *sessions;
	struct list link;
	struct ring_record *record; /* its names, and what has become of it */
	const struct session_way *way;
	void *way_data; /* the way's own */
	bool asked_exit; /* WaitProcess is under way */
	uint32_t ports[RING_STREAMS]; /* of PORTS */
	struct session_stream streams[RING_STREAMS];
	struct list calls; /* to the agent, that are under way */
	struct list openers, exit_waiters; /* calls of clients */
	struct list signals, resizes;	   /* calls of clients that wait for their turn */
	bool signalling, resizing;
	struct loop_timer signal_timer, grace_timer;
};

struct sessions {
	struct loop *loop;
	struct streams *streams;
	struct ring_store *store;
	struct list all;
	struct agent_caller caller;
	struct events events;
	uint64_t last_attachment;
	bool told_ready; /* by the last event of that kind */
	bool finishing; /* the VM has ended */
	void (*quiet)(struct sessions *sessions); /* set by sessions_finish() */
};

/* Takes up the sessions that the store has. `store` and `streams` must outlive it. */
void sessions_init(struct sessions *sessions, struct loop *loop, struct streams *streams, struct ring_store *store);

/* The VM has ended. Calls that wait are failed; what the rings hold is still given to who is attached, and `quiet` called when
 * that is done, not from within this. */
void sessions_finish(struct sessions *sessions, void (*quiet)(struct sessions *sessions));

/* Whether nobody has anything to get any more. */
bool sessions_quiet(const struct sessions *sessions);

/* Frees all, and leaves in the store what is there for another process. */
void sessions_destroy(struct sessions *sessions);

/* NULL where there is none of these names. */
struct session *sessions_find(struct sessions *sessions, const char *container_id, const char *exec_id);

/* Makes one, which isn't open yet. NULL with `error` filled (ENOSPC, ENOMEM). Either its way has been begun, or `error` is
 * -errno's and there is none. */
struct session *session_new(struct sessions *sessions, const char *container_id, const char *exec_id, bool terminal, bool ports,
			    struct error *error);

/* Forgets it: everybody is detached, and the calls that wait are failed. */
void session_forget(struct session *session);

/* The process is there: asks for its exit, and lets a way begin that was opened before. Harmless the second time. */
void session_begin(struct session *session);

/* ---- For clients: each answers the call, perhaps later. */
void session_signal(struct session *session, struct ttrpc_call *call);
void session_resize(struct session *session, struct ttrpc_call *call);
void session_wait_exit(struct session *session, struct ttrpc_call *call);
void session_answer_open(const struct session *session, struct ttrpc_call *call);

/* How many bytes the guest may send now, or there is room for. */
uint64_t session_stream_credit(const struct session_stream *stream);

/* ---- For attachments. */

/* One has come, gone on, or gone: the guest may be let send, or be given more. */
void session_stream_update(struct session_stream *stream);

/* Room for input, as ring_room(). 0 also where nothing is taken any more. */
size_t session_input_room(struct session_stream *stream, struct iovec parts[2]);
void session_input_came(struct session_stream *stream, size_t size);
/* That was the end of input. */
void session_input_end(struct session_stream *stream);

/* ---- For ways. */

typedef void (*session_answered)(struct session *session, unsigned int number, const struct ttrpc_result *result);

/* Calls the agent. `answered` is called from the loop, unless the session has gone by then; UNAVAILABLE is the connection's.
 * 0 or -errno. */
int session_call_agent(struct session *session, const ProtobufCServiceDescriptor *service, const char *method,
		 const ProtobufCMessage *request, unsigned int number, session_answered answered);

void session_opened(struct session *session);
/* Frees it. */
void session_open_failed(struct session *session, enum ttrpc_code code, const char *text);
/* It goes another way, which is begun. Frees the session where that can't be. */
void session_change_way(struct session *session, const struct session_way *way);

/* Room for output, as ring_room(); where there is none the way stops, until it is resumed. */
size_t session_output_room(struct session_stream *stream, struct iovec parts[2]);
/* Bytes have been put there. */
void session_output_came(struct session_stream *stream, size_t size);
/* The stream goes on at that offset. 0, or -EPROTO where that can't be. */
int session_output_at(struct session_stream *stream, uint64_t offset);

/* Of stdin: the guest has taken everything before that offset. */
void session_input_taken(struct session_stream *stream, uint64_t offset);

/* Nothing more comes, or is taken. */
void session_stream_end(struct session_stream *stream);
/* The same, because of something wrong, which is logged. */
void session_stream_fail(struct session_stream *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline bool session_stream_ended(const struct session_stream *stream)
{
	return stream->ring.state->ended;
}

/* Asks for the exit where that is due and hasn't been done. */
void session_ask_exit(struct session *session);

#endif
