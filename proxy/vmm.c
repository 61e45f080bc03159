/* The VMM: fork, and later exec; the pidfd. */
#include "proxy/vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

/* keeper's syscalls: read write wait4 kill pidfd_open fcntl */

void vmm_init(struct vmm *vmm, struct loop *loop, void (*ended)(struct vmm *vmm))
{
	*vmm = (struct vmm){.loop = loop, .source.fd = -1, .go = -1, .report = -1, .ended = ended};
	getrlimit(RLIMIT_NOFILE, &vmm->descriptors);
}

static void reap(struct vmm *vmm)
{
	int fd = vmm->source.fd, status;
	pid_t pid;

	do {
		pid = waitpid(vmm->pid, &status, 0);
	} while (pid < 0 && errno == EINTR);
	vmm->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	vmm->pid = 0;
	loop_remove(vmm->loop, &vmm->source);
	fd_close(&fd);
}

static void pidfd_ready(struct loop_source *source, uint32_t events)
{
	struct vmm *vmm = container_of(source, struct vmm, source);

	(void)events;
	reap(vmm);
	vmm->ended(vmm);
}

/* In the child. The proxy's own descriptors are close-on-exec; what its caller has left open for the VMM stays. */
static void become(const struct vmm *vmm, char *const argv[], int go, int report, pid_t parent)
{
	sigset_t none;
	int number;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before that took effect */
		_exit(125);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setrlimit(RLIMIT_NOFILE, &vmm->descriptors);
	if (fd_read_all(go, &byte, 1) != 1) /* it isn't to be */
		_exit(125);
	execvp(argv[0], argv);
	number = errno;
	/* Where even this fails the parent sees an exit of 125. */
	if (write(report, &number, sizeof(number)) < 0)
		_exit(125);
	_exit(125);
}

static int watch(struct vmm *vmm, struct error *error)
{
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, vmm->pid, 0);
	int status;

	if (fd < 0)
		return error_errno(error, errno, "pidfd_open");
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	status = loop_add(vmm->loop, &vmm->source, fd, EPOLLIN, pidfd_ready);
	if (status < 0)
		return error_errno(error, -status, "watch the VMM");
	take_fd(&fd);
	return 0;
}

int vmm_prepare(struct vmm *vmm, char *const argv[], struct error *error)
{
	cleanup_close int go = -1, report = -1;
	pid_t parent = getpid();
	int pipe[2];

	if (pipe2(pipe, O_CLOEXEC) < 0)
		return error_errno(error, errno, "pipe");
	go = pipe[0];
	vmm->go = pipe[1];
	if (pipe2(pipe, O_CLOEXEC) < 0)
		return error_errno(error, errno, "pipe");
	vmm->report = pipe[0];
	report = pipe[1];
	vmm->pid = fork();
	if (vmm->pid < 0) {
		vmm->pid = 0;
		return error_errno(error, errno, "fork");
	}
	if (vmm->pid == 0) {
		fd_close(&vmm->go);
		become(vmm, argv, go, report, parent);
	}
	return 0;
}

int vmm_start(struct vmm *vmm, const char *name, struct error *error)
{
	int number, status = fd_write_all(vmm->go, "", 1);

	fd_close(&vmm->go);
	/* The end of file is the exec: it closes the child's end. */
	if (status == 0 && fd_read_all(vmm->report, &number, sizeof(number)) == (ssize_t)sizeof(number))
		status = -number;
	fd_close(&vmm->report);
	if (status < 0) {
		reap(vmm);
		return error_errno(error, -status, "run %s", name);
	}
	status = watch(vmm, error);
	if (status < 0)
		vmm_kill(vmm);
	return status;
}

void vmm_kill(struct vmm *vmm)
{
	fd_close(&vmm->go);
	fd_close(&vmm->report);
	if (vmm->pid == 0)
		return;
	/* Our own child, not reaped yet: the number is still its own. */
	kill(vmm->pid, SIGKILL);
	reap(vmm);
}
