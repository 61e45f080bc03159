/* The way by nacre.Guest: an attached connection for each stream (proto/guest.proto, AttachStream), which is made again where it is
 * cut. Output is acknowledged once it is in the ring, input stays in the ring until the guest acknowledges it, so nothing is lost
 * between.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "guest_service.pb-c.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/dial.h"
#include "proxy/session.h"

/* syscalls: sendto sendmsg recvfrom recvmsg close */

#define RECORD_MAX 65536u
#define RETRY_FIRST (50 * LOOP_MILLISECOND)
#define RETRY_LAST LOOP_SECOND

enum step {
	STEP_IDLE,   /* until the agent is there, or the timer expires */
	STEP_DIAL,   /* a connection is being made */
	STEP_ATTACH, /* the agent has been asked to take it */
	STEP_ATTACHED,
};

struct guest_stream {
	struct session_stream *stream;
	enum step step;
	bool resolved; /* it has been attached once, or can't be */
	struct dial dial;
	struct loop_source source;
	int fd;
	struct loop_timer retry;
	uint64_t retry_delay;

	/* The number that is on its way: a record's length or an offset, to us or from us. */
	uint8_t in[8], out[8];
	size_t in_length, out_length; /* of `in` that is there, of `out` that has still to go */
	uint32_t left;		      /* of the record, after its length */
	uint64_t sent;		      /* of stdin: the next byte for this connection */
	bool end_sent;
	uint64_t acknowledged; /* of output */
};

struct guest_way {
	struct guest_stream streams[RING_STREAMS];
};

static struct guest_stream *of_stream(struct session_stream *stream)
{
	return &((struct guest_way *)stream->session->way_data)->streams[stream->number];
}

static struct loop *loop_of(const struct guest_stream *guest)
{
	return guest->stream->session->sessions->loop;
}

static void attach(struct guest_stream *guest);

/* ---- Connections come and go --------------------------------------------------------------------------------- */

static void disconnect(struct guest_stream *guest)
{
	dial_stop(&guest->dial);
	loop_timer_clear(loop_of(guest), &guest->retry);
	loop_remove(loop_of(guest), &guest->source);
	fd_close(&guest->fd);
	guest->step = STEP_IDLE;
}

static void retry_expired(struct loop_timer *timer)
{
	struct guest_stream *guest = container_of(timer, struct guest_stream, retry);

	if (guest->stream->session->sessions->caller.ready && !session_stream_ended(guest->stream))
		attach(guest);
}

/* It is cut; the stream goes on with another one. */
static void cut(struct guest_stream *guest)
{
	disconnect(guest);
	if (guest->stream->session->sessions->finishing) {
		session_stream_end(guest->stream);
		return;
	}
	loop_timer_set(loop_of(guest), &guest->retry, guest->retry_delay, retry_expired);
	guest->retry_delay = guest->retry_delay * 2 < RETRY_LAST ? guest->retry_delay * 2 : RETRY_LAST;
}

static void end(struct guest_stream *guest)
{
	disconnect(guest);
	session_stream_end(guest->stream);
}

#define fail(guest, ...)                                       \
	do {                                                   \
		disconnect(guest);                             \
		session_stream_fail((guest)->stream, __VA_ARGS__); \
	} while (0)

/* What is left of the number that is on its way out. 1 when it has gone, 0, or -errno. */
static int send_number(struct guest_stream *guest, size_t size)
{
	while (guest->out_length > 0) {
		ssize_t count = send(guest->fd, guest->out + size - guest->out_length, guest->out_length,
				     MSG_DONTWAIT | MSG_NOSIGNAL);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno == EAGAIN ? 0 : -errno;
		guest->out_length -= (size_t)count;
	}
	return 1;
}

/* ---- Output: records come, offsets go ------------------------------------------------------------------------ */

static void output_ready(struct loop_source *source, uint32_t events);

/* One that isn't read isn't watched: its hang-up would be told without end. */
static void watch_output(struct guest_stream *guest, bool readable)
{
	uint32_t events = (readable ? EPOLLIN : 0) | (guest->out_length > 0 ? EPOLLOUT : 0);

	if (events == 0)
		loop_remove(loop_of(guest), &guest->source);
	else if (guest->source.fd >= 0)
		loop_change(loop_of(guest), &guest->source, events);
	else if (loop_add(loop_of(guest), &guest->source, guest->fd, events, output_ready) < 0)
		cut(guest);
}

