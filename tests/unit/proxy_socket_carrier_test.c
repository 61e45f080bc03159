// uses: lib/loop.c lib/buffer.c lib/error.c lib/fd.c lib/log.c lib/vsock_engine.c lib/vsock_send.c
// uses: proxy/stream.c proxy/message_socket.c lib/vsock_socket.c proxy/line.c proxy/unix_socket.c proxy/listener.c
// uses: proxy/socket_carrier.c proxy/hybrid.c proxy/forward.c proxy/guest_ports.c
/* The carriers whose device is somebody else's, hybrid:PATH and vsock:CID: a VMM as Firecracker is, behind Unix sockets, and
 * stand-ins for the calls of AF_VSOCK, which no test may open on this machine. The VMM is the test itself, which steps the
 * proxy's loop while it waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/guest_ports.h"
#include "proxy/socket_carrier.h"
#include "proxy/unix_socket.h"

#define LOG_SUBSYSTEM "test"
#include "lib/log.h"

#define PATH_SIZE 512
#define STEPS 20000
#define GUEST 17u
#define BIG (2u << 20)

static char directory[64];

static const char *in_directory(char path[PATH_SIZE], const char *name)
{
	snprintf(path, PATH_SIZE, "%s/%s", directory, name);
	return path;
}

/* ---- A host with vhost-vsock --------------------------------------------------------------------------------- */

static unsigned int asked_cid, peer_cid;
static int refuse_with; /* an errno for connect(2) */
static int answer_with; /* one that comes later, instead of the connection */

static int vsock_socket(int domain, int type, int protocol)
{
	assert_int_equal(domain, AF_VSOCK);
	assert_int_equal(type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), SOCK_STREAM);
	return socket(AF_UNIX, type, protocol);
}

static struct sockaddr_un unix_address(const struct sockaddr *address, const char *kind)
{
	struct sockaddr_un other = {.sun_family = AF_UNIX};
	struct sockaddr_vm vsock;

	memcpy(&vsock, address, sizeof(vsock));
	assert_int_equal(vsock.svm_family, AF_VSOCK);
	assert_true((size_t)snprintf(other.sun_path, sizeof(other.sun_path), "%s/%s_%u", directory, kind,
				     vsock.svm_port) < sizeof(other.sun_path));
	asked_cid = vsock.svm_cid;
	return other;
}

/* The guest listens at guest_PORT. The answer takes its time. */
static int vsock_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	struct sockaddr_un other = unix_address(address, "guest");

	(void)size;
	errno = refuse_with;
	if (refuse_with || connect(fd, (struct sockaddr *)&other, sizeof(other)) < 0)
		return -1;
	errno = EINPROGRESS;
	return -1;
}

/* The host listens at host_PORT. */
static int vsock_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	struct sockaddr_un other = unix_address(address, "host");

	(void)size;
	return bind(fd, (struct sockaddr *)&other, sizeof(other));
}

static int name(struct sockaddr *address, socklen_t *size, uint32_t cid, uint32_t port)
{
	struct sockaddr_vm vsock = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};

	assert_int_equal(*size, sizeof(vsock));
	memcpy(address, &vsock, sizeof(vsock));
	return 0;
}

static int vsock_getsockopt(int fd, int level, int option, void *value, socklen_t *size)
{
	assert_true(fd >= 0);
	assert_int_equal(level, SOL_SOCKET);
	assert_int_equal(option, SO_ERROR);
	assert_int_equal(*size, sizeof(answer_with));
	memcpy(value, &answer_with, sizeof(answer_with));
	return 0;
}

static int vsock_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
	assert_true(fd >= 0);
	return name(address, size, 2, 77777);
}

static int vsock_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	assert_true(fd >= 0);
	return name(address, size, peer_cid, 4242);
}

#define socket vsock_socket
#define connect vsock_connect
#define bind vsock_bind
#define getsockopt vsock_getsockopt
#define getsockname vsock_getsockname
#define getpeername vsock_getpeername
#include "proxy/host_vsock.c"
#undef socket
#undef connect
#undef bind
#undef getsockopt
#undef getsockname
#undef getpeername

/* ---- The scene ----------------------------------------------------------------------------------------------- */

