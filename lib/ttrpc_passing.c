/* Descriptors that are passed. */
#include "lib/ttrpc_passing.h"

#include <errno.h>
#include <unistd.h>

#include "lib/fd.h"

static ssize_t receive(struct ttrpc_passed *passed, int socket, void *room, size_t length, bool first)
{
	size_t count = FD_MESSAGE_MAX;
	int fds[FD_MESSAGE_MAX];
	ssize_t received = fd_receive(socket, room, length, fds, &count);

	if (received < 0) {
		errno = (int)-received;
		return -1;
	}
	if (count == 1 && first) {
		passed->there = true;
		passed->fd = fds[0];
		return received;
	}
	if (count > 0)
		passed->wrong = true;
	while (count > 0)
		close(fds[--count]);
	return received;
}

static void forget(struct ttrpc_passed *passed)
{
	if (passed->there)
		close(passed->fd);
	*passed = (struct ttrpc_passed){0};
}

const struct ttrpc_receiver ttrpc_passing = {.receive = receive, .forget = forget};

int ttrpc_passing_take(struct ttrpc_call *call)
{
	struct ttrpc_passed *passed = ttrpc_call_passed(call);

	if (passed->wrong)
		return -EINVAL;
	if (!passed->there)
		return -ENOENT;
	passed->there = false;
	return passed->fd;
}