/* 0 or -errno. */
static int acknowledge(struct guest_stream *guest)
{
	uint64_t end = ring_end(&guest->stream->ring), number = htole64(end);
	int status = send_number(guest, sizeof(number));

	if (status <= 0 || guest->acknowledged == end)
		return status < 0 ? status : 0;
	memcpy(guest->out, &number, sizeof(number));
	guest->out_length = sizeof(number);
	guest->acknowledged = end;
	status = send_number(guest, sizeof(number));
	return status < 0 ? status : 0;
}

/* Takes the length of a record as it comes. 1 where it is there, 0, or -errno. */
static int take_length(struct guest_stream *guest)
{
	uint32_t length;

	if (guest->in_length < sizeof(length))
		return 0;
	memcpy(&length, guest->in, sizeof(length));
	guest->in_length = 0;
	guest->left = le32toh(length);
	if (guest->left <= RECORD_MAX)
		return 1;
	fail(guest, "a record of %u bytes", guest->left);
	return -EPROTO;
}

/* Reads what is left of a record, and the length of the next one. The count, 0 at the end, or -errno. */
static ssize_t read_record(struct guest_stream *guest, size_t room, const struct iovec ring[2])
{
	size_t wanted = guest->left < room ? guest->left : room, here;
	struct iovec parts[3];
	size_t count = iovec_slice(parts, ring, 2, 0, wanted);
	struct msghdr message = {.msg_iov = parts};
	ssize_t length;

	if (wanted == guest->left)
		parts[count++] = (struct iovec){.iov_base = guest->in + guest->in_length,
						.iov_len = sizeof(uint32_t) - guest->in_length};
	message.msg_iovlen = count;
	length = recvmsg(guest->fd, &message, MSG_DONTWAIT);
	if (length <= 0)
		return length < 0 ? -errno : 0;
	here = (size_t)length < wanted ? (size_t)length : wanted;
	guest->left -= (uint32_t)here;
	guest->in_length += (size_t)length - here;
	if (here > 0)
		session_output_came(guest->stream, here);
	return length;
}

/* One read. False where that is all for now. */
static bool read_output(struct guest_stream *guest)
{
	struct iovec ring[2];
	size_t room = session_output_room(guest->stream, ring);
	ssize_t length;

	if (room == 0)
		return false;
	length = read_record(guest, room, ring);
	if (length == -EAGAIN || length == -EINTR)
		return false;
	if (length <= 0) {
		cut(guest);
		return false;
	}
	guest->retry_delay = RETRY_FIRST;
	if (guest->left == 0 && take_length(guest) == 1 && guest->left == 0) {
		acknowledge(guest);
		end(guest);
		return false;
	}
	return guest->fd >= 0;
}

#define READS_AT_ONCE 4

