/* Starting virtiofsd in a mount namespace that holds what it may show. */
#include "runtime/share.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mount.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/path.h"
#include "proxy/unix_socket.h"

#define LOG "virtiofsd.log"
#define FOLDER "shared" /* where the tmpfs is, in that namespace */
#define TMPFS_OPTIONS "mode=755,size=1m"

static const char *const programs[] = {
	"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd", "/usr/local/libexec/virtiofsd",
	"/usr/local/bin/virtiofsd", "/usr/bin/virtiofsd",
};

int share_find(char program[PATH_MAX], struct error *error)
{
	for (size_t i = 0; i < array_size(programs); i++) {
		if (access(programs[i], X_OK) < 0)
			continue;
		if (geteuid() != 0)
			return error_set(error, EPERM, "virtiofsd runs as root only (%s)", programs[i]);
		strcpy(program, programs[i]);
		return 0;
	}
	return error_set(error, ENOENT, "virtiofsd is not installed (on Debian: apt-get install qemu-system-common)");
}

/* The child ---------------------------------------------------------------------------------------------------- */

struct start {
	const char *program, *folder;
	int socket, root, report;
	const struct volumes *volumes;
	struct error error;
};

static int make_target(const char *path, bool directory, struct error *error)
{
	int status = directory ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0);

	return status < 0 ? error_errno(error, errno, "make %s", path) : 0;
}

/* A mount of its own of what `fd` is, attached nowhere: made in the namespace that `fd` comes from. */
static int detach(int fd, struct error *error)
{
	int tree = (int)syscall(SYS_open_tree, fd, "",
				AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return tree < 0 ? error_errno(error, errno, "open_tree") : tree;
}

/* Puts such a mount under its name. */
static int attach(int tree, const char *folder, const char *name, bool directory, bool read_only, struct error *error)
{
	struct mount_attr attributes = {.attr_set = MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0)};
	char path[PATH_MAX];
	int status;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= PATH_MAX)
		return error_errno(error, ENAMETOOLONG, "%s", folder);
	status = make_target(path, directory, error);
	if (status < 0)
		return status;
	if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
		return error_errno(error, errno, "mount_setattr for %s", path);
	if (syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(error, errno, "move_mount to %s", path);
	return 0;
}

/* By descriptors: what was looked at is what is shared. */
static int detach_all(const struct start *start, int trees[VOLUMES_MOST + 1], struct error *error)
{
	int status = 0;

	for (size_t i = 0; i <= start->volumes->count && status >= 0; i++) {
		int fd = i < start->volumes->count ? start->volumes->list[i].fd : start->root;

		trees[i] = -1;
		if (fd < 0)
			continue;
		status = detach(fd, error);
		trees[i] = status;
	}
	return status < 0 ? status : 0;
}

static int attach_all(const struct start *start, const int trees[VOLUMES_MOST + 1], struct error *error)
{
	int root = trees[start->volumes->count], status = 0;

	if (root >= 0)
		status = attach(root, start->folder, SHARE_ROOT, true, true, error);
	for (size_t i = 0; i < start->volumes->count && status == 0; i++) {
		const struct volume *volume = &start->volumes->list[i];
		char name[24];

		snprintf(name, sizeof(name), "%zu", i);
		if (trees[i] >= 0)
			status = attach(trees[i], start->folder, name, volume->directory, volume->read_only, error);
	}
	return status;
}

