// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c lib/vsock_engine.c lib/vsock_send.c lib/vsock_serial.c
// uses: lib/vsock_socket.c proxy/stream.c proxy/message_socket.c agent/serial.c agent/device/wait.c proxy/serial_carrier.c
// uses: proxy/unix_socket.c proxy/line.c
/* The serial carrier with both its halves back to back, the proxy's streams and the agent's listeners, over a pair of
 * sockets that stands for the port; and either half with a peer that breaks the rules.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/serial.h"
#include "lib/fd.h"
#include "proxy/carrier.h"
#include "proxy/stream.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define PORT 1024
#define STEPS 20000
#define CONNECTIONS_MAX 16
#define MIB (1u << 20)

struct host {
	struct vsock_engine engine;
	struct vsock_serial serial;
	struct streams streams;
	unsigned hang_ups;
};

struct scene {
	struct loop loop;
	struct loop_timer tick;
	int port[2]; /* the host's end and the guest's */
	struct host *host;
	struct serial *guest;
	struct listener listener;
	int accepted[CONNECTIONS_MAX]; /* the guest's ends of its connections, in their order */
	size_t accepted_count;
	uint32_t peer_port; /* of the last one */
};

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

static void step(struct scene *scene, uint64_t time)
{
	loop_timer_set(&scene->loop, &scene->tick, time, nothing);
	assert_int_equal(loop_step(&scene->loop), 0);
	loop_timer_clear(&scene->loop, &scene->tick);
}

static void steps(struct scene *scene, unsigned count)
{
	while (count-- > 0)
		step(scene, 0);
}

/* ---- The two halves ------------------------------------------------------------------------------------------ */

static void started(struct vsock_engine *engine)
{
	streams_started(&container_of(engine, struct host, engine)->streams);
}

static struct vsock_connection *refuse(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	(void)engine;
	(void)local_port;
	(void)peer_port;
	return NULL;
}

static const struct vsock_engine_ops host_ops = {.accept = refuse, .started = started};

static void agent_opened(struct streams *streams)
{
	(void)streams;
}

static void host_hung_up(struct vsock_serial *serial)
{
	container_of(serial, struct host, serial)->hang_ups++;
	vsock_serial_close(serial);
}

static void host_start(struct scene *scene)
{
	struct host *host = calloc(1, sizeof(*host));

	assert_non_null(host);
	vsock_engine_init(&host->engine, &scene->loop, VSOCK_HOST_CID, VSOCK_SERIAL_GUEST_CID, &host_ops);
	streams_init(&host->streams, &scene->loop, &host->engine, agent_opened);
	vsock_serial_init(&host->serial, &scene->loop, &host->engine, host_hung_up);
	assert_int_equal(vsock_serial_open(&host->serial, scene->port[0]), 0);
	scene->host = host;
}

/* As a process that dies: what it would still have sent is gone, the port stays. */
static void host_die(struct scene *scene)
{
	loop_remove(&scene->loop, &scene->host->serial.source);
	vsock_engine_stop(&scene->host->engine);
	streams_destroy(&scene->host->streams);
	loop_timer_clear(&scene->loop, &scene->host->serial.work);
	free(scene->host);
	scene->host = NULL;
}

static void guest_accepted(struct listener *listener, int fd, uint32_t peer_port)
{
	struct scene *scene = container_of(listener, struct scene, listener);

	assert_true(scene->accepted_count < CONNECTIONS_MAX);
	scene->accepted[scene->accepted_count++] = fd;
	scene->peer_port = peer_port;
}

static void guest_start(struct scene *scene)
{
	scene->guest = calloc(1, sizeof(*scene->guest));
	assert_non_null(scene->guest);
	scene->listener = (struct listener){.fd = -1, .accepted = guest_accepted};
	assert_int_equal(serial_open(scene->guest, &scene->loop, scene->port[1]), 0);
	serial_listen(scene->guest, PORT, &scene->listener);
}

