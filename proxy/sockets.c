/* Making and removing the sockets at which clients are waited for. */
#include "proxy/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/unix_socket.h"

const char *const sockets_passed_names[SOCKET_PASSED] = {
	[SOCKET_AGENT] = "agent.sock",
	[SOCKET_PORT] = "vsock.sock",
	[SOCKET_SERVICE] = "proxy.sock",
	[SOCKET_CARRIER] = "vhost-user",
};

static int make(struct listening *listening, int type, struct error *error)
{
	listening->fd = unix_listen_as(type, listening->path, error);
	if (listening->fd < 0)
		return listening->fd;
	listening->made = lstat(listening->path, &listening->file) == 0;
	return 0;
}

static int open_named(struct listening *listening, const char *directory, const char *name, int *passed,
		      struct error *error)
{
	listening->path = unix_path_in(directory, name, error);
	if (!listening->path)
		return -ENOMEM;
	listening->fd = take_fd(passed);
	return listening->fd < 0 ? make(listening, SOCK_STREAM, error) : 0;
}

static int open_forward(struct listening *listening, const struct forward_rule *rule, struct error *error)
{
	if (!rule->to_guest)
		return 0;
	listening->path = strdup(rule->path);
	if (!listening->path)
		return error_errno(error, ENOMEM, "--forward");
	return make(listening, rule->messages ? SOCK_SEQPACKET : SOCK_STREAM, error) < 0
		       ? error_wrap(error, "--forward %s:%u", rule->path, rule->port) : 0;
}

int sockets_open(struct sockets *sockets, const struct options *options, int passed[SOCKET_PASSED], struct error *error)
{
	int status = 0;

	for (size_t i = 0; i < SOCKET_NAMED; i++)
		sockets->named[i].fd = -1;
	for (size_t i = 0; i < FORWARDS_MAX; i++)
		sockets->forwards[i].fd = -1;
	for (size_t i = 0; i < SOCKET_NAMED && status == 0; i++)
		status = open_named(&sockets->named[i], options->directory, sockets_passed_names[i], &passed[i], error);
	for (size_t i = 0; i < options->forwards.count && status == 0; i++)
		status = open_forward(&sockets->forwards[i], &options->forwards.list[i], error);
	return status;
}

static void close_one(struct listening *listening)
{
	if (!listening->path)
		return;
	/* While it is open no other file can have its number. */
	if (listening->made)
		unix_unlink(listening->path, &listening->file);
	fd_close(&listening->fd);
	free(take_pointer(&listening->path));
}

void sockets_close(struct sockets *sockets)
{
	for (size_t i = 0; i < SOCKET_NAMED; i++)
		close_one(&sockets->named[i]);
	for (size_t i = 0; i < FORWARDS_MAX; i++)
		close_one(&sockets->forwards[i]);
}

void sockets_list(const struct sockets *sockets, int fds[SOCKETS_MAX])
{
	for (size_t i = 0; i < SOCKET_NAMED; i++)
		fds[i] = sockets->named[i].fd;
	for (size_t i = 0; i < FORWARDS_MAX; i++)
		fds[SOCKET_NAMED + i] = sockets->forwards[i].fd;
}
