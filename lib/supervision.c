/* One struct a message over a SEQPACKET socket, its descriptors beside it. */
#include "lib/supervision.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int supervision_send(int socket, const struct supervision_message *message, const int *fds, size_t count)
{
	return fd_send(socket, message, sizeof(*message), fds, count);
}

int supervision_receive(int socket, struct supervision_message *message, int *fds, size_t *count)
{
	ssize_t length;

	*count = FD_MESSAGE_MAX;
	length = fd_receive(socket, message, sizeof(*message), fds, count);
	if (length < 0)
		return (int)length;
	if (length == 0 && *count == 0)
		return 0;
	if ((size_t)length == sizeof(*message) && memchr(message->name, '\0', sizeof(message->name)))
		return 1;
	while (*count > 0)
		close(fds[--*count]);
	return -EPROTO;
}