struct scene {
	struct loop loop;
	struct vsock_engine engine;
	struct streams streams;
	struct carrier *carrier;
	struct carrier_options options;
	struct forward_rules forwards;
	struct guest_ports ports;
	struct loop_timer tick;
	int vmm;	     /* where the VMM, or the guest, listens */
	int accept_fd;	     /* for the next connection of the guest's; -1 to refuse */
	uint32_t asked_port; /* by the guest */
};

static void nothing(struct loop_timer *timer)
{
	(void)timer;
}

static void step_within(struct scene *scene, uint64_t time)
{
	loop_timer_set(&scene->loop, &scene->tick, time, nothing);
	assert_int_equal(loop_step(&scene->loop), 0);
}

static void steps(struct scene *scene, unsigned int count)
{
	while (count-- > 0)
		step_within(scene, 0);
}

static struct vsock_connection *accept_guest(struct vsock_engine *engine, uint32_t host_port, uint32_t guest_port)
{
	struct scene *scene = container_of(engine, struct scene, engine);
	int fd = scene->accept_fd;

	scene->accept_fd = -1;
	(void)guest_port;
	scene->asked_port = host_port;
	return fd < 0 ? NULL : streams_accept(&scene->streams, fd);
}

static void started(struct vsock_engine *engine)
{
	streams_started(&container_of(engine, struct scene, engine)->streams);
}

static void agent_opened(struct streams *streams)
{
	(void)streams;
}

static const struct vsock_engine_ops engine_ops = {.accept = accept_guest, .started = started};

static bool half_close; /* of CARRIER_HYBRID */

static struct scene *scene_new(enum carrier_type type)
{
	static const struct carrier_ops *const ops[] = {
		[CARRIER_HYBRID] = &hybrid_carrier, [CARRIER_VSOCK] = &vsock_carrier};
	struct scene *scene = calloc(1, sizeof(*scene));
	char path[PATH_SIZE];

	assert_non_null(scene);
	scene->vmm = scene->accept_fd = -1;
	scene->options = (struct carrier_options){
		.type = type,
		.path = strdup(in_directory(path, "vmm.sock")),
		.guest_cid = GUEST,
		.half_close = half_close,
	};
	assert_int_equal(loop_init(&scene->loop), 0);
	vsock_engine_init(&scene->engine, &scene->loop, VSOCK_HOST_CID, GUEST, &engine_ops);
	streams_init(&scene->streams, &scene->loop, &scene->engine, agent_opened);
	scene->carrier = calloc(1, ops[type]->size);
	*scene->carrier = (struct carrier){.ops = ops[type], .loop = &scene->loop, .engine = &scene->engine};
	assert_int_equal(scene->carrier->ops->open(scene->carrier, &scene->options, NULL, NULL), 0);
	return scene;
}

static void vmm_listen(struct scene *scene)
{
	char path[PATH_SIZE];

	scene->vmm = unix_listen(
		in_directory(path, scene->options.type == CARRIER_VSOCK ? "guest_1024" : "vmm.sock"), NULL);
	assert_true(scene->vmm >= 0);
}

static struct scene *scene_with_vmm(enum carrier_type type)
{
	struct scene *scene = scene_new(type);

	vmm_listen(scene);
	return scene;
}

/* Nothing may be left in it. */
static void scene_free(struct scene *scene)
{
	struct socket_carrier *own = container_of(scene->carrier, struct socket_carrier, carrier);
	char path[PATH_SIZE];

	steps(scene, 20);
	streams_destroy(&scene->streams);
	steps(scene, 3);
	if (scene->engine.running)
		assert_true(list_empty(&own->all));
	guest_ports_close(&scene->ports);
	scene->carrier->ops->close(scene->carrier);
	free(scene->carrier);
	forward_rules_free(&scene->forwards);
	loop_timer_clear(&scene->loop, &scene->tick);
	loop_destroy(&scene->loop);
	free(scene->options.path);
	if (scene->vmm >= 0)
		close(scene->vmm);
	unlink(in_directory(path, "vmm.sock"));
	unlink(in_directory(path, "guest_1024"));
	free(scene);
}

