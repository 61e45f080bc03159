/* The ttrpc server: frames as bytes of a connection, in pieces. The first byte is how the handlers answer: at once, with a
 * failure, later, or never; the second how large the pieces are. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "health_service.pb-c.h"
#include "lib/ttrpc_server.h"
#include "tests/fuzz/fuzz.h"

#define KEPT_MAX 8
#define STEPS 4

static unsigned behaviour;
static struct ttrpc_call *kept[KEPT_MAX];
static size_t kept_count;

static void cancelled(struct ttrpc_call *call)
{
	for (size_t i = 0; i < kept_count; i++)
		if (kept[i] == call)
			kept[i] = kept[--kept_count];
}

static void settled(struct ttrpc_call *call, bool lost)
{
	(void)lost;
	promise(call->request);
}

static void check(struct ttrpc_call *call)
{
	Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

	promise(call->request->descriptor == &grpc__check_request__descriptor);
	if (behaviour & 4)
		call->settled = settled;
	switch (behaviour & 3) {
	case 0:
		ttrpc_call_reply(call, &response.base);
		break;
	case 1:
		ttrpc_call_fail(call, TTRPC_NOT_FOUND, "not %s", call->method);
		break;
	case 2:
		if (kept_count == KEPT_MAX) {
			ttrpc_call_reply(call, NULL);
			break;
		}
		call->cancelled = cancelled;
		kept[kept_count++] = call;
		break;
	}
}

static const struct ttrpc_method methods[] = {{"Check", check}, {0}};
static const struct ttrpc_service service = {.descriptor = &grpc__health__descriptor, .methods = methods};
static const struct ttrpc_service *const services[] = {&service, NULL};

/* Reads what was answered: whole frames, of responses. */
static void read_answers(int fd)
{
	static uint8_t bytes[1 << 16];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	unsigned before = fuzz_count_fds();
	struct ttrpc_server server;
	struct loop loop;
	size_t piece;
	int ends[2];

	kept_count = 0;
	behaviour = fuzz_byte(&input);
	piece = fuzz_byte(&input) + 1u;
	promise(loop_init(&loop) == 0);
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	ttrpc_server_init(&server, &loop, services, NULL);
	promise(ttrpc_server_serve(&server, ends[1]) == 0);
	while (input.size > 0 && server.connections) {
		size_t length = behaviour & 8 ? input.size : piece;
		const uint8_t *bytes = fuzz_bytes(&input, &length);

		if (send(ends[0], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) <= 0)
			break;
		fuzz_step(&loop);
		if (kept_count > 0 && behaviour & 16) {
			struct ttrpc_call *call = kept[--kept_count];

			call->cancelled = NULL;
			ttrpc_call_reply(call, NULL);
		}
		read_answers(ends[0]);
	}
	close(ends[0]);
	for (int i = 0; i < STEPS; i++)
		fuzz_step(&loop);
	ttrpc_server_destroy(&server);
	loop_destroy(&loop);
	fuzz_check_fds(before);
	return 0;
}