static int assemble(const struct start *start, struct error *error)
{
	int trees[VOLUMES_MOST + 1];
	int status = detach_all(start, trees, error);

	if (status < 0)
		return status;
	if (unshare(CLONE_NEWNS) < 0)
		return error_errno(error, errno, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_errno(error, errno, "make mounts private");
	if (mount("tmpfs", start->folder, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, TMPFS_OPTIONS) < 0)
		return error_errno(error, errno, "mount tmpfs at %s", start->folder);
	status = attach_all(start, trees, error);
	if (status == 0 && mount(NULL, start->folder, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
				 TMPFS_OPTIONS) < 0)
		status = error_errno(error, errno, "make %s read-only", start->folder);
	return status;
}

/* Options that both virtiofsds know: QEMU's own in C, and the one in Rust. */
static int become_daemon(void *data)
{
	struct start *start = data;
	char source[PATH_MAX + 16], socket[32];
	char *const argv[] = {(char *)start->program, socket, "-f", "-o", source, "-o", "cache=auto,xattr", NULL};
	int status = assemble(start, &start->error);

	snprintf(source, sizeof(source), "source=%s", start->folder);
	snprintf(socket, sizeof(socket), "--fd=%d", start->socket);
	if (status == 0 && fcntl(start->socket, F_SETFD, 0) == 0)
		execv(start->program, argv);
	if (status == 0)
		error_errno(&start->error, errno, "run %s", start->program);
	fd_write_all(start->report, start->error.text, strlen(start->error.text));
	return EXIT_FAILURE;
}

/* Its parent --------------------------------------------------------------------------------------------------- */

/* Listening before the VMM comes, so nobody has to wait. */
static int listen_at(const struct run_directory *directory, struct error *error)
{
	char path[RUN_FILE_SIZE];
	int fd = unix_listen(run_directory_file(directory, SHARE_SOCKET, path), error);

	/* virtiofsd waits in accept(2). */
	if (fd >= 0)
		fd_set_blocking(fd, true);
	return fd;
}

static void daemon_ended(struct loop_source *source, uint32_t events)
{
	struct share *share = container_of(source, struct share, source);

	(void)events;
	loop_remove(share->loop, source);
	share->status = child_reap(&share->daemon);
	share->ended = true;
}

int share_start(struct share *share, struct loop *loop, const struct run_directory *directory, int root,
		const struct volumes *volumes, struct error *error)
{
	cleanup_close int log = openat(directory->fd, LOG, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	cleanup_close int socket = listen_at(directory, error), reader = -1, writer = -1;
	char folder[RUN_FILE_SIZE], said[ERROR_TEXT_SIZE];
	struct start start = {.program = share->program, .folder = run_directory_file(directory, FOLDER, folder),
			      .socket = socket, .root = root, .volumes = volumes};
	int pipe[2], status;
	ssize_t length;

	if (socket < 0)
		return socket;
	if (log < 0 || (mkdirat(directory->fd, FOLDER, 0700) < 0 && errno != EEXIST) || pipe2(pipe, O_CLOEXEC) < 0)
		return error_errno(error, errno, "start virtiofsd");
	reader = pipe[0];
	start.report = writer = pipe[1];
	status = child_start_function(&share->daemon, become_daemon, &start, log, error);
	fd_close(&writer);
	if (status < 0)
		return error_wrap(error, "start virtiofsd");
	/* The end of file is its exec. */
	length = fd_read_all(reader, said, sizeof(said) - 1);
	if (length != 0) {
		child_kill(&share->daemon);
		said[length > 0 ? length : 0] = '\0';
		return error_set(error, EIO, "start virtiofsd: %s", said);
	}
	share->loop = loop;
	share->ended = false;
	status = loop_add(loop, &share->source, share->daemon.pidfd, EPOLLIN, daemon_ended);
	return status < 0 ? error_errno(error, -status, "watch virtiofsd") : 0;
}

void share_stop(struct share *share)
{
	if (share->daemon.pid != 0)
		loop_remove(share->loop, &share->source);
	child_kill(&share->daemon);
}

int share_explain_end(const struct share *share, const struct run_directory *directory, struct error *error)
{
	char line[160];

	run_directory_last_line(directory, LOG, NULL, line, sizeof(line));
	return error_set(error, EIO, "virtiofsd, which has the volumes, ended by itself, with status %d%s%s",
			 share->status, *line ? "; it said: " : "", line);
}