static ssize_t read_some(struct scene *scene, int fd, void *data, size_t size)
{
	for (int i = 0; i < STEPS; i++) {
		ssize_t length = recv(fd, data, size, MSG_DONTWAIT);

		if (length >= 0 || errno == ECONNRESET)
			return length < 0 ? 0 : length;
		assert_int_equal(errno, EAGAIN);
		step_within(scene, LOOP_MILLISECOND);
	}
	fail_msg("nothing came");
	return -1;
}

static void expect(struct scene *scene, int fd, const char *text)
{
	char data[256];
	size_t length = 0, wanted = strlen(text);

	while (length < wanted) {
		ssize_t count = read_some(scene, fd, data + length, wanted - length);

		assert_true(count > 0);
		length += (size_t)count;
	}
	assert_memory_equal(data, text, wanted);
}

static void expect_end(struct scene *scene, int fd)
{
	char byte;

	assert_int_equal(read_some(scene, fd, &byte, 1), 0);
}

static void expect_silence(struct scene *scene, int fd)
{
	char byte;

	steps(scene, 10);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT), strlen(text));
}

static int client_new(struct scene *scene, enum stream_origin origin)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(streams_serve(&scene->streams, pair[1], origin, 1024), 0);
	return pair[0];
}

static int vmm_accept(struct scene *scene)
{
	for (int i = 0; i < STEPS; i++) {
		int fd = accept4(scene->vmm, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			return fd;
		step_within(scene, LOOP_MILLISECOND);
	}
	fail_msg("nobody came");
	return -1;
}

/* A client of agent.sock, and the guest's end of its connection. */
static int joined(struct scene *scene, int *guest)
{
	int client = client_new(scene, STREAM_AGENT);

	*guest = vmm_accept(scene);
	if (scene->options.type == CARRIER_HYBRID) {
		expect(scene, *guest, "CONNECT 1024\n");
		say(*guest, "OK 5\n");
	}
	steps(scene, 3);
	return client;
}

/* ---- Data ---------------------------------------------------------------------------------------------------- */

static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 7 + at / 251);
}

/* Writes what goes in, at most `size` bytes in all; how many there are now. */
static size_t fill(struct scene *scene, int fd, size_t done, size_t size)
{
	static uint8_t bytes[BIG];

	for (size_t i = done; i < size; i++)
		bytes[i] = pattern(i);
	for (int idle = 0; done < size && idle < 20;) {
		ssize_t count = send(fd, bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		idle = count > 0 ? 0 : idle + 1;
		done += count > 0 ? (size_t)count : 0;
		steps(scene, 2);
	}
	return done;
}

/* Passes all the bytes of the pattern from one end to the other, the first `done` of which are on their way. */
static void pass(struct scene *scene, int from, int to, size_t done)
{
	static uint8_t bytes[1 << 16];

	for (size_t got = 0; got < BIG;) {
		ssize_t count;

		done = fill(scene, from, done, done + sizeof(bytes) < BIG ? done + sizeof(bytes) : BIG);
		count = read_some(scene, to, bytes, sizeof(bytes));
		assert_true(count > 0);
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern(got + (size_t)i));
		got += (size_t)count;
	}
}

/* Reads the pattern to the end; how much there was. */
static size_t read_pattern(struct scene *scene, int fd)
{
	static uint8_t bytes[1 << 16];
	size_t got = 0;
	ssize_t count;

	while ((count = read_some(scene, fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern(got++));
	return got;
}

static const enum carrier_type both[] = {CARRIER_HYBRID, CARRIER_VSOCK};

static void bytes_go_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		struct scene *scene = scene_with_vmm(both[i]);
		int guest, client = joined(scene, &guest);

		pass(scene, client, guest, 0);
		pass(scene, guest, client, 0);
		close(client);
		expect_end(scene, guest);
		close(guest);
		scene_free(scene);
	}
}

