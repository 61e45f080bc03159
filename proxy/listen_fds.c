/* Sockets from a service manager. */
#include "proxy/listen_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"

#define FIRST 3
#define MOST 1024

static bool is_number(const char *text, long *number)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*number = strtol(text, &end, 10);
	return errno == 0 && *end == '\0';
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

static bool listens(int fd)
{
	return option_of(fd, SO_DOMAIN) == AF_UNIX && option_of(fd, SO_TYPE) == SOCK_STREAM &&
	       option_of(fd, SO_ACCEPTCONN) == 1;
}

static int take_one(int fd, const char *name, size_t length, const char *const *names, size_t count, int *fds,
		    struct error *error)
{
	size_t i = 0;

	while (i < count && (strlen(names[i]) != length || strncmp(names[i], name, length) != 0))
		i++;
	if (i == count)
		return error_set(error, EINVAL, "LISTEN_FDNAMES: nothing here is called '%.*s'", (int)length, name);
	if (fds[i] >= 0)
		return error_set(error, EINVAL, "LISTEN_FDNAMES: '%s' is there twice", names[i]);
	if (!listens(fd) || fd_set_blocking(fd, false) < 0)
		return error_set(error, EINVAL, "LISTEN_FDS: descriptor %d ('%s') is no listening Unix socket", fd, names[i]);
	fds[i] = fd;
	return 0;
}

static int take_all(long passed, const char *list, const char *const *names, size_t count, int *fds, struct error *error)
{
	for (long i = 0; i < passed; i++) {
		size_t length = list ? strcspn(list, ":") : 0;
		int status;

		if (length == 0)
			return error_set(error, EINVAL, "LISTEN_FDNAMES: %ld sockets, and no name for number %ld", passed,
					 i + 1);
		status = take_one(FIRST + (int)i, list, length, names, count, fds, error);
		if (status < 0)
			return status;
		list = list[length] == ':' ? list + length + 1 : NULL;
	}
	return 0;
}

int listen_fds_take(const char *const *names, size_t count, int *fds, struct error *error)
{
	long pid, passed = 0;
	bool ours = is_number(getenv("LISTEN_PID"), &pid) && pid == (long)getpid();
	int status = 0;

	for (size_t i = 0; i < count; i++)
		fds[i] = -1;
	if (ours && (!is_number(getenv("LISTEN_FDS"), &passed) || passed > MOST))
		status = error_set(error, EINVAL, "LISTEN_FDS: must be a number, %d at most", MOST);
	/* What this process starts isn't meant. */
	for (long i = 0; status == 0 && i < passed; i++)
		if (fcntl(FIRST + (int)i, F_SETFD, FD_CLOEXEC) < 0)
			status = error_errno(error, errno, "LISTEN_FDS: descriptor %ld", FIRST + i);
	if (status == 0)
		status = take_all(passed, getenv("LISTEN_FDNAMES"), names, count, fds, error);
	for (size_t i = 0; status < 0 && i < count; i++)
		fd_close(&fds[i]);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return status;
}
