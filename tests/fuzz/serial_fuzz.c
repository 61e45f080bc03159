/* A hostile guest behind a serial port: bytes of every kind, and frames that keep to the rules just enough to get further,
 * while clients of the host come and go. The input is a list of steps. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/vsock_serial.h"
#include "proxy/stream.h"

#include "tests/fuzz/fuzz.h"

#define CLIENTS_MAX 8

struct scene {
	struct fuzz_input *input;
	struct loop loop;
	struct vsock_engine engine;
	struct vsock_serial serial;
	struct streams streams;
	int port; /* the guest's end */
	uint64_t nonce;
	uint32_t host_port; /* of the client that came last */
	int clients[CLIENTS_MAX];
	size_t client_count;
};

static void started(struct vsock_engine *engine)
{
	streams_started(&container_of(engine, struct scene, engine)->streams);
}

static void agent_opened(struct streams *streams)
{
	(void)streams;
}

/* The guest connects: the other end is a client of ours. */
static struct vsock_connection *accept_one(struct vsock_engine *engine, uint32_t local_port, uint32_t peer_port)
{
	struct scene *scene = container_of(engine, struct scene, engine);
	int pair[2];

	(void)local_port;
	(void)peer_port;
	if (scene->client_count == CLIENTS_MAX)
		return NULL;
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	scene->clients[scene->client_count++] = pair[0];
	return streams_accept(&scene->streams, pair[1]);
}

static const struct vsock_engine_ops engine_ops = {.accept = accept_one, .started = started};

static void hung_up(struct vsock_serial *serial)
{
	vsock_serial_close(serial);
}

/* What the port doesn't take is lost: a hostile guest is allowed that. */
static void send_bytes(struct scene *scene, const void *bytes, size_t length)
{
	if (length > 0)
		send(scene->port, bytes, length, MSG_NOSIGNAL);
}

static void send_raw(struct scene *scene)
{
	size_t length = fuzz_byte(scene->input);
	const uint8_t *bytes = fuzz_bytes(scene->input, &length);

	send_bytes(scene, bytes, length);
}

static void send_hello(struct scene *scene)
{
	uint8_t choices = fuzz_byte(scene->input);
	struct vsock_hello hello = {.magic = {VSOCK_SERIAL_MAGIC}};

	scene->nonce = choices & 1 ? fuzz_byte(scene->input) : scene->nonce;
	hello.nonce = htole64(scene->nonce);
	hello.echo = htole64(choices & 2 ? fuzz_u64(scene->input) : scene->serial.nonce);
	send_bytes(scene, &hello, choices & 4 ? fuzz_byte(scene->input) % sizeof(hello) : sizeof(hello));
}

static void send_frame(struct scene *scene)
{
	static const uint8_t zeros[1 << 16];
	uint8_t choices = fuzz_byte(scene->input);
	uint64_t seal = choices & 1 ? fuzz_byte(scene->input) : scene->nonce;
	size_t length = choices & 2 ? fuzz_u16(scene->input) : fuzz_byte(scene->input);
	struct vsock_header header = {
		.source_cid = choices & 4 ? fuzz_byte(scene->input) : VSOCK_SERIAL_GUEST_CID,
		.destination_cid = VSOCK_HOST_CID,
		.source_port = 1024,
		.destination_port = choices & 8 ? fuzz_byte(scene->input) : scene->host_port,
		.length = choices & 16 ? fuzz_u32(scene->input) : (uint32_t)length,
		.type = VSOCK_TYPE_STREAM,
		.operation = fuzz_byte(scene->input) % (VSOCK_OPERATIONS + 1),
		.flags = fuzz_byte(scene->input),
		.buffer = choices & 32 ? fuzz_u32(scene->input) : VSOCK_BUFFER,
		.forwarded = choices & 64 ? fuzz_u32(scene->input) : 0,
	};
	struct vsock_wire_header wire = vsock_header_encode(&header);

	send_bytes(scene, &wire, sizeof(wire));
	send_bytes(scene, zeros, length);
	send_bytes(scene, &seal, sizeof(seal));
}

static void come(struct scene *scene)
{
	int pair[2];

	if (scene->client_count == CLIENTS_MAX)
		return;
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	scene->host_port = scene->engine.next_port;
	streams_serve(&scene->streams, pair[1], STREAM_AGENT, STREAM_AGENT_PORT);
	scene->clients[scene->client_count++] = pair[0];
}

static void act(struct scene *scene)
{
	static uint8_t bytes[1 << 16];
	uint8_t choices = fuzz_byte(scene->input);
	size_t index;
	int fd;

	if (scene->client_count == 0)
		return;
	index = (choices >> 4) % scene->client_count;
	fd = scene->clients[index];
	switch (choices % 4) {
	case 0:
		send(fd, bytes, fuzz_u16(scene->input), MSG_NOSIGNAL);
		break;
	case 1:
		(void)!read(fd, bytes, sizeof(bytes));
		break;
	case 2:
		shutdown(fd, SHUT_WR);
		break;
	case 3:
		scene->clients[index] = scene->clients[--scene->client_count];
		close(fd);
		break;
	}
}

static void take(struct scene *scene)
{
	static uint8_t bytes[1 << 18];

	(void)!read(scene->port, bytes, sizeof(bytes));
}

/* What holds whatever the guest does. */
static void check(const struct scene *scene)
{
	const struct vsock_serial *serial = &scene->serial;

	promise(serial->in_end <= sizeof(serial->in));
	promise(serial->out_start <= serial->out_end && serial->out_end <= sizeof(serial->out));
	promise(serial->state == VSOCK_SERIAL_UP || list_empty(&scene->engine.connections));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const actions[])(struct scene *scene) = {send_raw, send_hello, send_frame, send_frame, come, act, take};
	static struct scene scene;
	struct fuzz_input input = {data, size};
	unsigned before = fuzz_count_fds();
	int pair[2];

	memset(&scene, 0, sizeof(scene));
	scene.input = &input;
	scene.nonce = 1;
	promise(loop_init(&scene.loop) == 0);
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	scene.port = pair[0];
	vsock_engine_init(&scene.engine, &scene.loop, VSOCK_HOST_CID, VSOCK_SERIAL_GUEST_CID, &engine_ops);
	streams_init(&scene.streams, &scene.loop, &scene.engine, agent_opened);
	vsock_serial_init(&scene.serial, &scene.loop, &scene.engine, hung_up);
	promise(vsock_serial_open(&scene.serial, pair[1]) == 0);
	while (input.size > 0) {
		actions[fuzz_byte(&input) % (sizeof(actions) / sizeof(actions[0]))](&scene);
		fuzz_step(&scene.loop);
		fuzz_step(&scene.loop);
		check(&scene);
	}
	vsock_serial_close(&scene.serial);
	streams_destroy(&scene.streams);
	while (scene.client_count > 0)
		close(scene.clients[--scene.client_count]);
	loop_destroy(&scene.loop);
	close(pair[0]);
	close(pair[1]);
	fuzz_check_fds(before);
	return 0;
}
