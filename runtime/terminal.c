/* termios. */
#include "runtime/terminal.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void set_raw(int fd, const struct termios *saved)
{
	struct termios raw = *saved;

	cfmakeraw(&raw);
	tcsetattr(fd, TCSADRAIN, &raw);
}

int terminal_make_raw(struct terminal *terminal, int fd, struct error *error)
{
	terminal->fd = -1;
	if (tcgetattr(fd, &terminal->saved) < 0)
		return error_errno(error, errno, "terminal");
	terminal->fd = fd;
	set_raw(fd, &terminal->saved);
	return 0;
}

void terminal_again(const struct terminal *terminal)
{
	if (terminal->fd >= 0)
		set_raw(terminal->fd, &terminal->saved);
}

void terminal_restore(struct terminal *terminal)
{
	sigset_t stop, before;

	if (terminal->fd < 0)
		return;
	/* In the background the change would stop us instead. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stop, &before);
	tcsetattr(terminal->fd, TCSADRAIN, &terminal->saved);
	sigprocmask(SIG_SETMASK, &before, NULL);
	terminal->fd = -1;
}

bool terminal_size(unsigned *rows, unsigned *columns)
{
	static const int candidates[] = {STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO};
	struct winsize size;

	for (unsigned i = 0; i < sizeof(candidates) / sizeof(*candidates); i++)
		if (ioctl(candidates[i], TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
			*rows = size.ws_row;
			*columns = size.ws_col;
			return true;
		}
	return false;
}
