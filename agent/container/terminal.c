/* The pty of a workload with a terminal: from the container's own devpts where it has one, so that ttyname(3) works
 * there, otherwise from the guest's. See ioctl_tty(2), pts(4). */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "agent/container/helper.h"
#include "agent/container/kernel.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#define DEVPTS_MAGIC 0x1cd1

static bool is_multiplexer(int fd)
{
	struct statfs statfs;
	struct stat stat;

	return fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) && stat.st_rdev == makedev(5, 2) &&
	       fstatfs(fd, &statfs) == 0 && statfs.f_type == DEVPTS_MAGIC;
}

/* The container's multiplexer is only opened for good after it was seen to be one. */
static int open_master(struct helper *helper)
{
	cleanup_close int own = path_open_in_root(helper->root, "/dev/pts/ptmx", O_PATH, 0, NULL);
	int flags = O_RDWR | O_NOCTTY;
	int master = -ENOENT;

	if (own >= 0 && is_multiplexer(own))
		master = helper_reopen(helper, own, flags);
	else if (helper->ptmx >= 0)
		master = helper_reopen(helper, helper->ptmx, flags);
	return master < 0 ? error_errno(&helper->error, -master, "open a pty") : master;
}

static int open_slave(struct helper *helper, int master)
{
	const struct plan_process *process = &helper->plan.process;
	const struct winsize size = {.ws_row = process->terminal_rows, .ws_col = process->terminal_columns};
	int locked = 0, slave = -1;

	if (ioctl(master, TIOCSPTLCK, &locked) == 0)
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_errno(&helper->error, errno, "open the pty's other end");
	if (size.ws_row && size.ws_col && ioctl(master, TIOCSWINSZ, &size) < 0) {
		close(slave);
		return error_errno(&helper->error, errno, "set the terminal's size");
	}
	return slave;
}

/* Shows the pty as /dev/console. What is there already must be a file or a device: the mount is attached to it, by
 * descriptor, and what is mounted is the end that was just opened. */
static int bind_console(struct helper *helper, int slave)
{
	struct error *error = &helper->error;
	cleanup_close int directory = path_make_directories(helper->root, "/dev", 0755, error);
	cleanup_close int tree = -1, target = -1;
	struct stat stat;

	if (directory < 0)
		return directory;
	if (mknodat(directory, "console", S_IFREG | 0600, 0) < 0 && errno == EROFS)
		return 0;
	target = openat(directory, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 || fstat(target, &stat) < 0)
		return error_errno(error, errno, "make /dev/console");
	if (!S_ISREG(stat.st_mode) && !S_ISCHR(stat.st_mode))
		return error_set(error, EEXIST, "something else is in the place of /dev/console");
	tree = kernel_open_tree(slave, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
	if (tree < 0 || kernel_move_mount(tree, target) < 0)
		return error_errno(error, errno, "attach the terminal at /dev/console");
	return 0;
}

int terminal_open(struct helper *helper, bool console)
{
	cleanup_close int master = open_master(helper);
	cleanup_close int slave = -1;
	int status;

	if (master < 0)
		return master;
	slave = open_slave(helper, master);
	if (slave < 0)
		return slave;
	status = console ? bind_console(helper, slave) : 0;
	if (status == 0)
		status = helper_report(helper, LAUNCH_TERMINAL, 0, &master, 1);
	if (status < 0)
		return status;
	helper->stdio[0] = helper->stdio[1] = helper->stdio[2] = take_fd(&slave);
	return 0;
}