static void guest_die(struct scene *scene)
{
	loop_remove(&scene->loop, &scene->guest->carrier.source);
	vsock_engine_stop(&scene->guest->engine);
	loop_timer_clear(&scene->loop, &scene->guest->carrier.work);
	/* Sockets whose backlog has a reader yet. */
	for (size_t i = 0; i < scene->accepted_count; i++)
		close(scene->accepted[i]);
	scene->accepted_count = 0;
	while (scene->guest->connection_count > 0)
		step(scene, LOOP_MILLISECOND);
	free(scene->guest);
	scene->guest = NULL;
}

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	assert_non_null(scene);
	assert_int_equal(loop_init(&scene->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, scene->port), 0);
	return scene;
}

static struct scene *scene_with_both(void)
{
	struct scene *scene = scene_new();

	guest_start(scene);
	host_start(scene);
	return scene;
}

static void scene_free(struct scene *scene)
{
	if (scene->host)
		host_die(scene);
	if (scene->guest)
		guest_die(scene);
	loop_destroy(&scene->loop);
	fd_close(&scene->port[0]);
	fd_close(&scene->port[1]);
	free(scene);
}

/* ---- Clients ------------------------------------------------------------------------------------------------- */

static int client_new(struct scene *scene, enum stream_origin origin)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(streams_serve(&scene->host->streams, pair[1], origin, PORT), 0);
	return pair[0];
}

/* Waits for bytes; 0 at the end. */
static ssize_t await(struct scene *scene, int fd, void *data, size_t size)
{
	for (int i = 0; i < STEPS; i++) {
		ssize_t length = read(fd, data, size);

		if (length >= 0 || errno == ECONNRESET)
			return length < 0 ? 0 : length;
		assert_int_equal(errno, EAGAIN);
		step(scene, LOOP_MILLISECOND);
	}
	fail_msg("nothing came");
	return -1;
}

static void expect(struct scene *scene, int fd, const char *text)
{
	char data[256];
	size_t done = 0, wanted = strlen(text);

	while (done < wanted) {
		ssize_t length = await(scene, fd, data + done, wanted - done);

		assert_true(length > 0);
		done += (size_t)length;
	}
	assert_memory_equal(data, text, wanted);
}

