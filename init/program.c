/* The agent's program, and its process.
 *
 * The agent is a child with SIGCHLD as its exit signal, which its own CLONE_PARENT children get as theirs. It is in a
 * session of its own, so that no key on the console reaches it, and dies with the supervisor.
 */
#include "init/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/supervision.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Opens our program by its path, if that leads to it and its mount is read-only; -1 otherwise. The link in /proc names
 * the right file, but by way of the mount that it was first started from: the writable one, in a guest. */
static int open_read_only(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	cleanup_close int fd = -1;
	struct stat ours, opened;
	struct statvfs mount;

	if (length < 0)
		return -1;
	path[length] = '\0';
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatvfs(fd, &mount) < 0 || !(mount.f_flag & ST_RDONLY))
		return -1;
	if (fstat(fd, &opened) < 0 || stat("/proc/self/exe", &ours) < 0)
		return -1;
	return opened.st_dev == ours.st_dev && opened.st_ino == ours.st_ino ? take_fd(&fd) : -1;
}

static int copy_to_memory(struct error *error)
{
	cleanup_close int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), copy = -1;
	struct stat status;

	if (file < 0 || fstat(file, &status) < 0)
		return error_errno(error, errno, "open our own program");
	/* MFD_EXEC is newer than the oldest kernel that will do. */
	copy = memfd_create("nacre-agent", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (copy < 0)
		copy = memfd_create("nacre-agent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return error_errno(error, errno, "make a file in memory");
	for (off_t left = status.st_size; left > 0;) {
		ssize_t count = sendfile(copy, file, NULL, (size_t)left);

		if (count <= 0)
			return error_errno(error, count < 0 ? errno : EIO, "copy our own program");
		left -= count;
	}
	if (fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return error_errno(error, errno, "seal our own program");
	return take_fd(&copy);
}

static int raise_limit(struct program *program, struct error *error)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &program->files) < 0)
		return error_errno(error, errno, "read the limit of open files");
	limit = program->files;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_errno(error, errno, "raise the limit of open files");
	return 0;
}

int program_prepare(struct program *program, bool guest, char **arguments, struct error *error)
{
	int status = raise_limit(program, error);

	if (status < 0)
		return status;
	program->arguments = arguments;
	program->file = open_read_only();
	if (program->file < 0)
		program->file = copy_to_memory(error);
	if (program->file < 0)
		return program->file;
	if (setenv(SUPERVISION_ROLE, "agent", 1) < 0 ||
	    (guest ? setenv(SUPERVISION_GUEST, "1", 1) : unsetenv(SUPERVISION_GUEST)) < 0)
		return error_errno(error, errno, "set the environment");
	return 0;
}

/* The child, until it is the agent: in our memory, as vfork(2) makes it, so it only makes system calls. */
static void __attribute__((noreturn)) become_agent(const struct program *program, pid_t supervisor, int socket)
{
	static const char message[] = "nacre-agent: can't be started\n";
	sigset_t none;

	sigemptyset(&none);
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		_exit(1);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setrlimit(RLIMIT_NOFILE, &program->files);
	if (socket == SUPERVISION_FD)
		fcntl(socket, F_SETFD, 0);
	else
		dup2(socket, SUPERVISION_FD);
	syscall(SYS_execveat, program->file, "", program->arguments, environ, AT_EMPTY_PATH);
	(void)!write(STDERR_FILENO, message, sizeof(message) - 1);
	_exit(127);
}

pid_t program_start(const struct program *program, int *socket)
{
	pid_t supervisor = getpid(), pid;
	int ends[2], number;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	/* Only our end: the supervisor waits for nobody. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	/* Copying the supervisor's page tables, to throw them away at once, would cost a tenth of the guest's start. */
	pid = vfork();
	if (pid == 0)
		become_agent(program, supervisor, ends[1]);
	number = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -number;
	}
	*socket = ends[0];
	return pid;
}
