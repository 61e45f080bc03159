/* Bounding console.log. */
#include "runtime/console_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"

/* The last of it, where more has come than there is to be. */
static void move(struct console_log *log, off_t size)
{
	int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
	cleanup_close int old = openat(log->directory, CONSOLE_LOG_OLD, flags, 0600);
	off_t from = size - CONSOLE_LOG_MOST;

	while (old >= 0 && from < size)
		if (sendfile(old, log->fd, &from, (size_t)(size - from)) <= 0)
			break;
	/* Also where there was no room for the copy: least of all then may it grow. */
	if (ftruncate(log->fd, 0) < 0)
		fd_close(&log->fd);
}

static void grown(struct loop_source *source, uint32_t events)
{
	struct console_log *log = container_of(source, struct console_log, source);
	char told[4096];
	struct stat status;

	(void)events;
	while (read(log->watch, told, sizeof(told)) > 0)
		;
	if (log->fd >= 0 && fstat(log->fd, &status) == 0 && status.st_size >= CONSOLE_LOG_MOST)
		move(log, status.st_size);
}

int console_log_open(struct console_log *log, struct loop *loop, int directory, struct error *error)
{
	char path[PATH_OF_FD_SIZE];

	*log = (struct console_log){.directory = directory, .watch = -1};
	/* Another machine may have been tried before. */
	unlinkat(directory, CONSOLE_LOG, 0);
	log->fd = openat(directory, CONSOLE_LOG, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (log->fd < 0)
		return error_errno(error, errno, "make " CONSOLE_LOG);
	log->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (log->watch < 0 || inotify_add_watch(log->watch, path_of_fd(path, log->fd), IN_MODIFY) < 0 ||
	    loop_add(loop, &log->source, log->watch, EPOLLIN, grown) < 0) {
		int number = errno;

		fd_close(&log->watch);
		fd_close(&log->fd);
		return error_errno(error, number, "watch " CONSOLE_LOG);
	}
	log->loop = loop;
	return 0;
}

void console_log_close(struct console_log *log)
{
	if (!log->loop)
		return;
	loop_remove(log->loop, &log->source);
	fd_close(&log->watch);
	fd_close(&log->fd);
	log->loop = NULL;
}