static void expect_end(struct scene *scene, int fd)
{
	assert_int_equal(await(scene, fd, &(char){0}, 1), 0);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void await_accept(struct scene *scene, size_t count)
{
	for (int i = 0; scene->accepted_count < count && i < STEPS; i++)
		step(scene, LOOP_MILLISECOND);
	assert_int_equal(scene->accepted_count, count);
}

/* A connection: the client's end is returned, the guest's is the last one accepted. */
static int client_connected(struct scene *scene)
{
	int fd = client_new(scene, STREAM_AGENT);

	await_accept(scene, scene->accepted_count + 1);
	return fd;
}

static int last(const struct scene *scene)
{
	return scene->accepted[scene->accepted_count - 1];
}

static uint8_t pattern(size_t position)
{
	return (uint8_t)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

/* Writes what fits, and reads what is there, as much as `limit`. */
struct flow {
	int from, to;
	size_t sent, received;
	bool ended;
};

static void flow_send(struct flow *flow, size_t limit)
{
	static uint8_t data[1 << 16];
	size_t size = limit - flow->sent < sizeof(data) ? limit - flow->sent : sizeof(data);
	ssize_t length;

	for (size_t i = 0; i < size; i++)
		data[i] = pattern(flow->sent + i);
	length = size > 0 ? send(flow->from, data, size, MSG_NOSIGNAL) : 0;
	if (length > 0)
		flow->sent += (size_t)length;
}

static void flow_receive(struct flow *flow)
{
	static uint8_t data[1 << 16];
	ssize_t length = read(flow->to, data, sizeof(data));

	flow->ended = flow->ended || length == 0;
	for (ssize_t i = 0; i < length; i++)
		assert_int_equal(data[i], pattern(flow->received + (size_t)i));
	if (length > 0)
		flow->received += (size_t)length;
}

/* Until nothing more fits, with a reader who doesn't read. */
static void fill(struct scene *scene, struct flow *flow)
{
	size_t before = flow->sent;

	for (int still = 0; still < 50; still = flow->sent == before ? still + 1 : 0) {
		before = flow->sent;
		flow_send(flow, flow->received + 16 * MIB);
		step(scene, 0);
	}
}

static void flow_all(struct scene *scene, struct flow *flow, size_t size)
{
	for (int i = 0; flow->received < size && i < STEPS; i++) {
		flow_send(flow, size);
		flow_receive(flow);
		step(scene, flow->received < size ? 0 : LOOP_MILLISECOND);
	}
	assert_int_equal(flow->received, size);
}

/* ---- Both halves --------------------------------------------------------------------------------------------- */

static void a_connection_carries_both_ways(void **state)
{
	struct scene *scene = scene_with_both();
	int fd = client_new(scene, STREAM_PORT);
	char line[32];

	(void)state;
	/* vsock.sock refuses while the guest isn't there, so it has to come first. */
	close(fd);
	fd = client_connected(scene);
	say(fd, "ping");
	expect(scene, last(scene), "ping");
	say(last(scene), "pong");
	expect(scene, fd, "pong");
	close(fd);
	expect_end(scene, last(scene));

	fd = client_new(scene, STREAM_PORT);
	say(fd, "CONNECT 1024\nand more");
	await_accept(scene, 2);
	/* What the agent tells streams apart by. */
	snprintf(line, sizeof(line), "OK %u\n", scene->peer_port);
	expect(scene, fd, line);
	expect(scene, last(scene), "and more");
	close(last(scene));
	expect_end(scene, fd);
	close(fd);
	scene_free(scene);
}

static void a_port_where_nobody_listens_is_closed(void **state)
{
	struct scene *scene = scene_with_both();
	int first = client_connected(scene), fd = client_new(scene, STREAM_PORT);

	(void)state;
	say(fd, "CONNECT 1025\n");
	expect_end(scene, fd);
	close(fd);
	say(first, "still here");
	expect(scene, last(scene), "still here");
	close(first);
	scene_free(scene);
}

static void half_closes_end_one_way(void **state)
{
	struct scene *scene = scene_with_both();
	int fd = client_connected(scene);

	(void)state;
	say(fd, "all there is");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect(scene, last(scene), "all there is");
	expect_end(scene, last(scene));
	say(last(scene), "the answer");
	expect(scene, fd, "the answer");
	close(last(scene));
	expect_end(scene, fd);
	close(fd);

	fd = client_connected(scene);
	say(last(scene), "all there is");
	assert_int_equal(shutdown(last(scene), SHUT_WR), 0);
	expect(scene, fd, "all there is");
	expect_end(scene, fd);
	say(fd, "the answer");
	expect(scene, last(scene), "the answer");
	close(fd);
	expect_end(scene, last(scene));
	scene_free(scene);
}

/* Each way one stream that isn't read keeps a bounded amount, and hinders no other. */
static void credit_bounds_what_isn_t_read(void **state)
{
	for (int way = 0; way < 2; way++) {
		struct scene *scene = scene_with_both();
		int fd = client_connected(scene), guest_fd = last(scene), other;
		struct flow flow = {.from = way ? fd : guest_fd, .to = way ? guest_fd : fd};
		size_t stuck;

		(void)state;
		fill(scene, &flow);
		stuck = flow.sent;
		/* Two sockets' buffers besides, of some 200 KiB each. */
		assert_in_range(stuck, VSOCK_BUFFER, VSOCK_BUFFER + MIB);
		other = client_connected(scene);
		say(other, "quick");
		expect(scene, last(scene), "quick");
		say(last(scene), "quick too");
		expect(scene, other, "quick too");
		flow_all(scene, &flow, stuck + MIB);
		close(other);
		close(fd);
		scene_free(scene);
	}
}

/* What a half-close finds unread at the other end comes before it. */
static void the_end_comes_after_the_backlog(void **state)
{
	for (int way = 0; way < 2; way++) {
		struct scene *scene = scene_with_both();
		int fd = client_connected(scene), guest_fd = last(scene);
		struct flow flow = {.from = way ? fd : guest_fd, .to = way ? guest_fd : fd};
		const struct vsock_connection *sender;

		(void)state;
		sender = container_of((way ? &scene->host->engine : &scene->guest->engine)->connections.next,
				      struct vsock_connection, all);
		while (flow.sent < VSOCK_BUFFER) {
			flow_send(&flow, VSOCK_BUFFER);
			step(scene, 0);
		}
		assert_int_equal(shutdown(flow.from, SHUT_WR), 0);
		for (int i = 0; !(sender->shut & VSOCK_SHUTDOWN_SEND) && i < STEPS; i++)
			step(scene, 0);
		steps(scene, 10);
		assert_true(sender->shut & VSOCK_SHUTDOWN_SEND);
		flow_all(scene, &flow, VSOCK_BUFFER);
		expect_end(scene, flow.to);
		close(fd);
		scene_free(scene);
	}
}

static void many_connections_share_the_port(void **state)
{
	enum { count = 8 };
	struct scene *scene = scene_with_both();
	struct flow flows[2 * count];
	int fds[count];
	bool all;

	(void)state;
	for (int i = 0; i < count; i++) {
		fds[i] = client_connected(scene);
		flows[2 * i] = (struct flow){.from = fds[i], .to = last(scene)};
		flows[2 * i + 1] = (struct flow){.from = last(scene), .to = fds[i]};
	}
	for (int turns = 0; turns < STEPS; turns++) {
		all = true;
		for (int i = 0; i < 2 * count; i++) {
			flow_send(&flows[i], MIB);
			flow_receive(&flows[i]);
			all = all && flows[i].received == MIB;
		}
		if (all)
			break;
		step(scene, 0);
	}
	assert_true(all);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	scene_free(scene);
}

/* A VM that is paused sends nothing and takes nothing, for as long as it likes. */
static void nothing_is_due_while_nothing_happens(void **state)
{
	struct scene *scene = scene_with_both();
	int fd = client_connected(scene);

	(void)state;
	say(fd, "x");
	expect(scene, last(scene), "x");
	steps(scene, 10);
	assert_null(scene->loop.timers);
	close(fd);
	scene_free(scene);
}

/* ---- Sessions ------------------------------------------------------------------------------------------------ */

/* Until a frame is in the port, but not all of it: small buffers make that so. */
static void stop_within_a_frame(struct scene *scene, int end, int writer)
{
	static uint8_t data[VSOCK_SERIAL_PAYLOAD];
	int size = 4096;
	const struct vsock_serial *sender = end == 0 ? &scene->host->serial : &scene->guest->carrier;

	assert_int_equal(setsockopt(scene->port[end], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	memset(data, 'd', sizeof(data));
	assert_int_equal(send(writer, data, sizeof(data), MSG_NOSIGNAL), sizeof(data));
	for (int i = 0; sender->out_start == 0 && i < STEPS; i++)
		step(scene, 0);
	assert_true(sender->out_start > 0 && sender->out_start < sender->out_end);
}

/* No reader sees anything but what was sent. */
static void expect_only(struct scene *scene, int fd, char wanted)
{
	char data[4096];
	ssize_t length;

	while ((length = await(scene, fd, data, sizeof(data))) > 0)
		for (ssize_t i = 0; i < length; i++)
			assert_int_equal(data[i], wanted);
}

static void a_new_host_begins_a_session(void **state)
{
	struct scene *scene = scene_with_both();
	int fd = client_connected(scene), old = last(scene);

	(void)state;
	loop_change(&scene->loop, &scene->guest->carrier.source, 0);
	stop_within_a_frame(scene, 0, fd);
	host_die(scene);
	loop_change(&scene->loop, &scene->guest->carrier.source, EPOLLIN | EPOLLOUT | EPOLLET);
	host_start(scene);
	expect_only(scene, old, 'd');
	close(fd);
	fd = client_connected(scene);
	say(fd, "hello again");
	expect(scene, last(scene), "hello again");
	close(fd);
	scene_free(scene);
}

static void a_new_guest_begins_a_session(void **state)
{
	struct scene *scene = scene_with_both();
	int fd = client_connected(scene);

	(void)state;
	loop_change(&scene->loop, &scene->host->serial.source, 0);
	stop_within_a_frame(scene, 1, last(scene));
	guest_die(scene);
	loop_change(&scene->loop, &scene->host->serial.source, EPOLLIN | EPOLLOUT | EPOLLET);
	guest_start(scene);
	expect_only(scene, fd, 'd');
	close(fd);
	fd = client_connected(scene);
	say(fd, "hello again");
	expect(scene, last(scene), "hello again");
	close(fd);
	scene_free(scene);
}

/* The end of the way is that of the session; what has come before it is read. */
static void a_port_without_a_host_ends_the_connections(void **state)
{
	struct scene *scene = scene_with_both();
	struct flow flow = {.from = client_connected(scene), .to = last(scene)};

	(void)state;
	fill(scene, &flow);
	host_die(scene);
	fd_close(&scene->port[0]);
	for (int i = 0; !flow.ended && i < STEPS; i++) {
		step(scene, 0);
		flow_receive(&flow);
	}
	assert_true(flow.ended);
	assert_in_range(flow.received, VSOCK_BUFFER, flow.sent);
	assert_int_equal(scene->guest->carrier.state, VSOCK_SERIAL_SILENT);
	close(flow.from);
	scene_free(scene);
}

/* The agent dies with something unread in the port: what a container is sent there can't pass for a session. */
static void a_forged_hello_begins_none(void **state)
{
	struct scene *scene = scene_with_both();
	struct vsock_hello forged = {.magic = {VSOCK_SERIAL_MAGIC}, .nonce = 77, .echo = 0};
	int fd = client_connected(scene);
	uint8_t data[64];

	(void)state;
	loop_change(&scene->loop, &scene->guest->carrier.source, 0);
	memcpy(data, &forged, sizeof(forged));
	/* The beginning of another, in which the real one begins. */
	memcpy(data + sizeof(forged), &forged, 8);
	assert_int_equal(send(fd, data, sizeof(forged) + 8, MSG_NOSIGNAL), sizeof(forged) + 8);
	steps(scene, 10);
	guest_die(scene);
	guest_start(scene);
	steps(scene, 10);
	assert_int_equal(scene->guest->carrier.state, VSOCK_SERIAL_UP);
	assert_int_equal(scene->guest->carrier.peer_nonce, scene->host->serial.nonce);
	close(fd);
	fd = client_connected(scene);
	close(fd);
	scene_free(scene);
}

/* ---- A hostile peer ------------------------------------------------------------------------------------------ */

/* The other end by hand: what it reads, and what it has learnt. */
struct stranger {
	struct scene *scene;
	uint64_t nonce, host_nonce;
	uint8_t data[VSOCK_SERIAL_FRAME];
	size_t length;
};

static void stranger_send(struct stranger *stranger, const void *bytes, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t here = send(stranger->scene->port[1], (const uint8_t *)bytes + done, length - done, MSG_NOSIGNAL);

		if (here > 0)
			done += (size_t)here;
		step(stranger->scene, 0);
	}
}

static void stranger_hello(struct stranger *stranger, uint64_t nonce, uint64_t echo)
{
	struct vsock_hello hello = {.magic = {VSOCK_SERIAL_MAGIC}, .nonce = htole64(nonce), .echo = htole64(echo)};

	stranger->nonce = nonce;
	stranger_send(stranger, &hello, sizeof(hello));
}

static void stranger_frame(struct stranger *stranger, struct vsock_header header, const void *payload, uint64_t seal)
{
	struct vsock_wire_header wire = vsock_header_encode(&header);

	stranger_send(stranger, &wire, sizeof(wire));
	stranger_send(stranger, payload, header.length);
	stranger_send(stranger, &seal, sizeof(seal));
}

/* Reads on until the next HELLO of the host's, whatever comes before it. */
static struct vsock_hello stranger_await_hello(struct stranger *stranger)
{
	struct vsock_hello hello;

	stranger->length = 0;
	for (;;) {
		/* A byte at a time: what is behind it stays. */
		assert_int_equal(await(stranger->scene, stranger->scene->port[1], stranger->data + stranger->length, 1), 1);
		stranger->length++;
		if (stranger->length >= sizeof(hello) &&
		    memcmp(stranger->data + stranger->length - sizeof(hello), VSOCK_SERIAL_MAGIC, 8) == 0)
			break;
		if (stranger->length == sizeof(stranger->data))
			stranger->length = sizeof(hello);
	}
	memcpy(&hello, stranger->data + stranger->length - sizeof(hello), sizeof(hello));
	stranger->host_nonce = le64toh(hello.nonce);
	return hello;
}

static void stranger_greets(struct stranger *stranger)
{
	static uint64_t nonce = 1000;
	uint64_t mine = ++nonce;

	while (stranger_await_hello(stranger).echo != htole64(mine))
		stranger_hello(stranger, mine, stranger->host_nonce);
	stranger_hello(stranger, mine, stranger->host_nonce);
	steps(stranger->scene, 3);
	assert_int_equal(stranger->scene->host->serial.state, VSOCK_SERIAL_UP);
}

static struct vsock_header stranger_packet(enum vsock_operation operation, uint32_t port, uint32_t host_port)
{
	return (struct vsock_header){
		.source_cid = VSOCK_SERIAL_GUEST_CID,
		.destination_cid = VSOCK_HOST_CID,
		.source_port = port,
		.destination_port = host_port,
		.type = VSOCK_TYPE_STREAM,
		.operation = (uint16_t)operation,
		.buffer = VSOCK_BUFFER,
	};
}

/* A client of the host's that the stranger has accepted; its port is in *host_port. */
static int stranger_accepts(struct stranger *stranger, uint32_t *host_port)
{
	int fd = client_new(stranger->scene, STREAM_AGENT);
	struct vsock_wire_header wire;
	struct vsock_header header;
	size_t length = 0;

	while (length < sizeof(wire) + VSOCK_SERIAL_SEAL)
		length += (size_t)await(stranger->scene, stranger->scene->port[1], stranger->data + length,
					sizeof(wire) + VSOCK_SERIAL_SEAL - length);
	memcpy(&wire, stranger->data, sizeof(wire));
	header = vsock_header_decode(&wire);
	assert_int_equal(header.operation, VSOCK_REQUEST);
	*host_port = header.source_port;
	stranger_frame(stranger, stranger_packet(VSOCK_RESPONSE, PORT, *host_port), "", stranger->nonce);
	return fd;
}

enum offence { GARBAGE, TOO_LONG, WRONG_SEAL, WRONG_CID, CUT, OFFENCES };

static void offend(struct stranger *stranger, enum offence offence, uint32_t host_port)
{
	static uint8_t data[VSOCK_SERIAL_FRAME];
	struct vsock_header header = stranger_packet(VSOCK_RW, PORT, host_port);

	switch (offence) {
	case GARBAGE:
		assert_int_equal(getrandom(data, 256, 0), 256);
		stranger_send(stranger, data, 256);
		break;
	case TOO_LONG:
		header.length = VSOCK_SERIAL_PAYLOAD + 1;
		stranger_frame(stranger, header, data, stranger->nonce);
		break;
	case WRONG_SEAL:
		header.length = 5;
		stranger_frame(stranger, header, "wrong", stranger->nonce ^ 1);
		break;
	case WRONG_CID:
		header.source_cid = 4;
		stranger_frame(stranger, header, "", stranger->nonce);
		break;
	default: /* a packet that is never completed, but for the zeros of whoever comes next */
		header.length = 1000;
		stranger_send(stranger, &(struct vsock_wire_header){0}, 0);
		{
			struct vsock_wire_header wire = vsock_header_encode(&header);

			stranger_send(stranger, &wire, sizeof(wire));
		}
		memset(data, 0, sizeof(data));
		stranger_send(stranger, data, sizeof(data));
		break;
	}
}

/* Each ends the session with all its connections, tells the guest so, and the next one is served. */
static void what_is_no_frame_ends_the_session(void **state)
{
	(void)state;
	for (int offence = 0; offence < OFFENCES; offence++) {
		struct scene *scene = scene_new();
		struct stranger stranger = {.scene = scene};
		uint32_t host_port;
		uint64_t before;
		int fd;

		host_start(scene);
		stranger_greets(&stranger);
		fd = stranger_accepts(&stranger, &host_port);
		before = stranger.host_nonce;
		offend(&stranger, (enum offence)offence, host_port);
		expect_end(scene, fd);
		assert_int_not_equal(scene->host->serial.nonce, before);
		assert_int_equal(scene->host->serial.state, VSOCK_SERIAL_GREETING);
		close(fd);
		stranger_greets(&stranger);
		fd = stranger_accepts(&stranger, &host_port);
		say(fd, "served again");
		steps(scene, 3);
		close(fd);
		scene_free(scene);
	}
}

/* Frames without a session, of an old one, and with somebody else's idea of it. */
static void frames_before_a_session_are_passed_over(void **state)
{
	struct scene *scene = scene_new();
	struct stranger stranger = {.scene = scene, .nonce = 5};

	(void)state;
	host_start(scene);
	stranger_await_hello(&stranger);
	stranger_frame(&stranger, stranger_packet(VSOCK_REQUEST, 9, 9), "", 5);
	stranger_hello(&stranger, 5, stranger.host_nonce + 1);
	stranger_frame(&stranger, stranger_packet(VSOCK_REQUEST, 9, 9), "", 5);
	stranger_hello(&stranger, 0, stranger.host_nonce);
	steps(scene, 3);
	assert_int_equal(scene->host->serial.state, VSOCK_SERIAL_GREETING);
	scene_free(scene);
}

static void a_hello_of_another_resets_all(void **state)
{
	struct scene *scene = scene_new();
	struct stranger stranger = {.scene = scene};
	uint32_t host_port;
	int fd;

	(void)state;
	host_start(scene);
	stranger_greets(&stranger);
	fd = stranger_accepts(&stranger, &host_port);
	/* Its own once more changes nothing. */
	stranger_hello(&stranger, stranger.nonce, 0);
	say(fd, "x");
	steps(scene, 3);
	assert_int_equal(scene->host->serial.state, VSOCK_SERIAL_UP);
	stranger_hello(&stranger, 4242, 0);
	expect_end(scene, fd);
	assert_int_equal(stranger_await_hello(&stranger).echo, htole64(4242));
	close(fd);
	scene_free(scene);
}

/* A flood of sessions, from somebody who reads nothing. */
static void a_peer_that_reads_nothing_costs_nothing(void **state)
{
	struct scene *scene = scene_new();
	struct stranger stranger = {.scene = scene};
	uint32_t host_port;
	struct flow flow;
	int fd;

	(void)state;
	host_start(scene);
	stranger_greets(&stranger);
	fd = stranger_accepts(&stranger, &host_port);
	steps(scene, 3);
	flow = (struct flow){.from = fd, .to = -1};
	fill(scene, &flow);
	assert_true(flow.sent < 2 * MIB);
	/* Nobody spins while nothing can be done. */
	assert_null(scene->loop.timers);
	for (uint64_t i = 1; i < 2000; i++)
		stranger_hello(&stranger, i, 0);
	steps(scene, 3);
	assert_null(scene->loop.timers);
	expect_end(scene, fd);
	/* And then reads on: there is the answer to the last one. */
	while (stranger_await_hello(&stranger).echo != htole64(1999))
		;
	close(fd);
	scene_free(scene);
}

static void the_end_of_the_port_ends_the_connections(void **state)
{
	struct scene *scene = scene_new();
	struct stranger stranger = {.scene = scene};
	struct vsock_header header;
	uint32_t host_port;
	int fd;

	(void)state;
	host_start(scene);
	stranger_greets(&stranger);
	fd = stranger_accepts(&stranger, &host_port);
	header = stranger_packet(VSOCK_RW, PORT, host_port);
	header.length = 10;
	stranger_frame(&stranger, header, "last words", stranger.nonce);
	fd_close(&scene->port[1]);
	expect(scene, fd, "last words");
	expect_end(scene, fd);
	assert_int_equal(scene->host->hang_ups, 1);
	close(fd);
	scene_free(scene);
}

/* What came before the proxy ended the session by itself is handed on. */
static void closing_takes_what_has_come(void **state)
{
	struct scene *scene = scene_new();
	struct stranger stranger = {.scene = scene};
	struct vsock_header header;
	struct vsock_wire_header wire;
	uint32_t host_port;
	int fd;

	(void)state;
	host_start(scene);
	stranger_greets(&stranger);
	fd = stranger_accepts(&stranger, &host_port);
	steps(scene, 3);
	header = stranger_packet(VSOCK_RW, PORT, host_port);
	header.length = 10;
	wire = vsock_header_encode(&header);
	assert_int_equal(write(scene->port[1], &wire, sizeof(wire)), sizeof(wire));
	assert_int_equal(write(scene->port[1], "last words", 10), 10);
	assert_int_equal(write(scene->port[1], &stranger.nonce, 8), 8);
	vsock_serial_close(&scene->host->serial);
	expect(scene, fd, "last words");
	expect_end(scene, fd);
	close(fd);
	scene_free(scene);
}

/* ---- The proxy's way to the port ----------------------------------------------------------------------------- */

static unsigned losses;

static void vmm_lost(struct carrier *carrier)
{
	(void)carrier;
	losses++;
}

static void await_greeting(struct scene *scene, int listener)
{
	for (int i = 0; i < STEPS; i++) {
		scene->port[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (scene->port[1] >= 0)
			break;
		step(scene, LOOP_MILLISECOND);
	}
	assert_true(scene->port[1] >= 0);
	stranger_await_hello(&(struct stranger){.scene = scene});
}

/* Before there is a VMM, and whenever it starts anew. */
static void the_proxy_connects_as_often_as_it_has_to(void **state)
{
	struct scene *scene = scene_new();
	struct carrier *carrier = calloc(1, serial_carrier.size);
	struct vsock_engine engine;
	struct carrier_options options = {.type = CARRIER_SERIAL};
	char directory[] = "/tmp/nacre-serial-XXXXXX", path[64];

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/port.sock", directory);
	vsock_engine_init(&engine, &scene->loop, VSOCK_HOST_CID, VSOCK_SERIAL_GUEST_CID, &host_ops);
	options.path = path;
	assert_non_null(carrier);
	*carrier = (struct carrier){
		.ops = &serial_carrier, .loop = &scene->loop, .engine = &engine, .ended = vmm_lost};
	assert_int_equal(serial_carrier.open(carrier, &options, NULL, NULL), 0);
	for (int round = 0; round < 2; round++) {
		int listener;

		/* Nobody listens, at first for want of a name, then of a listener. */
		for (int i = 0; i < 10; i++)
			step(scene, LOOP_MILLISECOND);
		listener = unix_listen(path, NULL);
		assert_true(listener >= 0);
		assert_int_equal(fd_set_blocking(listener, false), 0);
		fd_close(&scene->port[1]);
		await_greeting(scene, listener);
		close(listener);
		fd_close(&scene->port[1]);
		for (int i = 0; losses == (unsigned)round && i < STEPS; i++)
			step(scene, LOOP_MILLISECOND);
		assert_int_equal(losses, round + 1);
	}
	carrier_close(carrier);
	carrier_close(carrier);
	free(carrier);
	assert_null(scene->loop.timers);
	unlink(path);
	rmdir(directory);
	scene_free(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_carries_both_ways),
		cmocka_unit_test(a_port_where_nobody_listens_is_closed),
		cmocka_unit_test(half_closes_end_one_way),
		cmocka_unit_test(credit_bounds_what_isn_t_read),
		cmocka_unit_test(the_end_comes_after_the_backlog),
		cmocka_unit_test(many_connections_share_the_port),
		cmocka_unit_test(nothing_is_due_while_nothing_happens),
		cmocka_unit_test(a_new_host_begins_a_session),
		cmocka_unit_test(a_new_guest_begins_a_session),
		cmocka_unit_test(a_port_without_a_host_ends_the_connections),
		cmocka_unit_test(a_forged_hello_begins_none),
		cmocka_unit_test(what_is_no_frame_ends_the_session),
		cmocka_unit_test(frames_before_a_session_are_passed_over),
		cmocka_unit_test(a_hello_of_another_resets_all),
		cmocka_unit_test(a_peer_that_reads_nothing_costs_nothing),
		cmocka_unit_test(the_end_of_the_port_ends_the_connections),
		cmocka_unit_test(closing_takes_what_has_come),
		cmocka_unit_test(the_proxy_connects_as_often_as_it_has_to),
	};

	log_open(STDERR_FILENO, LOG_TEXT, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
