// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c lib/vsock_engine.c lib/vsock_send.c lib/vsock_socket.c
/* What Linux's virtio-vsock expects of its peer, and does itself, as a table over two engines back to back: each row is a list of
 * steps. Between the engines is a carrier in memory, which can be held up and which remembers what each side was sent; above
 * them are sockets, whose outer ends the steps write and read.
 *
 * Sources: virtio 1.2, section 5.10.6; what Linux's tools/testing/vsock asks for, and virtio_transport_common.c does.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/vsock_socket.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define PORT 1024 /* both sides listen there, and nowhere else */
#define SLOTS 128
#define SLOT_SIZE 4096u
#define TRACE_MAX 1024
#define ENDS_MAX 1000
#define ROUNDS 100000
#define FULL VSOCK_BUFFER
#define KIB 1024u

enum side { HOST, GUEST };

#define other(side) ((side) == HOST ? GUEST : HOST)

/* One end of a connection. */
struct end {
	struct vsock_socket socket;
	struct half *half;
	int outer; /* -1 once the step CLOSE has closed it */
	bool open, refused, ended;
	size_t stuffed; /* bytes before its own that keep the socket full */
	size_t written, read;
};

/* One engine, and its way to the other one. */
struct half {
	struct vsock_engine engine;
	struct vsock_carrier carrier;
	enum side side;
	bool held; /* what it sends isn't delivered */
	struct packet {
		struct vsock_header header;
		uint8_t data[SLOT_SIZE];
	} slots[SLOTS];
	size_t first, count; /* of what it has sent */
	struct vsock_header trace[TRACE_MAX]; /* what was delivered to it */
	size_t seen, traced;
	bool listens;
	struct end *ends[ENDS_MAX];
	size_t end_count;
};

struct scene {
	struct loop loop;
	struct loop_timer tick;
	struct half halves[2];
	size_t which; /* the connection which the steps are about */
};

/* ---- The carrier --------------------------------------------------------------------------------------------- */

static size_t carrier_room(struct vsock_carrier *carrier, size_t packets, struct iovec parts[IOVEC_MAX],
			   size_t *part_count, uint32_t sizes[VSOCK_READ_PACKETS])
{
	struct half *half = container_of(carrier, struct half, carrier);
	size_t room = SLOTS - half->count;

	if (room > packets)
		room = packets;
	for (size_t i = 0; i < room; i++) {
		struct packet *packet = &half->slots[(half->first + half->count + i) % SLOTS];

		parts[i] = (struct iovec){.iov_base = packet->data, .iov_len = SLOT_SIZE};
		sizes[i] = SLOT_SIZE;
	}
	*part_count = room;
	return room;
}

static void carrier_send(struct vsock_carrier *carrier, const struct vsock_header *header)
{
	struct half *half = container_of(carrier, struct half, carrier);

	assert_true(half->count < SLOTS);
	half->slots[(half->first + half->count++) % SLOTS].header = *header;
}

/* Engines run whenever time passes. */
static void carrier_wake(struct vsock_carrier *carrier)
{
	(void)carrier;
}

static const struct vsock_carrier_ops carrier_ops = {.room = carrier_room, .send = carrier_send, .wake = carrier_wake};

static void receive(struct half *half, const struct vsock_header *header, void *data)
{
	struct iovec part = {.iov_base = data, .iov_len = header->length};

	if (half->traced < TRACE_MAX)
		half->trace[half->traced++] = *header;
	vsock_engine_receive(&half->engine, header, &part, header->length > 0);
}

static bool deliver(struct half *from, struct half *to)
{
	size_t count = from->held ? 0 : from->count;

	for (size_t i = 0; i < count; i++) {
		struct packet *packet = &from->slots[(from->first + i) % SLOTS];

		receive(to, &packet->header, packet->data);
	}
	/* The slots are in use until then. */
	vsock_engine_flush(&to->engine);
	from->first = (from->first + count) % SLOTS;
	from->count -= count;
	return count > 0;
}

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

/* Until no socket and no engine has anything to do; sockets report by the loop. */
static void settle(struct scene *scene)
{
	struct half *host = &scene->halves[HOST], *guest = &scene->halves[GUEST];

	for (int quiet = 0, round = 0; quiet < 2 && round < ROUNDS; round++) {
		size_t before = host->count + guest->count;
		bool moved;

		loop_timer_set(&scene->loop, &scene->tick, 0, nothing);
		assert_int_equal(loop_step(&scene->loop), 0);
		vsock_engine_run(&host->engine);
		vsock_engine_run(&guest->engine);
		moved = host->count + guest->count != before;
		moved |= deliver(host, guest);
		moved |= deliver(guest, host);
		quiet = moved ? 0 : quiet + 1;
	}
}

/* ---- Ends ---------------------------------------------------------------------------------------------------- */

static int end_connected(struct vsock_socket *socket)
{
	container_of(socket, struct end, socket)->open = true;
	return 0;
}

static void end_refused(struct vsock_socket *socket)
{
	struct end *end = container_of(socket, struct end, socket);

	end->refused = end->ended = true;
	vsock_socket_close(socket);
}