/* Who doesn't read is waited for, with a bounded amount kept for him, and nobody else is. */
static void a_stall_is_ones_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		struct scene *scene = scene_with_vmm(both[i]);
		int guest, client = joined(scene, &guest), other_guest, other = joined(scene, &other_guest);
		size_t to_client = fill(scene, guest, 0, BIG), to_guest = fill(scene, client, 0, BIG);

		/* Two sockets' buffers, and the proxy's. */
		assert_in_range(to_client, VSOCK_BUFFER, VSOCK_BUFFER + (1u << 20));
		assert_in_range(to_guest, VSOCK_BUFFER, VSOCK_BUFFER + (1u << 20));
		say(other, "ping");
		expect(scene, other_guest, "ping");
		say(other_guest, "pong");
		expect(scene, other, "pong");
		pass(scene, guest, client, to_client);
		pass(scene, client, guest, to_guest);
		close(client);
		close(guest);
		close(other);
		close(other_guest);
		scene_free(scene);
	}
}

/* ---- Connecting ---------------------------------------------------------------------------------------------- */

static void the_guest_knows_the_port_as_told(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int client = client_new(scene, STREAM_PORT), guest;

	(void)state;
	say(client, "CONNECT 5000\nglued");
	guest = vmm_accept(scene);
	expect(scene, guest, "CONNECT 5000\n");
	expect_silence(scene, guest);
	say(guest, "OK 10");
	expect_silence(scene, client);
	say(guest, "73\nfirst");
	expect(scene, client, "OK 1073\nfirst");
	expect(scene, guest, "glued");
	close(client);
	close(guest);
	scene_free(scene);

	scene = scene_with_vmm(CARRIER_VSOCK);
	client = client_new(scene, STREAM_PORT);
	say(client, "CONNECT 1024\nglued");
	guest = vmm_accept(scene);
	expect(scene, client, "OK 77777\n");
	expect(scene, guest, "glued");
	assert_int_equal(asked_cid, GUEST);
	close(client);
	close(guest);
	scene_free(scene);
}

static void refusals_end_the_client(void **state)
{
	static const char *const answers[] = {
		"", "OK ", "OK x\n", "NO 1\n", "OK 4294967296\n", "OK 00000000000000000000000000000000000000001\n"};
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int client, guest;

	(void)state;
	for (size_t i = 0; i < array_size(answers); i++) {
		client = client_new(scene, STREAM_PORT);
		say(client, "CONNECT 5000\n");
		guest = vmm_accept(scene);
		expect(scene, guest, "CONNECT 5000\n");
		say(guest, answers[i]);
		close(guest);
		expect_end(scene, client);
		close(client);
	}
	scene_free(scene);

	scene = scene_new(CARRIER_VSOCK);
	refuse_with = ECONNRESET;
	client = client_new(scene, STREAM_PORT);
	say(client, "CONNECT 1024\n");
	expect_end(scene, client);
	refuse_with = 0;
	close(client);
	vmm_listen(scene);
	answer_with = ECONNRESET;
	client = client_new(scene, STREAM_PORT);
	say(client, "CONNECT 1024\n");
	expect_end(scene, client);
	answer_with = 0;
	close(client);
	scene_free(scene);
}

static void the_agent_is_waited_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		struct scene *scene = scene_new(both[i]);
		int client = client_new(scene, STREAM_AGENT), port = client_new(scene, STREAM_PORT), guest;

		say(client, "early");
		/* Others are refused while there is no VMM. */
		say(port, "CONNECT 1024\n");
		expect_end(scene, port);
		close(port);
		expect_silence(scene, client);
		vmm_listen(scene);
		guest = vmm_accept(scene);
		if (both[i] == CARRIER_HYBRID) {
			/* The VMM is there, the agent isn't. */
			close(guest);
			guest = vmm_accept(scene);
			expect(scene, guest, "CONNECT 1024\n");
			say(guest, "OK 5\n");
		}
		expect(scene, guest, "early");
		close(client);
		close(guest);
		scene_free(scene);
	}
}

static void a_client_may_go_while_it_waits(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int client = client_new(scene, STREAM_AGENT), guest = vmm_accept(scene);

	(void)state;
	expect(scene, guest, "CONNECT 1024\n");
	close(client);
	expect_end(scene, guest);
	close(guest);
	/* Of a forward what it has said counts. */
	client = client_new(scene, STREAM_FORWARD);
	guest = vmm_accept(scene);
	say(client, "message");
	close(client);
	steps(scene, 5);
	expect(scene, guest, "CONNECT 1024\n");
	say(guest, "OK 5\n");
	expect(scene, guest, "message");
	expect_end(scene, guest);
	close(guest);
	scene_free(scene);
}

