/* One datagram a state. */
#include "init/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"

int notify_open(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *name = getenv("NOTIFY_SOCKET");
	cleanup_close int fd = -1;
	size_t length;

	/* A path, or "@" and an abstract name. */
	if (!name || (*name != '/' && *name != '@') || strlen(name) >= sizeof(address.sun_path))
		return -1;
	length = strlen(name);
	memcpy(address.sun_path, name, length);
	if (*name == '@')
		address.sun_path[0] = '\0';
	unsetenv("NOTIFY_SOCKET");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		return -1;
	return take_fd(&fd);
}

void notify_send(int socket, const char *state)
{
	if (socket >= 0)
		(void)!send(socket, state, strlen(state), MSG_NOSIGNAL);
}
