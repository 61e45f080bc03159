/* Links of agent.sock, between clients that say anything and guests that answer anything, die, or both. The input is a list of steps.
 * The promise: whatever a guest does, a client is only sent frames of ttrpc, each for a stream that it has used, up to the end of
 * its connection.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/agent_link.h"
#include "tests/fuzz/fuzz.h"
#include "ttrpc.pb-c.h"

#define CLIENTS_MAX 3
#define GUESTS_MAX 8

enum step { CLIENT_BYTES, CLIENT_CALL, CLIENT_COMES, CLIENT_GOES, GUEST_BYTES, GUEST_ANSWERS, GUEST_DIES, READ, TIME, STEPS };

struct client {
	int fd;
	bool raw; /* it says what isn't ttrpc: any stream may be its */
	bool used[256];
	size_t have; /* of a header */
	uint8_t header[TTRPC_HEADER_SIZE];
	uint32_t body;
};

static struct scene {
	struct fuzz_input input;
	struct loop loop;
	struct streams streams;
	struct agent_links links;
	struct client clients[CLIENTS_MAX];
	int guests[GUESTS_MAX];
	uint32_t asked; /* the stream that a guest was asked for last */
} scene;

int streams_serve(struct streams *streams, int fd, enum stream_origin origin, uint32_t port)
{
	(void)streams;
	(void)origin;
	(void)port;
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		if (scene.guests[i] >= 0)
			continue;
		scene.guests[i] = fd;
		return 0;
	}
	close(fd);
	return -ENFILE;
}

static void turn(void)
{
	for (int i = 0; i < 8; i++)
		fuzz_step(&scene.loop);
}

static void say(int fd, const void *bytes, size_t length)
{
	if (fd >= 0 && length > 0)
		send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn();
}

/* ---- What comes ---------------------------------------------------------------------------------------------- */

static void check_header(const struct client *client)
{
	const struct ttrpc_header header = ttrpc_header_decode(client->header);

	promise(header.type == TTRPC_RESPONSE || header.type == TTRPC_DATA);
	promise(header.length <= TTRPC_BODY_MAX);
	promise(client->raw || (header.stream < 256 && client->used[header.stream]));
}

static void check_bytes(struct client *client, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		size_t part = client->body < length ? client->body : length;

		client->body -= (uint32_t)part;
		bytes += part;
		length -= part;
		if (length == 0)
			return;
		client->header[client->have++] = *bytes++;
		length--;
		if (client->have < TTRPC_HEADER_SIZE)
			continue;
		check_header(client);
		client->have = 0;
		client->body = ttrpc_header_decode(client->header).length;
	}
}

