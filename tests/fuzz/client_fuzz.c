/* The ttrpc client: what a hostile server sends it while calls are open. The first byte is how many calls. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent_service.pb-c.h"
#include "lib/ttrpc_client.h"
#include "tests/fuzz/fuzz.h"

#define CALLS_MAX 8

static unsigned answers[CALLS_MAX];

static void answered(void *data, const struct ttrpc_result *result)
{
	unsigned *count = data;

	++*count;
	promise(*count == 1);
	promise((result->code == TTRPC_OK) == (result->response != NULL));
	promise(result->response || result->message);
	if (result->response)
		promise(result->response->descriptor == &grpc__guest_details_response__descriptor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	Grpc__GuestDetailsRequest request = GRPC__GUEST_DETAILS_REQUEST__INIT;
	unsigned before = fuzz_count_fds(), calls = fuzz_byte(&input) % (CALLS_MAX + 1), piece = fuzz_byte(&input) + 1u;
	struct ttrpc_client *client;
	struct loop loop;
	int ends[2];

	memset(answers, 0, sizeof(answers));
	promise(loop_init(&loop) == 0);
	promise(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	client = ttrpc_client_new(&loop, ends[1]);
	promise(client);
	for (unsigned i = 0; i < calls; i++)
		promise(ttrpc_client_call(client, &grpc__agent_service__descriptor, "GetGuestDetails", &request.base, 0,
					  answered, &answers[i]) == 0);
	while (input.size > 0 && !ttrpc_client_broken(client)) {
		size_t length = piece == 256 ? input.size : piece;
		const uint8_t *bytes = fuzz_bytes(&input, &length);

		if (send(ends[0], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL) <= 0)
			break;
		fuzz_step(&loop);
	}
	close(ends[0]);
	fuzz_step(&loop);
	ttrpc_client_free(client);
	for (unsigned i = 0; i < calls; i++)
		promise(answers[i] == 1);
	loop_destroy(&loop);
	fuzz_check_fds(before);
	return 0;
}