/* ---- Ends ---------------------------------------------------------------------------------------------------- */

static void ends_of_one_direction(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		enum carrier_type type = i == 0 ? CARRIER_VSOCK : CARRIER_HYBRID;
		struct scene *scene;
		int guest, client;

		half_close = i == 1;
		scene = scene_with_vmm(type);
		client = joined(scene, &guest);
		/* The guest's end comes, and leaves the other direction. */
		say(guest, "last words");
		shutdown(guest, SHUT_WR);
		expect(scene, client, "last words");
		expect_end(scene, client);
		say(client, "answer");
		expect(scene, guest, "answer");
		close(client);
		expect_end(scene, guest);
		close(guest);

		client = joined(scene, &guest);
		say(client, "input");
		shutdown(client, SHUT_WR);
		expect(scene, guest, "input");
		if (type == CARRIER_VSOCK || half_close) {
			expect_end(scene, guest);
			say(guest, "output");
		} else {
			/* Firecracker would end its own direction as well: it learns of the end with everything said. */
			expect_silence(scene, guest);
			say(guest, "output");
			shutdown(guest, SHUT_WR);
			expect_end(scene, guest);
		}
		expect(scene, client, "output");
		close(guest);
		expect_end(scene, client);
		close(client);
		scene_free(scene);
	}
}

/* The engine has none of it any more, and what waits for the guest goes on. */
static void what_was_taken_outlives_its_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		struct scene *scene = scene_with_vmm(both[i]);
		int guest, client = joined(scene, &guest);

		/* More than a socket holds, and less than the proxy keeps beside it. */
		assert_int_equal(fill(scene, client, 0, 400u << 10), 400u << 10);
		close(client);
		steps(scene, 10);
		assert_int_equal(scene->streams.from_host, 0);
		assert_int_equal(read_pattern(scene, guest), 400u << 10);
		close(guest);
		scene_free(scene);
	}
}

static void who_closes_is_heard_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		struct scene *scene = scene_with_vmm(both[i]);
		int guest, client = joined(scene, &guest);
		size_t size = fill(scene, client, 0, BIG);

		/* More than the VMM's socket holds. */
		close(client);
		steps(scene, 10);
		assert_int_equal(scene->streams.from_host, 1);
		assert_int_equal(read_pattern(scene, guest), size);
		close(guest);
		steps(scene, 10);
		assert_int_equal(scene->streams.from_host, 0);

		client = joined(scene, &guest);
		size = fill(scene, guest, 0, BIG);
		close(guest);
		assert_int_equal(read_pattern(scene, client), size);
		close(client);
		scene_free(scene);
	}
}

/* The engine drops resets of which there are too many. */
static void a_lost_reset_leaves_nothing(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int guest, client = joined(scene, &guest);

	(void)state;
	close(guest);
	scene->engine.reset_count = VSOCK_RESETS_MAX;
	expect_end(scene, client);
	close(client);
	scene_free(scene);
}

/* The proxy's own end: finish() of proxy.c. */
static void last_words_are_delivered(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int guest, client = joined(scene, &guest);

	(void)state;
	say(guest, "panic");
	scene->carrier->ops->close(scene->carrier);
	expect(scene, client, "panic");
	expect_end(scene, client);
	expect_end(scene, guest);
	close(guest);
	close(client);
	scene_free(scene);
}

static void many_come_and_go(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int clients[300], guests[300];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < array_size(clients); i++)
			clients[i] = joined(scene, &guests[i]);
		for (size_t i = 0; i < array_size(clients); i++) {
			say(guests[i], "x");
			close(guests[i]);
			if (round == 1)
				close(clients[i]);
		}
		for (size_t i = 0; round != 1 && i < array_size(clients); i++) {
			expect(scene, clients[i], "x");
			expect_end(scene, clients[i]);
			close(clients[i]);
		}
		steps(scene, 30);
		assert_int_equal(scene->streams.from_host, 0);
	}
	scene_free(scene);
}

/* ---- Connections of the guest's ------------------------------------------------------------------------------ */

static int serve_port(struct scene *scene, uint32_t port, bool served)
{
	return scene->carrier->ops->serve_port(scene->carrier, port, served, NULL);
}