static void output_ready(struct loop_source *source, uint32_t events)
{
	struct guest_stream *guest = container_of(source, struct guest_stream, source);

	if (session_stream_ended(guest->stream)) {
		disconnect(guest);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		for (int i = 0; i < READS_AT_ONCE && read_output(guest); i++)
			;
	if (guest->fd < 0)
		return;
	if (acknowledge(guest) < 0)
		cut(guest);
	else
		watch_output(guest, !guest->stream->waiting);
}

/* ---- Input: records go, offsets come ------------------------------------------------------------------------- */

static void watch_input(struct guest_stream *guest)
{
	bool more = guest->out_length > 0 || guest->left > 0 || guest->sent < ring_end(&guest->stream->ring) ||
		    (guest->stream->ring.state->closing && !guest->end_sent);

	loop_change(loop_of(guest), &guest->source, EPOLLIN | (more ? EPOLLOUT : 0));
}

/* Begins a record with what there is, or the end. False where there is nothing. */
static bool begin_record(struct guest_stream *guest)
{
	uint64_t waiting = ring_end(&guest->stream->ring) - guest->sent;
	uint32_t length = waiting < RECORD_MAX ? (uint32_t)waiting : RECORD_MAX, number = htole32(length);

	if (length == 0 && (!guest->stream->ring.state->closing || guest->end_sent))
		return false;
	guest->end_sent = length == 0;
	guest->left = length;
	guest->out_length = sizeof(number);
	memcpy(guest->out, &number, sizeof(number));
	return true;
}

/* 0 or -errno. */
static int send_input(struct guest_stream *guest)
{
	for (;;) {
		int status = send_number(guest, sizeof(uint32_t));
		struct iovec ring[2], parts[2];
		struct msghdr message = {.msg_iov = parts};
		ssize_t count;

		if (status <= 0)
			return status;
		if (guest->left == 0 && !begin_record(guest))
			return 0;
		if (guest->out_length > 0 || guest->left == 0)
			continue;
		ring_data(&guest->stream->ring, guest->sent, ring);
		message.msg_iovlen = iovec_slice(parts, ring, 2, 0, guest->left);
		count = sendmsg(guest->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno == EAGAIN ? 0 : -errno;
		guest->sent += (size_t)count;
		guest->left -= (uint32_t)count;
	}
}

/* Takes one offset. 1, 0 where none has come, or -errno. */
static int take_offset(struct guest_stream *guest)
{
	ssize_t count = recv(guest->fd, guest->in + guest->in_length, sizeof(guest->in) - guest->in_length, MSG_DONTWAIT);
	struct session_stream *stream = guest->stream;
	uint64_t offset;

	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (count == 0)
		return -ECONNRESET;
	guest->in_length += (size_t)count;
	if (guest->in_length < sizeof(offset))
		return 0;
	guest->in_length = 0;
	memcpy(&offset, guest->in, sizeof(offset));
	offset = le64toh(offset);
	if (offset < stream->ring.state->begin || offset > guest->sent) {
		fail(guest, "bytes up to %llu are acknowledged, of those from %llu to %llu", (unsigned long long)offset,
		     (unsigned long long)stream->ring.state->begin, (unsigned long long)guest->sent);
		return -EPROTO;
	}
	guest->retry_delay = RETRY_FIRST;
	session_input_taken(stream, offset);
	return 1;
}

static void input_ready(struct loop_source *source, uint32_t events)
{
	struct guest_stream *guest = container_of(source, struct guest_stream, source);
	int status = 1;

	if (session_stream_ended(guest->stream)) {
		disconnect(guest);
		return;
	}
	while (status > 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		status = take_offset(guest);
	if (guest->fd < 0)
		return;
	if (status >= 0)
		status = send_input(guest);
	if (status < 0 && guest->end_sent && guest->stream->ring.state->begin == ring_end(&guest->stream->ring))
		end(guest); /* that is how the guest answers it */
	else if (status < 0)
		cut(guest);
	else
		watch_input(guest);
}

/* ---- Attaching ----------------------------------------------------------------------------------------------- */

/* Of the first attachments all must be through before the session is open. */
static void resolve(struct guest_stream *guest)
{
	struct session *session = guest->stream->session;
	struct guest_way *way = session->way_data;

	guest->resolved = true;
	if (session->record->opened)
		return;
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		if (!way->streams[i].resolved)
			return;
	session_opened(session);
}

static int attached_at(struct guest_stream *guest, uint64_t offset)
{
	struct session_stream *stream = guest->stream;
	struct ring_state *state = stream->ring.state;
	int status = 0;

	guest->in_length = guest->out_length = guest->left = 0;
	guest->end_sent = false;
	guest->acknowledged = guest->sent = offset;
	if (stream->number != SESSION_STDIN || state->end == 0)
		status = session_output_at(stream, offset);
	else if (offset >= state->begin && offset <= state->end)
		session_input_taken(stream, offset);
	else
		status = -EPROTO;
	return status;
}

static void attached(struct guest_stream *guest, const Nacre__AttachStreamResponse *response)
{
	if (attached_at(guest, response->offset) < 0) {
		fail(guest, "it goes on at %llu, after %llu", (unsigned long long)response->offset,
		     (unsigned long long)ring_end(&guest->stream->ring));
	} else if (response->ended) {
		end(guest);
	} else if (loop_add(loop_of(guest), &guest->source, guest->fd, EPOLLIN | EPOLLOUT,
			    guest->stream->number == SESSION_STDIN ? input_ready : output_ready) < 0) {
		cut(guest);
		return;
	}
	if (guest->fd >= 0)
		guest->step = STEP_ATTACHED;
	resolve(guest);
}

/* The others follow the first one, stdout, which shows whether this is a way at all. */
static void attach_others(struct session *session)
{
	struct guest_way *way = session->way_data;

	for (unsigned int i = 0; i < RING_STREAMS; i++)
		if (way->streams[i].step == STEP_IDLE && way->streams[i].retry.deadline == 0 &&
		    !session_stream_ended(&session->streams[i]))
			attach(&way->streams[i]);
}

/* No way to go: the calls are another one. NOT_FOUND is about the process. */
static void no_way(struct session *session, enum ttrpc_code code, const char *message)
{
	if (code == TTRPC_INVALID_ARGUMENT || code == TTRPC_UNIMPLEMENTED || code == TTRPC_FAILED_PRECONDITION)
		session_change_way(session, &session_way_calls);
	else
		session_open_failed(session, code, message);
}

static void attach_answered(struct session *session, unsigned int number, const struct ttrpc_result *result)
{
	struct guest_way *way = session->way_data;
	struct guest_stream *guest;

	/* The way may have been changed meanwhile. */
	if (session->way != &session_way_guest)
		return;
	guest = &way->streams[number];
	if (guest->step != STEP_ATTACH)
		return;
	if (result->code == TTRPC_UNAVAILABLE) {
		cut(guest);
	} else if (result->code == TTRPC_OK) {
		attached(guest, (const void *)result->response);
		if (number == SESSION_STDOUT)
			attach_others(session);
	} else if (!session->record->opened && number == SESSION_STDOUT) {
		no_way(session, result->code, result->message);
	} else if (result->code == TTRPC_NOT_FOUND) {
		end(guest);
		resolve(guest);
	} else {
		fail(guest, "it can't be attached: %s", result->message);
		resolve(guest);
	}
}

static void dialled(struct dial *dial, int fd, uint32_t host_port)
{
	struct guest_stream *guest = container_of(dial, struct guest_stream, dial);
	Nacre__AttachStreamRequest request = NACRE__ATTACH_STREAM_REQUEST__INIT;
	struct session_stream *stream = guest->stream;
	struct session *session = stream->session;

	guest->step = STEP_IDLE;
	if (fd < 0 && !session->record->opened && stream->number == SESSION_STDOUT && session->sessions->caller.ready) {
		/* Nobody listens there. */
		no_way(session, TTRPC_UNIMPLEMENTED, "");
		return;
	}
	if (fd < 0) {
		cut(guest);
		return;
	}
	guest->fd = fd;
	guest->step = STEP_ATTACH;
	request.container_id = session->record->container_id;
	request.exec_id = session->record->exec_id;
	request.stream = (Nacre__Stream)stream->number;
	request.port = host_port;
	request.offset = ring_end(&stream->ring);
	if (session_call_agent(session, &nacre__guest__descriptor, "AttachStream", &request.base, stream->number,
			 attach_answered) < 0)
		cut(guest);
}

static void attach(struct guest_stream *guest)
{
	struct sessions *sessions = guest->stream->session->sessions;

	if (dial_start(&guest->dial, sessions->loop, sessions->streams, SESSION_STREAM_PORT, dialled) < 0)
		cut(guest);
	else
		guest->step = STEP_DIAL;
}

/* ---- The way ------------------------------------------------------------------------------------------------- */

static void way_ready(struct session *session)
{
	struct guest_way *way = session->way_data;
	struct guest_stream *first = &way->streams[SESSION_STDOUT];

	if (first->resolved || session->record->opened)
		attach_others(session);
	else if (first->step == STEP_IDLE && first->retry.deadline == 0)
		attach(first);
}

static int way_open(struct session *session)
{
	struct guest_way *way = calloc(1, sizeof(*way));

	if (!way)
		return -ENOMEM;
	session->way_data = way;
	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		way->streams[i] = (struct guest_stream){.stream = &session->streams[i],
							.fd = -1,
							.source.fd = -1,
							.retry_delay = RETRY_FIRST,
							.resolved = session_stream_ended(&session->streams[i])};
		dial_init(&way->streams[i].dial);
	}
	if (session->sessions->caller.ready)
		way_ready(session);
	return 0;
}

static void way_resume(struct session_stream *stream)
{
	struct guest_stream *guest = of_stream(stream);

	if (guest->step != STEP_ATTACHED)
		return;
	if (stream->number == SESSION_STDIN)
		watch_input(guest);
	else
		watch_output(guest, true);
}

/* Connections that are still there stay, unless the VM has gone. */
static void way_lost(struct session *session)
{
	struct guest_way *way = session->way_data;

	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		struct guest_stream *guest = &way->streams[i];

		if (guest->step == STEP_ATTACHED)
			continue;
		disconnect(guest);
		if (session->sessions->finishing)
			session_stream_end(guest->stream);
	}
}

static void way_close(struct session *session)
{
	struct guest_way *way = session->way_data;

	if (!way)
		return;
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		disconnect(&way->streams[i]);
	free(way);
	session->way_data = NULL;
}

const struct session_way session_way_guest = {
	.number = NACRE__OPEN_SESSION_RESPONSE__WAY__GUEST,
	.open = way_open,
	.resume = way_resume,
	.ready = way_ready,
	.lost = way_lost,
	.close = way_close,
};