static void read_all(void)
{
	static uint8_t bytes[65536];
	ssize_t count;

	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &scene.clients[i];

		while (client->fd >= 0 && (count = recv(client->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			check_bytes(client, bytes, (size_t)count);
	}
	for (size_t i = 0; i < GUESTS_MAX; i++)
		while (scene.guests[i] >= 0 && (count = recv(scene.guests[i], bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
			if (count >= TTRPC_HEADER_SIZE)
				scene.asked = ttrpc_header_decode(bytes).stream;
	turn();
}

/* ---- What is said -------------------------------------------------------------------------------------------- */

static void client_call(struct client *client)
{
	static const char *const methods[] = {"ReadStdout", "ReadStderr", "WaitProcess", "CreateContainer", "ExecProcess",
					      "RemoveContainer", "WriteStdin", "GetOOMEvent"};
	uint8_t payload[] = {0x0a, 1, 'c', 0x12, 1, 'e'}, choice = fuzz_byte(&scene.input), stream = fuzz_byte(&scene.input);
	size_t more = fuzz_byte(&scene.input) & 1 ? fuzz_u16(&scene.input) * 2u : 0, length;
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	cleanup_free uint8_t *frame = NULL;

	payload[2] = (uint8_t)('a' + (choice >> 6));
	payload[5] = (uint8_t)('a' + (choice >> 4 & 3));
	request.service = "grpc.AgentService";
	request.method = (char *)methods[choice % array_size(methods)];
	request.payload = (ProtobufCBinaryData){.len = sizeof(payload), .data = payload};
	length = ttrpc__request__get_packed_size(&request);
	frame = calloc(1, TTRPC_HEADER_SIZE + length + more);
	promise(frame);
	ttrpc__request__pack(&request, frame + TTRPC_HEADER_SIZE);
	ttrpc_header_encode(frame, &(struct ttrpc_header){
					   .length = (uint32_t)(length + more), .stream = stream, .type = TTRPC_REQUEST});
	client->used[stream] = true;
	say(client->fd, frame, TTRPC_HEADER_SIZE + length + more);
	/* What didn't fit makes the rest of what it says anything. */
	client->raw |= more > 0;
}

static void client_bytes(struct client *client)
{
	size_t length = fuzz_byte(&scene.input);
	const uint8_t *bytes = fuzz_bytes(&scene.input, &length);

	client->raw = true;
	say(client->fd, bytes, length);
}

static void client_comes(struct client *client)
{
	int pair[2];

	fd_close(&client->fd);
	turn();
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	*client = (struct client){.fd = pair[0]};
	agent_links_serve(&scene.links, pair[1]);
	turn();
}

static void guest_bytes(int guest)
{
	size_t length = fuzz_byte(&scene.input);
	const uint8_t *bytes = fuzz_bytes(&scene.input, &length);

	say(guest, bytes, length);
}

/* For the stream that was asked for, or another one; as long as it says, or not. */
static void guest_answers(int guest)
{
	uint8_t choice = fuzz_byte(&scene.input), data = fuzz_byte(&scene.input);
	uint32_t stream = choice & 1 ? fuzz_byte(&scene.input) : scene.asked;
	uint32_t length = choice & 2 ? fuzz_u32(&scene.input) % (200u << 10) : 9;
	uint8_t *frame = calloc(1, TTRPC_HEADER_SIZE + length + 16);
	uint8_t body[] = {0x0a, 2, 0x08, choice & 4 ? TTRPC_FAILED_PRECONDITION : 0, 0x12, 3, 0x0a, data, 'd'};

	promise(frame);
	memcpy(frame + TTRPC_HEADER_SIZE, body, sizeof(body));
	ttrpc_header_encode(frame, &(struct ttrpc_header){.length = choice & 8 ? length + 1 : length,
							  .stream = stream,
							  .type = choice & 16 ? TTRPC_DATA : TTRPC_RESPONSE});
	say(guest, frame, TTRPC_HEADER_SIZE + length);
	free(frame);
}

/* The next timer is due. */
static void time_passes(void)
{
	struct loop_timer *timer = scene.loop.timers;

	if (!timer)
		return;
	loop_timer_clear(&scene.loop, timer);
	timer->expired(timer);
	turn();
}

static void step(void)
{
	uint8_t choice = fuzz_byte(&scene.input);
	struct client *client = &scene.clients[choice / STEPS % CLIENTS_MAX];
	int *guest = &scene.guests[choice / STEPS % GUESTS_MAX];

	switch ((enum step)(choice % STEPS)) {
	case CLIENT_BYTES:
		client_bytes(client);
		break;
	case CLIENT_CALL:
		client_call(client);
		break;
	case CLIENT_COMES:
		client_comes(client);
		break;
	case CLIENT_GOES:
		fd_close(&client->fd);
		turn();
		break;
	case GUEST_BYTES:
		guest_bytes(*guest);
		break;
	case GUEST_ANSWERS:
		guest_answers(*guest);
		break;
	case GUEST_DIES:
		fd_close(guest);
		turn();
		break;
	case READ:
		read_all();
		break;
	case TIME:
	case STEPS:
		time_passes();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned before = fuzz_count_fds();

	memset(&scene, 0, sizeof(scene));
	scene.input = (struct fuzz_input){data, size};
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		scene.clients[i].fd = -1;
	for (size_t i = 0; i < GUESTS_MAX; i++)
		scene.guests[i] = -1;
	promise(loop_init(&scene.loop) == 0);
	agent_links_init(&scene.links, &scene.loop, &scene.streams);
	client_comes(&scene.clients[0]);
	while (scene.input.size > 0)
		step();
	read_all();
	/* Clients that are gone leave nothing, once what each had to say has gone on, or can't. */
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		fd_close(&scene.clients[i].fd);
	for (size_t i = 16 + 8 * scene.links.count; i > 0; i--) {
		read_all();
		time_passes();
	}
	promise(scene.links.count == 0);
	agent_links_destroy(&scene.links);
	promise(!scene.loop.timers);
	for (size_t i = 0; i < GUESTS_MAX; i++)
		fd_close(&scene.guests[i]);
	loop_destroy(&scene.loop);
	fuzz_check_fds(before);
	return 0;
}