static int guest_dials(const char *name)
{
	char path[PATH_SIZE];

	return unix_connect(in_directory(path, name), NULL);
}

static int next_accepted(struct scene *scene)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	scene->accept_fd = pair[1];
	return pair[0];
}

static void the_guest_reaches_ports(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_size(both); i++) {
		const char *way_in = both[i] == CARRIER_HYBRID ? "vmm.sock_700" : "host_700";
		struct scene *scene = scene_new(both[i]);
		char path[PATH_SIZE];
		int client, guest;

		peer_cid = GUEST;
		assert_int_equal(guest_dials(way_in), -ENOENT);
		assert_int_equal(serve_port(scene, 700, true), 0);
		assert_int_equal(serve_port(scene, 700, true), 0);
		client = next_accepted(scene);
		guest = guest_dials(way_in);
		assert_true(guest >= 0);
		say(guest, "hello");
		expect(scene, client, "hello");
		assert_int_equal(scene->asked_port, 700);
		say(client, "welcome");
		expect(scene, guest, "welcome");
		close(guest);
		expect_end(scene, client);
		close(client);
		/* Nobody to take it. */
		guest = guest_dials(way_in);
		expect_end(scene, guest);
		close(guest);
		/* Somebody else's guest. */
		client = next_accepted(scene);
		peer_cid = GUEST + 1;
		if (both[i] == CARRIER_VSOCK) {
			guest = guest_dials(way_in);
			expect_end(scene, guest);
			close(guest);
			assert_true(scene->accept_fd >= 0);
			close(scene->accept_fd);
		} else {
			close(scene->accept_fd);
		}
		close(client);
		assert_int_equal(serve_port(scene, 700, false), 0);
		assert_true(guest_dials(way_in) < 0);
		unlink(in_directory(path, "host_700"));
		scene_free(scene);
	}
}

static void ports_are_bounded(void **state)
{
	struct scene *scene = scene_new(CARRIER_HYBRID);

	(void)state;
	for (uint32_t port = 1; port <= SOCKET_PORTS_MAX; port++)
		assert_int_equal(serve_port(scene, port, true), 0);
	assert_int_equal(serve_port(scene, 1000, true), -ENOSPC);
	assert_int_equal(serve_port(scene, 5, false), 0);
	assert_int_equal(serve_port(scene, 1000, true), 0);
	scene_free(scene);
}

static void ports_follow_the_directory(void **state)
{
	static const char *const names[] = {"vsock.sock_1", "vsock.sock_2", "vsock.sock_x", "vsock.sock_3y", "vsock.sock_",
					    "vsock.sock_4294967296"};
	struct scene *scene = scene_new(CARRIER_HYBRID);
	char path[PATH_SIZE], other[PATH_SIZE];
	int guest;

	(void)state;
	close(unix_listen(in_directory(path, names[0]), NULL));
	assert_int_equal(forward_parse(&scene->forwards, "9:/somewhere", NULL), 0);
	assert_int_equal(guest_ports_open(&scene->ports, scene->carrier, directory, &scene->forwards, NULL), 0);
	assert_true((guest = guest_dials("vmm.sock_1")) >= 0);
	close(guest);
	assert_true((guest = guest_dials("vmm.sock_9")) >= 0);
	close(guest);
	for (size_t i = 1; i < array_size(names); i++)
		close(unix_listen(in_directory(path, names[i]), NULL));
	close(unix_listen(in_directory(path, "vsock.sock_9"), NULL));
	steps(scene, 5);
	assert_true((guest = guest_dials("vmm.sock_2")) >= 0);
	close(guest);
	assert_int_equal(guest_dials("vmm.sock_0"), -ENOENT);
	assert_int_equal(guest_dials("vmm.sock_3"), -ENOENT);
	assert_int_equal(rename(in_directory(path, names[1]), in_directory(other, "file")), 0);
	unlink(in_directory(path, "vsock.sock_9"));
	unlink(other);
	steps(scene, 5);
	assert_int_equal(guest_dials("vmm.sock_2"), -ENOENT);
	/* A forward doesn't depend on it. */
	assert_true((guest = guest_dials("vmm.sock_9")) >= 0);
	close(guest);
	for (size_t i = 0; i < array_size(names); i++)
		unlink(in_directory(path, names[i]));
	scene_free(scene);
}

