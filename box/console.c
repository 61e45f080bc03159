/* SCM_RIGHTS, and a loop of copying. */
#include "box/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/terminal.h"

int console_connect(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return error_errno(error, ENAMETOOLONG, "--console-socket %s", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(error, errno, "--console-socket %s", path);
	return take_fd(&fd);
}

int console_pair(int ends[2], struct error *error)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(error, errno, "make a socket");
	return 0;
}

/* False at the end of what can be read. */
static bool copy(int from, int to)
{
	char bytes[4096];
	ssize_t count = read(from, bytes, sizeof(bytes));

	return count > 0 ? fd_write_all(to, bytes, (size_t)count) == 0 : count < 0 && errno == EAGAIN;
}

static void resize(int master)
{
	struct winsize size;
	unsigned rows, columns;

	if (!terminal_size(&rows, &columns))
		return;
	size = (struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	ioctl(master, TIOCSWINSZ, &size);
}

int console_relay(int end, int ended, struct error *error)
{
	struct pollfd waiting[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = ended, .events = POLLIN}, {.events = POLLIN}};
	struct terminal terminal = {.fd = -1};
	int masters[1] = {-1};
	cleanup_close int master = -1;
	size_t count = 1;
	char name[64];
	ssize_t length = fd_receive(end, name, sizeof(name), masters, &count);

	if (length <= 0 || count != 1)
		return error_set(error, EIO, "no terminal has come");
	master = waiting[2].fd = masters[0];
	fd_set_blocking(master, false);
	resize(master);
	if (isatty(STDIN_FILENO))
		terminal_make_raw(&terminal, STDIN_FILENO, NULL);
	for (;;) {
		poll(waiting, array_size(waiting), -1);
		if (waiting[0].revents && !copy(STDIN_FILENO, master))
			waiting[0].fd = -1;
		if (waiting[2].revents && !copy(master, STDOUT_FILENO))
			break;
		if (waiting[1].revents && !waiting[2].revents)
			break;
	}
	terminal_restore(&terminal);
	return 0;
}