static void end_ended(struct vsock_socket *socket)
{
	container_of(socket, struct end, socket)->ended = true;
	vsock_socket_close(socket);
}

/* Of sockets whose connection isn't accepted yet. */
static void end_early(struct vsock_socket *socket)
{
	(void)socket;
}

static const struct vsock_socket_ops end_ops = {
	.readable = end_early,
	.left = end_early,
	.connected = end_connected,
	.refused = end_refused,
	.ended = end_ended,
};

static struct end *end_new(struct half *half, bool early)
{
	struct end *end = calloc(1, sizeof(*end));
	int pair[2];

	assert_non_null(end);
	assert_true(half->end_count < ENDS_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(vsock_socket_open(&end->socket, &half->engine, pair[1], early, &end_ops), 0);
	end->half = half;
	end->outer = pair[0];
	end->open = !early;
	half->ends[half->end_count++] = end;
	return end;
}

static struct vsock_connection *engine_accept(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	struct half *half = container_of(engine, struct half, engine);

	(void)peer_port;
	return half->listens && local_port == PORT ? &end_new(half, false)->socket.connection : NULL;
}

static void engine_started(struct vsock_engine *engine)
{
	(void)engine;
}

static const struct vsock_engine_ops engine_ops = {.accept = engine_accept, .started = engine_started};

static struct scene *scene_new(void)
{
	static const uint64_t cids[] = {VSOCK_HOST_CID, 3};
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	assert_int_equal(loop_init(&scene->loop), 0);
	for (enum side side = HOST; side <= GUEST; side++) {
		struct half *half = &scene->halves[side];

		half->side = side;
		half->listens = true;
		half->carrier.ops = &carrier_ops;
		vsock_engine_init(&half->engine, &scene->loop, cids[side], cids[other(side)], &engine_ops);
		vsock_engine_start(&half->engine, &half->carrier);
	}
	return scene;
}

static void scene_free(struct scene *scene)
{
	for (enum side side = HOST; side <= GUEST; side++) {
		struct half *half = &scene->halves[side];

		for (size_t i = 0; i < half->end_count; i++) {
			if (!half->ends[i]->ended)
				vsock_socket_close(&half->ends[i]->socket);
			fd_close(&half->ends[i]->outer);
			free(half->ends[i]);
		}
		vsock_engine_stop(&half->engine);
		/* Whatever has happened, nothing is left. */
		assert_true(list_empty(&half->engine.connections));
	}
	assert_true(!scene->loop.timers || scene->loop.timers == &scene->tick);
	loop_timer_clear(&scene->loop, &scene->tick);
	loop_destroy(&scene->loop);
	free(scene);
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

enum action {
	STOP, /* the end of a row */

	/* What a program does. */
	CONNECT, /* opens connection number `which` at port `value` */
	WRITE,	 /* `value` bytes, all of which the socket has to take in the end */
	FILL,	 /* as much as goes anywhere */
	READ,	 /* exactly `value` bytes, the right ones */
	READ_END,
	READ_NOTHING, /* there is nothing yet, and no end */
	READ_RESET,   /* the end, or an error that tells of lost data */
	REFUSED,      /* what CONNECT asked for; its number is free again */
	WRITE_FAILS,  /* EPIPE: the peer reads no more */
	SHUT,	      /* shutdown(2): `value` is SHUT_... */
	CLOSE,
	BLOCK,	 /* from here on the program's socket is full: all that comes is the engine's to keep */
	UNBLOCK, /* it reads again */

	/* What the peer's kernel sees: the next packet that came to `side` has this operation, and `value` as its length (RW),
	 * flags (SHUTDOWN) or fwd_cnt (CREDIT_UPDATE). */
	SEES,
	SEES_NOTHING, /* more */
	SKIP,	      /* over what has come so far */

	/* What happens on the way. */
	HOLD,	/* what `side` sends isn't delivered */
	RELEASE,
	FORGE,	/* `side` gets a packet of this operation, `value` as above, with the connection's ports */
	STRAY,	/* the same with the ports of none */
	TYPE,	/* STRAY, of a type nobody knows */
	DEAF,	/* `side` doesn't listen any more */
	LISTEN, /* again */
	SAME_PORT, /* the next CONNECT comes from the port of this connection */
	AGE,	/* `value` bytes have gone each way of the connection */
	EXPIRE, /* the time that a close may take is over */

	/* What the engine counts. */
	CREDIT, /* how much `side` may send */
	SENT,	/* how much it has sent */
	STALLS, /* it waited for credit */
	GONE,	/* it knows no connection (`value`: but so many) */
	TURN,	/* the steps from here on are about connection `value` */

	/* Many at once. */
	CROWD,	/* `value` connections from `side`, all open at the same time; each carries a few bytes both ways */
	SERIES, /* `value` of them, one after the other */
};

#define ANY UINT32_MAX

struct step {
	enum action action;
	enum side side;
	uint32_t value;
	enum vsock_operation operation; /* of SEES, FORGE and STRAY */
};

#define STEPS_MAX 40
struct row {
	const char *name;
	struct step steps[STEPS_MAX];
};

static size_t at; /* the step that is running; 0 again behind the last */

static struct end *end_of(struct scene *scene, enum side side)
{
	assert_true(scene->halves[side].end_count > scene->which);
	return scene->halves[side].ends[scene->which];
}

static uint8_t pattern(enum side side, size_t position)
{
	return (uint8_t)(((position + side * 77) * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static struct end *connect_to(struct scene *scene, enum side side, uint32_t port)
{
	struct half *half = &scene->halves[side];
	struct end *end = end_new(half, true);

	assert_int_equal(vsock_socket_connect(&end->socket, &half->engine, port), 0);
	settle(scene);
	return end;
}

/* Returns what the socket took; all of `size` unless nothing moves any more. */
static size_t write_bytes(struct scene *scene, struct end *end, size_t size)
{
	size_t done = 0;

	for (int still = 0; done < size && still < 3;) {
		uint8_t data[KIB];
		size_t here = size - done < sizeof(data) ? size - done : sizeof(data);
		ssize_t length;

		for (size_t i = 0; i < here; i++)
			data[i] = pattern(end->half->side, end->written + i);
		length = send(end->outer, data, here, MSG_NOSIGNAL);
		if (length < 0) {
			assert_int_equal(errno, EAGAIN);
			settle(scene);
			still++;
			continue;
		}
		still = 0;
		end->written += (size_t)length;
		done += (size_t)length;
	}
	settle(scene);
	return done;
}

static void read_bytes(struct scene *scene, struct end *end, size_t size)
{
	for (size_t done = 0, still = 0; done < size;) {
		uint8_t data[KIB];
		ssize_t length = read(end->outer, data, size - done < sizeof(data) ? size - done : sizeof(data));

		if (length < 0) {
			assert_int_equal(errno, EAGAIN);
			settle(scene);
			if (still++ == 3)
				fail_msg("%zu of %zu bytes came", done, size);
			continue;
		}
		if (length == 0)
			fail_msg("the end after %zu of %zu bytes", done, size);
		still = 0;
		for (ssize_t i = 0; i < length; i++)
			assert_int_equal(data[i], pattern(other(end->half->side), end->read + (size_t)i));
		end->read += (size_t)length;
		done += (size_t)length;
	}
	settle(scene);
}

static void read_status(struct end *end, bool may_be_reset)
{
	char byte;
	ssize_t length = read(end->outer, &byte, 1);

	if (may_be_reset && length < 0 && errno == ECONNRESET)
		return;
	assert_int_equal(length, 0);
}

static void forget_refused(struct half *half)
{
	struct end *end = half->ends[--half->end_count];

	assert_true(end->refused);
	read_status(end, false);
	fd_close(&end->outer);
	free(end);
}

static void block(struct end *end)
{
	while (send(end->socket.fd, "", 1, MSG_NOSIGNAL) == 1)
		end->stuffed++;
	assert_int_equal(errno, EAGAIN);
}

static void unblock(struct scene *scene, struct end *end)
{
	char junk[KIB];

	while (end->stuffed > 0) {
		ssize_t length =
			read(end->outer, junk, end->stuffed < sizeof(junk) ? end->stuffed : sizeof(junk));

		assert_true(length > 0);
		end->stuffed -= (size_t)length;
	}
	settle(scene);
}

static void sees(struct half *half, const struct step *step)
{
	const struct vsock_header *header = &half->trace[half->seen];
	uint32_t value;

	if (half->seen == half->traced)
		fail_msg("nothing came, where operation %u was expected", step->operation);
	half->seen++;
	assert_int_equal(header->operation, step->operation);
	value = step->operation == VSOCK_SHUTDOWN	 ? header->flags
		: step->operation == VSOCK_CREDIT_UPDATE ? header->forwarded
							 : header->length;
	if (step->value != ANY)
		assert_int_equal(value, step->value);
}

/* As if from the peer, who has read everything. */
static void forge(struct scene *scene, const struct step *step)
{
	static uint8_t data[2 * FULL];
	struct half *half = &scene->halves[step->side];
	struct vsock_header header = {
		.source_cid = half->engine.peer_cid,
		.destination_cid = half->engine.local_cid,
		.source_port = 5,
		.destination_port = step->action == STRAY && step->operation == VSOCK_REQUEST ? PORT : 6,
		.type = step->action == TYPE ? 9 : VSOCK_TYPE_STREAM,
		.operation = (uint16_t)step->operation,
		.length = step->operation == VSOCK_RW ? step->value : 0,
		.flags = step->operation == VSOCK_SHUTDOWN ? step->value : 0,
		.forwarded = step->operation == VSOCK_CREDIT_UPDATE ? step->value : 0,
		.buffer = FULL,
	};

	if (step->action == FORGE) {
		struct vsock_connection *connection = &end_of(scene, step->side)->socket.connection;

		header.source_port = connection->peer_port;
		header.destination_port = connection->local_port;
		if (step->operation != VSOCK_CREDIT_UPDATE)
			header.forwarded = (uint32_t)connection->sent;
		for (uint32_t i = 0; i < header.length; i++)
			data[i] = pattern(other(step->side), (size_t)connection->received + i);
	}
	receive(half, &header, data);
	vsock_engine_flush(&half->engine);
	settle(scene);
}

static void age(struct scene *scene, uint32_t value)
{
	for (enum side side = HOST; side <= GUEST; side++) {
		struct vsock_connection *connection = &end_of(scene, side)->socket.connection;

		connection->received = connection->forwarded = connection->sent = value;
		connection->announced = connection->peer_forwarded = value;
	}
}

static void expire(struct scene *scene, enum side side)
{
	struct loop_timer *timer = &end_of(scene, side)->socket.connection.close_timer;

	assert_true(timer->deadline > 0);
	loop_timer_set(&scene->loop, timer, 0, timer->expired);
	settle(scene);
}

static size_t connections(const struct half *half)
{
	return list_length(&half->engine.connections);
}

static void converse(struct scene *scene, size_t which)
{
	scene->which = which;
	for (enum side side = HOST; side <= GUEST; side++) {
		assert_int_equal(write_bytes(scene, end_of(scene, side), 100), 100);
		read_bytes(scene, end_of(scene, other(side)), 100);
	}
}

static void end_conversation(struct scene *scene, enum side side)
{
	fd_close(&end_of(scene, side)->outer);
	settle(scene);
	read_status(end_of(scene, other(side)), false);
	fd_close(&end_of(scene, other(side))->outer);
	settle(scene);
}

static void crowd(struct scene *scene, const struct step *step, bool together)
{
	for (size_t i = 0; i < step->value; i++) {
		assert_true(connect_to(scene, step->side, PORT)->open);
		converse(scene, i);
		if (!together)
			end_conversation(scene, step->side);
	}
	assert_int_equal(connections(&scene->halves[step->side]), together ? step->value : 0);
	for (size_t i = 0; together && i < step->value; i++) {
		converse(scene, i);
		end_conversation(scene, step->side);
	}
}

static void run_step(struct scene *scene, const struct step *step)
{
	struct half *half = &scene->halves[step->side];
	uint32_t value = step->value;

	switch (step->action) {
	case CONNECT:
		connect_to(scene, step->side, value);
		break;
	case WRITE:
		assert_int_equal(write_bytes(scene, end_of(scene, step->side), value), value);
		break;
	case FILL:
		write_bytes(scene, end_of(scene, step->side), SIZE_MAX);
		break;
	case READ:
		read_bytes(scene, end_of(scene, step->side), value);
		break;
	case READ_END:
	case READ_RESET:
		read_status(end_of(scene, step->side), step->action == READ_RESET);
		break;
	case READ_NOTHING:
		assert_int_equal(read(end_of(scene, step->side)->outer, &(char){0}, 1), -1);
		assert_int_equal(errno, EAGAIN);
		break;
	case REFUSED:
		forget_refused(half);
		break;
	case WRITE_FAILS:
		assert_int_equal(send(end_of(scene, step->side)->outer, "x", 1, MSG_NOSIGNAL), -1);
		assert_int_equal(errno, EPIPE);
		break;
	case SAME_PORT:
		half->engine.next_port = end_of(scene, step->side)->socket.connection.local_port;
		break;
	case SHUT:
		assert_int_equal(shutdown(end_of(scene, step->side)->outer, (int)value), 0);
		settle(scene);
		break;
	case CLOSE:
		fd_close(&end_of(scene, step->side)->outer);
		settle(scene);
		break;
	case BLOCK:
		block(end_of(scene, step->side));
		break;
	case UNBLOCK:
		unblock(scene, end_of(scene, step->side));
		break;
	case SEES:
		sees(half, step);
		break;
	case SEES_NOTHING:
		if (half->seen != half->traced)
			fail_msg("operation %u came", half->trace[half->seen].operation);
		break;
	case SKIP:
		assert_true(half->traced < TRACE_MAX);
		half->seen = half->traced;
		break;
	case HOLD:
		half->held = true;
		break;
	case RELEASE:
		half->held = false;
		settle(scene);
		break;
	case FORGE:
	case STRAY:
	case TYPE:
		forge(scene, step);
		break;
	case DEAF:
	case LISTEN:
		half->listens = step->action == LISTEN;
		break;
	case AGE:
		age(scene, value);
		break;
	case EXPIRE:
		expire(scene, step->side);
		break;
	case CREDIT:
		assert_int_equal(vsock_connection_credit(&end_of(scene, step->side)->socket.connection), value);
		break;
	case SENT:
		assert_int_equal((uint32_t)end_of(scene, step->side)->socket.connection.sent, value);
		break;
	case STALLS:
		assert_true(end_of(scene, step->side)->socket.connection.stalls > 0);
		break;
	case GONE:
		assert_int_equal(connections(half), value);
		break;
	case TURN:
		scene->which = value;
		break;
	case CROWD:
	case SERIES:
		crowd(scene, step, step->action == CROWD);
		break;
	case STOP:
		break;
	}
}

static void run_row(void **state)
{
	const struct row *row = *state;
	struct scene *scene = scene_new();

	for (at = 0; row->steps[at].action != STOP; at++)
		run_step(scene, &row->steps[at]);
	at = 0;
	scene_free(scene);
}

/* An assertion's line says nothing here: it is that of all rows. */
static int tell_where(void **state)
{
	const struct row *row = *state;

	if (row->steps[at].action != STOP && at > 0)
		print_message("# %s: in step %zu, counted from 0\n", row->name, at);
	return 0;
}

/* ---- The table ----------------------------------------------------------------------------------------------- */

#define CONNECTED {CONNECT, HOST, PORT}, {SKIP, HOST}, {SKIP, GUEST}
#define NO_MORE {SEES_NOTHING, HOST}, {SEES_NOTHING, GUEST}
#define ALL_GONE {GONE, HOST}, {GONE, GUEST}
#define LATE (UINT32_MAX - 999) /* a count that wraps after 1,000 bytes */

/* What a step doesn't need is left out. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static struct row rows[] = {
	{"a connection, and bytes both ways",
	 {{CONNECT, HOST, PORT},
	  {SEES, GUEST, 0, VSOCK_REQUEST},
	  {SEES, HOST, 0, VSOCK_RESPONSE},
	  {WRITE, HOST, 100},
	  {SEES, GUEST, 100, VSOCK_RW},
	  {READ, GUEST, 100},
	  {WRITE, GUEST, 50},
	  {SEES, HOST, 50, VSOCK_RW},
	  {READ, HOST, 50},
	  NO_MORE}},
	{"the peer connects",
	 {{CONNECT, GUEST, PORT},
	  {SEES, HOST, 0, VSOCK_REQUEST},
	  {SEES, GUEST, 0, VSOCK_RESPONSE},
	  {WRITE, HOST, 100},
	  {READ, GUEST, 100},
	  {WRITE, GUEST, 50},
	  {READ, HOST, 50}}},
	{"a port where nobody listens: RST, which is answered by nothing",
	 {{CONNECT, HOST, PORT + 1},
	  {REFUSED, HOST},
	  {SEES, GUEST, 0, VSOCK_REQUEST},
	  {SEES, HOST, 0, VSOCK_RST},
	  NO_MORE,
	  ALL_GONE}},
	{"somebody listens there again",
	 {{DEAF, GUEST},
	  {CONNECT, HOST, PORT},
	  {REFUSED, HOST},
	  {LISTEN, GUEST},
	  {CONNECT, HOST, PORT},
	  {WRITE, HOST, 10},
	  {READ, GUEST, 10}}},

	{"packets of no connection are answered by RST",
	 {{STRAY, HOST, 0, VSOCK_INVALID},   {SEES, GUEST, 0, VSOCK_RST},
	  {STRAY, HOST, 0, VSOCK_RESPONSE},  {SEES, GUEST, 0, VSOCK_RST},
	  {STRAY, HOST, 3, VSOCK_SHUTDOWN},  {SEES, GUEST, 0, VSOCK_RST},
	  {STRAY, HOST, 100, VSOCK_RW},	     {SEES, GUEST, 0, VSOCK_RST},
	  {STRAY, HOST, 0, VSOCK_CREDIT_UPDATE},  {SEES, GUEST, 0, VSOCK_RST},
	  {STRAY, HOST, 0, VSOCK_CREDIT_REQUEST}, {SEES, GUEST, 0, VSOCK_RST},
	  {STRAY, HOST, 0, VSOCK_OPERATIONS}, {SEES, GUEST, 0, VSOCK_RST},
	  {SEES_NOTHING, GUEST}}},
	{"RST of no connection is answered by nothing",
	 {{STRAY, HOST, 0, VSOCK_RST}, {SEES_NOTHING, GUEST}, {TYPE, HOST, 0, VSOCK_RST}, {SEES_NOTHING, GUEST}}},
	{"a socket type that nobody knows: RST",
	 {{TYPE, HOST, 0, VSOCK_REQUEST}, {SEES, GUEST, 0, VSOCK_RST}, {SEES_NOTHING, GUEST}, {GONE, HOST}}},
	{"a request that its sender has forgotten when the answer comes",
	 {{STRAY, HOST, 0, VSOCK_REQUEST},
	  {SEES, GUEST, 0, VSOCK_RESPONSE},
	  {SKIP, HOST},
	  {SEES_NOTHING, GUEST},
	  {READ_END, HOST},
	  ALL_GONE}},
	{"a second REQUEST, RESPONSE or unknown operation ends a connection",
	 {CONNECTED,
	  {FORGE, HOST, 0, VSOCK_REQUEST},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {TURN, HOST, 1},
	  CONNECTED,
	  {FORGE, HOST, 0, VSOCK_RESPONSE},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {TURN, HOST, 2},
	  CONNECTED,
	  {FORGE, HOST, 0, VSOCK_OPERATIONS},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {READ_END, HOST},
	  {READ_END, GUEST},
	  {SEES_NOTHING, GUEST},
	  ALL_GONE}},
	{"data before the RESPONSE refuses the connection",
	 {{HOLD, GUEST},
	  {CONNECT, HOST, PORT},
	  {SKIP, GUEST},
	  {FORGE, HOST, 5, VSOCK_RW},
	  {REFUSED, HOST},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {RELEASE, GUEST},
	  {SEES, GUEST, 0, VSOCK_RST}, /* of the RESPONSE that comes too late */
	  ALL_GONE}},

	{"the end of one way: SHUTDOWN(SEND), and the other way goes on",
	 {CONNECTED,
	  {SHUT, HOST, SHUT_WR},
	  {SEES, GUEST, VSOCK_SHUTDOWN_SEND, VSOCK_SHUTDOWN},
	  {READ_END, GUEST},
	  {WRITE, GUEST, 1000},
	  {READ, HOST, 1000},
	  {READ_NOTHING, HOST},
	  {SHUT, GUEST, SHUT_WR},
	  {SKIP, HOST},
	  {READ_END, HOST},
	  {CLOSE, HOST},
	  {CLOSE, GUEST},
	  ALL_GONE}},
	{"the peer's end of one way",
	 {CONNECTED,
	  {SHUT, GUEST, SHUT_WR},
	  {SEES, HOST, VSOCK_SHUTDOWN_SEND, VSOCK_SHUTDOWN},
	  {READ_END, HOST},
	  {WRITE, HOST, 1000},
	  {READ, GUEST, 1000},
	  {CLOSE, HOST},
	  {READ_END, GUEST},
	  {CLOSE, GUEST},
	  ALL_GONE}},
	{"who doesn't read any more: SHUTDOWN(RECEIVE) once something comes, EPIPE for the writer, and the other way goes on",
	 {CONNECTED,
	  {SHUT, HOST, SHUT_RD},
	  {WRITE, GUEST, 10},
	  {SEES, HOST, 10, VSOCK_RW},
	  {SEES, GUEST, VSOCK_SHUTDOWN_RECEIVE, VSOCK_SHUTDOWN},
	  {WRITE_FAILS, GUEST},
	  {WRITE, HOST, 1000},
	  {READ, GUEST, 1000},
	  {CLOSE, HOST},
	  {READ_END, GUEST},
	  {CLOSE, GUEST},
	  ALL_GONE}},
	{"what is on its way to who doesn't read any more is dropped, and frees its credit",
	 {CONNECTED,
	  {HOLD, GUEST},
	  {WRITE, GUEST, 100000},
	  {SHUT, HOST, SHUT_RD},
	  {RELEASE, GUEST},
	  {SEES, GUEST, 100000, VSOCK_CREDIT_UPDATE},
	  {SEES, GUEST, VSOCK_SHUTDOWN_RECEIVE, VSOCK_SHUTDOWN},
	  {CREDIT, GUEST, FULL}}},
	{"both ends at once: SHUTDOWN(both), answered by RST, answered by nothing",
	 {CONNECTED,
	  {CLOSE, HOST},
	  {SEES, GUEST, VSOCK_SHUTDOWN_BOTH, VSOCK_SHUTDOWN},
	  {SEES, HOST, 0, VSOCK_RST},
	  NO_MORE,
	  {READ_END, GUEST},
	  ALL_GONE}},
	{"SHUTDOWN's flags add up, none says nothing, and unknown ones neither",
	 {CONNECTED,
	  {FORGE, HOST, 0, VSOCK_SHUTDOWN},
	  {FORGE, HOST, 4, VSOCK_SHUTDOWN},
	  {READ_NOTHING, HOST},
	  {FORGE, HOST, VSOCK_SHUTDOWN_RECEIVE, VSOCK_SHUTDOWN},
	  {READ_NOTHING, HOST},
	  {SEES_NOTHING, GUEST},
	  {FORGE, HOST, VSOCK_SHUTDOWN_SEND, VSOCK_SHUTDOWN},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {READ_END, HOST},
	  ALL_GONE}},
	{"data behind the end that its sender has told: RST",
	 {CONNECTED,
	  {FORGE, HOST, VSOCK_SHUTDOWN_SEND, VSOCK_SHUTDOWN},
	  {READ_END, HOST},
	  {FORGE, HOST, 5, VSOCK_RW},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {READ_END, HOST},
	  ALL_GONE}},
	{"SHUTDOWN for a connection that isn't there yet refuses it",
	 {{HOLD, GUEST}, {CONNECT, HOST, PORT}, {FORGE, HOST, 2, VSOCK_SHUTDOWN}, {REFUSED, HOST}, {RELEASE, GUEST}, ALL_GONE}},

	{"the end comes behind the data",
	 {CONNECTED, {WRITE, HOST, 50000}, {SHUT, HOST, SHUT_WR}, {READ, GUEST, 50000}, {READ_END, GUEST}}},
	{"the end of one way comes behind the data, also where that waits for its reader",
	 {CONNECTED,
	  {BLOCK, GUEST},
	  {WRITE, HOST, 200000},
	  {SHUT, HOST, SHUT_WR},
	  {UNBLOCK, GUEST},
	  {READ, GUEST, 200000},
	  {READ_END, GUEST},
	  {WRITE, GUEST, 10},
	  {READ, HOST, 10}}},
	{"a closed end comes behind the data, also where that waits for its reader",
	 {CONNECTED,
	  {BLOCK, GUEST},
	  {WRITE, HOST, 200000},
	  {CLOSE, HOST},
	  ALL_GONE, /* for the engines: the rest is between a socket and its reader */
	  {UNBLOCK, GUEST},
	  {READ, GUEST, 200000},
	  {READ_END, GUEST}}},
	{"more than the credit, and closed: all of it comes, as its reader takes it",
	 {CONNECTED,
	  {BLOCK, GUEST},
	  {WRITE, HOST, FULL + 50000},
	  {CLOSE, HOST},
	  {SENT, HOST, FULL},
	  {UNBLOCK, GUEST},
	  {READ, GUEST, FULL + 50000},
	  {READ_END, GUEST},
	  ALL_GONE}},
	{"data on its way when its sender closes comes",
	 {CONNECTED,
	  {HOLD, HOST},
	  {WRITE, HOST, 3000},
	  {CLOSE, HOST},
	  {RELEASE, HOST},
	  {READ, GUEST, 3000},
	  {READ_END, GUEST},
	  ALL_GONE}},
	{"data on its way when its receiver closes is lost, and hurts nobody",
	 {CONNECTED,
	  {HOLD, GUEST},
	  {WRITE, GUEST, 3000},
	  {CLOSE, HOST},
	  {RELEASE, GUEST},
	  {SEES, GUEST, VSOCK_SHUTDOWN_BOTH, VSOCK_SHUTDOWN},
	  {SEES, HOST, 3000, VSOCK_RW},
	  {SEES, HOST, 0, VSOCK_RST},
	  NO_MORE,
	  {READ_RESET, GUEST},
	  ALL_GONE}},
	{"both close at the same time",
	 {CONNECTED,
	  {HOLD, HOST},
	  {HOLD, GUEST},
	  {CLOSE, HOST},
	  {CLOSE, GUEST},
	  {RELEASE, HOST},
	  {RELEASE, GUEST},
	  {SEES, GUEST, VSOCK_SHUTDOWN_BOTH, VSOCK_SHUTDOWN},
	  ALL_GONE}},
	{"one who never answers a close is reset in the end, and what he says then is nobody's",
	 {CONNECTED,
	  {HOLD, GUEST},
	  {CLOSE, HOST},
	  {SEES, GUEST, VSOCK_SHUTDOWN_BOTH, VSOCK_SHUTDOWN},
	  {GONE, HOST, 1},
	  {EXPIRE, HOST},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {GONE, HOST},
	  {RELEASE, GUEST},
	  {SEES_NOTHING, GUEST},
	  ALL_GONE}},
	{"a port is used again at once",
	 {CONNECTED,
	  {CLOSE, HOST},
	  {SAME_PORT, HOST},
	  {TURN, HOST, 1},
	  CONNECTED,
	  {WRITE, HOST, 100},
	  {READ, GUEST, 100},
	  {WRITE, GUEST, 100},
	  {READ, HOST, 100}}},
	{"a port is used again while the answers to its last use are on their way",
	 {CONNECTED,
	  {HOLD, HOST},
	  {CLOSE, GUEST},
	  {SAME_PORT, GUEST},
	  {RELEASE, HOST},
	  {TURN, HOST, 1},
	  CONNECTED,
	  {WRITE, GUEST, 100},
	  {READ, HOST, 100},
	  {READ_NOTHING, HOST}}},

	{"credit is told with each quarter that a reader has taken, and no sooner",
	 {CONNECTED,
	  {WRITE, HOST, FULL / 4 - 1},
	  {READ, GUEST, FULL / 4 - 1},
	  {SEES_NOTHING, HOST},
	  {CREDIT, HOST, 3 * FULL / 4 + 1},
	  {WRITE, HOST, 1},
	  {SEES, HOST, FULL / 4, VSOCK_CREDIT_UPDATE},
	  {CREDIT, HOST, FULL},
	  {SEES_NOTHING, HOST}}},
	{"data tells credit too",
	 {CONNECTED,
	  {WRITE, HOST, 10000},
	  {READ, GUEST, 10000},
	  {CREDIT, HOST, FULL - 10000},
	  {WRITE, GUEST, 1},
	  {SEES, HOST, 1, VSOCK_RW},
	  {CREDIT, HOST, FULL},
	  {SEES_NOTHING, HOST}}},
	{"CREDIT_REQUEST is answered",
	 {CONNECTED,
	  {FORGE, HOST, 0, VSOCK_CREDIT_REQUEST},
	  {SEES, GUEST, 0, VSOCK_CREDIT_UPDATE},
	  {WRITE, GUEST, 10},
	  {FORGE, HOST, 0, VSOCK_CREDIT_REQUEST},
	  {SEES, GUEST, 10, VSOCK_CREDIT_UPDATE},
	  {SEES_NOTHING, GUEST}}},
	{"a reader that takes nothing: exactly the credit is sent",
	 {CONNECTED,
	  {BLOCK, GUEST},
	  {WRITE, HOST, FULL - 1},
	  {CREDIT, HOST, 1},
	  {WRITE, HOST, 1},
	  {CREDIT, HOST, 0},
	  {SENT, HOST, FULL},
	  {WRITE, HOST, 1}, /* into the socket */
	  {SENT, HOST, FULL},
	  {STALLS, HOST},
	  {SKIP, GUEST},
	  {SEES, HOST, 0, VSOCK_CREDIT_UPDATE}, /* asked for once */
	  NO_MORE,
	  {UNBLOCK, GUEST},
	  {READ, GUEST, FULL + 1},
	  {SENT, HOST, FULL + 1},
	  {READ_NOTHING, GUEST}}},
	{"more than the credit at once waits, and all of it comes",
	 {CONNECTED,
	  {BLOCK, GUEST},
	  {FILL, HOST},
	  {SENT, HOST, FULL},
	  {STALLS, HOST},
	  {UNBLOCK, GUEST},
	  {READ, GUEST, FULL},
	  {SKIP, GUEST}}},
	{"what exactly fills the buffer is taken, a byte more ends the connection",
	 {CONNECTED,
	  {BLOCK, HOST},
	  {FORGE, HOST, FULL, VSOCK_RW},
	  {SEES_NOTHING, GUEST},
	  {FORGE, HOST, 1, VSOCK_RW},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {UNBLOCK, HOST},
	  {READ, HOST, FULL},
	  {READ_END, HOST}}},
	{"a packet that is more than the buffer ends the connection",
	 {CONNECTED,
	  {FORGE, HOST, FULL + 1, VSOCK_RW},
	  {SEES, GUEST, 0, VSOCK_RST},
	  {READ_END, HOST},
	  ALL_GONE}},
	{"a peer that claims to have read what wasn't sent gets nothing until it is right again",
	 {CONNECTED,
	  {HOLD, GUEST},
	  {FORGE, HOST, 1000, VSOCK_CREDIT_UPDATE},
	  {CREDIT, HOST, 0},
	  {WRITE, HOST, 10},
	  {SENT, HOST, 0},
	  {SEES, GUEST, 0, VSOCK_CREDIT_REQUEST},
	  {RELEASE, GUEST},
	  {READ, GUEST, 10}}},
	{"counts wrap: a stream past 4 GiB",
	 {CONNECTED,
	  {AGE, HOST, LATE},
	  {WRITE, HOST, FULL / 4},
	  {READ, GUEST, FULL / 4},
	  {SKIP, GUEST},
	  {SEES, HOST, FULL / 4 - 1000, VSOCK_CREDIT_UPDATE},
	  {CREDIT, HOST, FULL},
	  {WRITE, GUEST, 5000},
	  {READ, HOST, 5000}}},
	{"counts wrap: a full buffer across it, a byte more, and on",
	 {CONNECTED,
	  {AGE, HOST, LATE},
	  {BLOCK, GUEST},
	  {WRITE, HOST, FULL},
	  {CREDIT, HOST, 0},
	  {SENT, HOST, FULL - 1000},
	  {WRITE, HOST, 1},
	  {SENT, HOST, FULL - 1000},
	  {UNBLOCK, GUEST},
	  {READ, GUEST, FULL + 1},
	  {SENT, HOST, FULL - 999}}},
	{"counts wrap: what exactly fills the buffer is taken, a byte more isn't",
	 {CONNECTED,
	  {AGE, HOST, LATE},
	  {BLOCK, HOST},
	  {FORGE, HOST, FULL, VSOCK_RW},
	  {SEES_NOTHING, GUEST},
	  {FORGE, HOST, 1, VSOCK_RW},
	  {SEES, GUEST, 0, VSOCK_RST}}},

	{"one who doesn't read holds up no other connection",
	 {CONNECTED,
	  {BLOCK, GUEST},
	  {FILL, HOST},
	  {TURN, HOST, 1},
	  CONNECTED,
	  {WRITE, HOST, 100000},
	  {READ, GUEST, 100000},
	  {WRITE, GUEST, 100000},
	  {READ, HOST, 100000}}},
	{"1,000 connections at the same time", {{CROWD, HOST, 1000}, ALL_GONE}},
	{"1,000 connections of the peer's at the same time", {{CROWD, GUEST, 1000}, ALL_GONE}},
	{"1,000 connections one after the other", {{SERIES, HOST, 1000}, ALL_GONE}},
};

int main(void)
{
	static struct CMUnitTest tests[array_size(rows)];
	struct rlimit limit = {.rlim_cur = 4 * ENDS_MAX + 64, .rlim_max = 4 * ENDS_MAX + 64}; /* two a socket pair, two pairs */

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		print_message("# %u descriptors are more than may be had\n", 4 * ENDS_MAX + 64);
	for (size_t i = 0; i < array_size(rows); i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i].name, .test_func = run_row, .teardown_func = tell_where, .initial_state = &rows[i]};
	return cmocka_run_group_tests_name("virtio-vsock, two engines back to back", tests, NULL, NULL);
}
