/* The way by the protocol's own connections for streams, which are opened before the process is made and named in the request that
 * makes it. What they carry is bytes and nothing else: they can't be made again. An agent that has no such port goes by calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/dial.h"
#include "proxy/session.h"

/* syscalls: readv sendmsg recvfrom shutdown close */

struct port_stream {
	struct session_stream *stream;
	struct dial dial;
	struct loop_source source;
	int fd;
};

struct ports_way {
	struct port_stream streams[RING_STREAMS];
	unsigned int missing; /* connections */
};

static struct loop *loop_of(const struct port_stream *port)
{
	return port->stream->session->sessions->loop;
}

static void disconnect(struct port_stream *port)
{
	dial_stop(&port->dial);
	loop_remove(loop_of(port), &port->source);
	fd_close(&port->fd);
}

static void over(struct port_stream *port)
{
	disconnect(port);
	session_stream_end(port->stream);
}

static void port_ready(struct loop_source *source, uint32_t events);

/* One that neither is read nor written isn't watched: its hang-up would be told without end. */
static void watch(struct port_stream *port, uint32_t events)
{
	if (port->fd < 0)
		return;
	if (events == 0)
		loop_remove(loop_of(port), &port->source);
	else if (port->source.fd >= 0)
		loop_change(loop_of(port), &port->source, events);
	else if (loop_add(loop_of(port), &port->source, port->fd, events, port_ready) < 0)
		fd_close(&port->fd);
}

static void read_output(struct port_stream *port)
{
	struct iovec parts[2];
	ssize_t count;

	if (session_output_room(port->stream, parts) == 0) {
		watch(port, 0);
		return;
	}
	count = readv(port->fd, parts, 2);
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0)
		over(port);
	else
		session_output_came(port->stream, (size_t)count);
}

/* Its end is the direction's, and the guest may still be reading. */
static void write_input(struct port_stream *port)
{
	struct session_stream *stream = port->stream;
	struct iovec parts[2];
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
	uint64_t begin = stream->ring.state->begin;
	ssize_t count;

	if (ring_data(&stream->ring, begin, parts) == 0) {
		watch(port, EPOLLIN);
		if (stream->ring.state->closing)
			shutdown(port->fd, SHUT_WR);
		return;
	}
	count = sendmsg(port->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (count < 0 && errno != EAGAIN && errno != EINTR)
		over(port);
	else if (count > 0)
		session_input_taken(stream, begin + (size_t)count);
}

static void port_ready(struct loop_source *source, uint32_t events)
{
	struct port_stream *port = container_of(source, struct port_stream, source);

	if (session_stream_ended(port->stream))
		disconnect(port);
	else if (port->stream->number != SESSION_STDIN)
		read_output(port);
	else if (events & (EPOLLHUP | EPOLLERR))
		over(port);
	else if (events & EPOLLOUT)
		write_input(port);
	else if (recv(port->fd, &(char){0}, 1, MSG_DONTWAIT) >= 0) /* nothing comes that way but the end */
		over(port);
}

static void way_close(struct session *session)
{
	struct ports_way *way = session->way_data;

	if (!way)
		return;
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		disconnect(&way->streams[i]);
	free(way);
	session->way_data = NULL;
}

static void dialled(struct dial *dial, int fd, uint32_t host_port)
{
	struct port_stream *port = container_of(dial, struct port_stream, dial);
	struct session *session = port->stream->session;
	struct ports_way *way = session->way_data;

	if (fd < 0) {
		session_change_way(session, &session_way_calls);
		return;
	}
	port->fd = fd;
	session->ports[port->stream->number] = host_port;
	if (--way->missing > 0)
		return;
	for (unsigned int i = 0; i < RING_STREAMS; i++)
		watch(&way->streams[i], EPOLLIN);
	session_opened(session);
}

static int dial_all(struct session *session)
{
	struct sessions *sessions = session->sessions;
	struct ports_way *way = session->way_data;
	int status = 0;

	for (unsigned int i = 0; i < RING_STREAMS && status == 0; i++) {
		if (session_stream_ended(&session->streams[i]))
			continue;
		status = dial_start(&way->streams[i].dial, sessions->loop, sessions->streams, SESSION_STREAM_PORT, dialled);
		way->missing += status == 0;
	}
	return status;
}

static void way_ready(struct session *session)
{
	const struct ports_way *way = session->way_data;
	int status = session->record->opened || way->missing > 0 ? 0 : dial_all(session);

	if (status < 0)
		session_open_failed(session, TTRPC_RESOURCE_EXHAUSTED, strerror(-status));
}

static int way_open(struct session *session)
{
	struct ports_way *way = calloc(1, sizeof(*way));

	if (!way)
		return -ENOMEM;
	session->way_data = way;
	for (unsigned int i = 0; i < RING_STREAMS; i++) {
		way->streams[i] = (struct port_stream){.stream = &session->streams[i], .fd = -1, .source.fd = -1};
		dial_init(&way->streams[i].dial);
		/* Those of a process that has gone can't be had again. */
		if (session->record->opened)
			session_stream_end(&session->streams[i]);
	}
	return session->sessions->caller.ready && !session->record->opened ? dial_all(session) : 0;
}

static void way_resume(struct session_stream *stream)
{
	struct port_stream *port = &((struct ports_way *)stream->session->way_data)->streams[stream->number];

	if (!session_stream_ended(stream))
		watch(port, stream->number == SESSION_STDIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Connections that are cut end by themselves. */
static void way_lost(struct session *session)
{
	(void)session;
}

const struct session_way session_way_ports = {
	.number = NACRE__OPEN_SESSION_RESPONSE__WAY__PORTS,
	.open = way_open,
	.resume = way_resume,
	.ready = way_ready,
	.lost = way_lost,
	.close = way_close,
};