/* ---- Limits -------------------------------------------------------------------------------------------------- */

static void clients_are_counted(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int guests[2], clients[2], third, guest, pair[2];

	(void)state;
	scene->streams.limits.from_host = 2;
	scene->streams.limits.from_guest = 1;
	for (size_t i = 0; i < 2; i++)
		clients[i] = joined(scene, &guests[i]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(streams_serve(&scene->streams, pair[1], STREAM_AGENT, 1024), -ENFILE);
	expect_end(scene, pair[0]);
	close(pair[0]);
	/* The guest has its own number. */
	assert_int_equal(serve_port(scene, 700, true), 0);
	pair[0] = next_accepted(scene);
	guest = guest_dials("vmm.sock_700");
	say(guest, "hello");
	expect(scene, pair[0], "hello");
	third = next_accepted(scene);
	pair[1] = guest_dials("vmm.sock_700");
	expect_end(scene, pair[1]);
	expect_end(scene, third);
	close(third);
	close(pair[1]);
	close(pair[0]);
	close(guest);
	/* One leaves, another may come. */
	close(clients[0]);
	expect_end(scene, guests[0]);
	close(guests[0]);
	clients[0] = joined(scene, &guests[0]);
	for (size_t i = 0; i < 2; i++) {
		close(clients[i]);
		close(guests[i]);
	}
	scene_free(scene);
}

static void handshakes_have_their_time(void **state)
{
	struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
	int silent, client, guest;
	uint64_t start = loop_now();

	(void)state;
	scene->streams.limits.handshake_time = 20 * LOOP_MILLISECOND;
	/* Of the client, and of the guest. */
	silent = client_new(scene, STREAM_PORT);
	say(silent, "CONN");
	client = client_new(scene, STREAM_FORWARD);
	guest = vmm_accept(scene);
	expect_end(scene, silent);
	expect_end(scene, client);
	expect(scene, guest, "CONNECT 1024\n");
	expect_end(scene, guest);
	/* It isn't the usual one. */
	assert_true(loop_now() - start < STREAMS_LIMITS.handshake_time / 2);
	close(silent);
	close(client);
	close(guest);
	scene_free(scene);
}

static void the_buffer_is_as_large_as_asked_for(void **state)
{
	size_t taken[2];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct scene *scene = scene_with_vmm(CARRIER_HYBRID);
		int client, guest;

		scene->engine.buffer = i == 0 ? 4096 : 1u << 20;
		client = joined(scene, &guest);
		taken[i] = fill(scene, guest, 0, BIG);
		pass(scene, guest, client, taken[i]);
		close(client);
		close(guest);
		scene_free(scene);
	}
	/* What a socket takes depends on the sizes of the pieces, and is made to grow with the buffer, too. */
	assert_in_range(taken[1] - taken[0], 512u << 10, 2u << 20);
}

/* ---- All of it ----------------------------------------------------------------------------------------------- */

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/nacre-carrier-test-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

/* Nothing is left in it. */
static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(a_stall_is_ones_own),
		cmocka_unit_test(the_guest_knows_the_port_as_told),
		cmocka_unit_test(refusals_end_the_client),
		cmocka_unit_test(the_agent_is_waited_for),
		cmocka_unit_test(a_client_may_go_while_it_waits),
		cmocka_unit_test(ends_of_one_direction),
		cmocka_unit_test(what_was_taken_outlives_its_client),
		cmocka_unit_test(who_closes_is_heard_out),
		cmocka_unit_test(a_lost_reset_leaves_nothing),
		cmocka_unit_test(last_words_are_delivered),
		cmocka_unit_test(many_come_and_go),
		cmocka_unit_test(the_guest_reaches_ports),
		cmocka_unit_test(ports_are_bounded),
		cmocka_unit_test(ports_follow_the_directory),
		cmocka_unit_test(clients_are_counted),
		cmocka_unit_test(handshakes_have_their_time),
		cmocka_unit_test(the_buffer_is_as_large_as_asked_for),
	};

	alarm(60);
	log_open(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TEXT, LOG_ERROR, "test");
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
