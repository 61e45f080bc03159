/* Unix sockets by path: listening, connecting, and who is at the other end. */
#include "proxy/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/cleanup.h"

/* syscalls: open openat socket connect bind listen fchmod stat lstat newfstatat unlink unlinkat getsockopt geteuid close */

#define BACKLOG 128

/* Fills `address` with `path`, or with another way to it that is short enough: by its directory, whose fd is in *directory then
 * (and -1 otherwise) and has to stay open until the address has been used. 0 or -errno. */
static int make_address(struct sockaddr_un *address, const char *path, int *directory, struct error *error)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	cleanup_free char *parent = NULL;
	int length;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (*name == '\0')
		return error_set(error, EINVAL, "%s: no name of a socket", path);
	if (strlen(path) < sizeof(address->sun_path)) {
		strcpy(address->sun_path, path);
		return 0;
	}
	parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!parent)
		return error_errno(error, ENOMEM, "%s", path);
	*directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return error_errno(error, errno, "open %s", parent);
	length = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *directory, name);
	return (size_t)length >= sizeof(address->sun_path) ? error_errno(error, ENAMETOOLONG, "%s", path) : 0;
}

/* Whether nobody listens there any more: then the kernel refuses, at once. */
static bool abandoned(const struct sockaddr_un *address)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 && errno == ECONNREFUSED;
}

char *unix_path_in(const char *directory, const char *name, struct error *error)
{
	char *path;

	if (asprintf(&path, "%s/%s", directory, name) >= 0)
		return path;
	error_errno(error, ENOMEM, "%s/%s", directory, name);
	return NULL;
}

static int remove_old(const struct sockaddr_un *address, const char *path, struct error *error)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_errno(error, errno, "%s", path);
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, EEXIST, "%s exists and is no socket", path);
	if (status.st_uid != geteuid())
		return error_set(error, EEXIST, "%s is another user's socket", path);
	if (!abandoned(address))
		return error_set(error, EADDRINUSE, "somebody else listens at %s", path);
	return unlink(path) < 0 && errno != ENOENT ? error_errno(error, errno, "remove %s", path) : 0;
}

int unix_listen_as(int type, const char *path, struct error *error)
{
	struct sockaddr_un address;
	cleanup_close int directory = -1, fd = -1;
	int status = make_address(&address, path, &directory, error);

	if (status == 0)
		status = remove_old(&address, path, error);
	if (status < 0)
		return status;
	fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "socket");
	/* The mode of a socket that isn't bound yet becomes that of its name. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "bind %s", path);
	if (listen(fd, BACKLOG) < 0)
		return error_errno(error, errno, "listen at %s", path);
	return take_fd(&fd);
}

int unix_listen(const char *path, struct error *error)
{
	return unix_listen_as(SOCK_STREAM, path, error);
}

void unix_unlink(const char *path, const struct stat *socket)
{
	struct stat status;

	if (lstat(path, &status) == 0 && status.st_dev == socket->st_dev && status.st_ino == socket->st_ino)
		unlink(path);
}

static int connect_with(int type, const char *path, struct error *error)
{
	struct sockaddr_un address;
	cleanup_close int directory = -1, fd = -1;
	int status = make_address(&address, path, &directory, error);

	if (status < 0)
		return status;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(error, errno, "socket");
	do {
		status = connect(fd, (struct sockaddr *)&address, sizeof(address));
	} while (status < 0 && errno == EINTR);
	if (status < 0)
		return error_errno(error, errno, "connect to %s", path);
	return take_fd(&fd);
}

int unix_connect(const char *path, struct error *error)
{
	return connect_with(SOCK_STREAM, path, error);
}

int unix_connect_now(const char *path, struct error *error)
{
	return unix_connect_now_as(SOCK_STREAM, path, error);
}

int unix_connect_now_as(int type, const char *path, struct error *error)
{
	return connect_with(type | SOCK_NONBLOCK, path, error);
}

int unix_connect_datagrams(const char *path)
{
	return connect_with(SOCK_DGRAM | SOCK_NONBLOCK, path, NULL);
}

bool unix_peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}
