/* The keeper: the run directory, the VMM and the worker, from beginning to end. */
#include "proxy/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/confine.h"
#include "proxy/listen_fds.h"
#include "proxy/proxy.h"
#include "proxy/unix_socket.h"
#include "proxy/user.h"

#define LOG_SUBSYSTEM "proxy"
#include "lib/log.h"

/* keeper's syscalls: open openat ftruncate pwrite64 unlink unlinkat read poll ppoll */

/* Listeners, clients of proxy.sock, the VMM's memory, rings: what isn't a connection to the guest. A session has an end of one for
 * each stream, and whoever is attached. */
#define OTHER_DESCRIPTORS 256
#define SESSION_DESCRIPTORS 8

/* What a worker may take to end, beyond the time for its clients. */
#define PATIENCE (2 * LOOP_SECOND)

/* What the worker of a killed proxy may take to be gone. */
#define LOCK_TRIES 1000
#define LOCK_PAUSE 10000 /* microseconds */
#define END_TIME 1000	 /* milliseconds */

/* The number alone, whatever was there. */
static int write_pid(int fd, const char *name, pid_t pid, struct error *error)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "%d\n", (int)pid);

	if (ftruncate(fd, 0) < 0 || pwrite(fd, line, (size_t)length, 0) != length)
		return error_errno(error, errno, "write %s", name);
	return 0;
}

/* ---- The end ------------------------------------------------------------------------------------------------- */

static void patience_over(struct loop_timer *timer)
{
	struct keeper *keeper = container_of(timer, struct keeper, patience);

	log_warning("the worker doesn't end");
	loop_stop(&keeper->loop);
}

/* The VM has ended: what it sent is still delivered, but to clients of whom nobody wants to wait. */
static void finish(struct keeper *keeper, int status, bool now)
{
	if (keeper->finishing)
		return;
	keeper->finishing = true;
	keeper->status = status;
	vhost_keeper_close(&keeper->vhost);
	sockets_close(&keeper->sockets);
	worker_give_up(&keeper->worker);
	if (keeper->worker.pid == 0) {
		loop_stop(&keeper->loop);
		return;
	}
	worker_tell(&keeper->worker, now ? WORKER_QUIT : WORKER_FINISH);
	loop_timer_set(&keeper->loop, &keeper->patience, PATIENCE + (now ? 0 : keeper->options->drain_time), patience_over);
}

static void vmm_ended(struct vmm *vmm)
{
	struct keeper *keeper = container_of(vmm, struct keeper, vmm);

	log_info("the VMM has ended with status %d", vmm->status);
	finish(keeper, vmm->status, false);
}

/* Of a VMM of our own the exit counts, and follows. */
static void guest_left(struct keeper *keeper)
{
	if (!keeper->options->vmm)
		finish(keeper, 0, false);
}

/* One that is to come back finds the listener, and clients of agent.sock wait as they did before it came. */
static void vmm_left(struct vhost_keeper *vhost)
{
	struct keeper *keeper = container_of(vhost, struct keeper, vhost);

	if (!keeper->options->carrier.reconnect)
		guest_left(keeper);
}

static void signalled(struct loop_source *source, uint32_t events)
{
	struct keeper *keeper = container_of(source, struct keeper, signals);
	struct signalfd_siginfo signal;

	(void)events;
	if (read(source->fd, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
		return;
	log_info("ending because of signal %u", signal.ssi_signo);
	vmm_kill(&keeper->vmm);
	if (keeper->finishing)
		loop_stop(&keeper->loop);
	/* Whoever sends this doesn't want to wait for clients. */
	finish(keeper, 0, true);
}

/* ---- The worker ---------------------------------------------------------------------------------------------- */

static struct keeper *of_worker(struct worker *worker)
{
	return container_of(worker, struct keeper, worker);
}

static int be_worker(struct worker *worker, const struct worker_ends *ends)
{
	struct keeper *keeper = of_worker(worker);

	return proxy_work(&(struct estate){
		.options = keeper->options,
		.sockets = &keeper->sockets,
		.shared = keeper->shared,
		.lock = keeper->worker_file,
		.rings = &keeper->rings,
		.ends = *ends});
}

static void worker_prepared(struct worker *worker, int device)
{
	struct keeper *keeper = of_worker(worker);

	if (keeper->options->carrier.type == CARRIER_VHOST_USER)
		vhost_keeper_join(&keeper->vhost, device);
	else
		fd_close(&device);
}

static void worker_unprepared(struct worker *worker)
{
	vhost_keeper_part(&of_worker(worker)->vhost);
}

static void worker_started(struct worker *worker)
{
	struct keeper *keeper = of_worker(worker);
	struct error error;

	if (write_pid(keeper->worker_file, "worker.pid", worker->pid, &error) < 0)
		log_warning("%s", error.text);
}

static void worker_guest_left(struct worker *worker)
{
	guest_left(of_worker(worker));
}

static void tell_how(const struct keeper *keeper, int status)
{
	if (keeper->shared->refused != 0)
		log_error("the worker was stopped: system call %d isn't one of its own; another one follows",
			  keeper->shared->refused - 1);
	else if (WIFSIGNALED(status))
		log_error("the worker was killed by signal %d (%s); another one follows", WTERMSIG(status),
			  strsignal(WTERMSIG(status)));
	else
		log_error("the worker has ended with status %d; another one follows", WEXITSTATUS(status));
}

static void worker_ended(struct worker *worker, int status)
{
	struct keeper *keeper = of_worker(worker);

	vhost_keeper_part(&keeper->vhost);
	if (keeper->finishing) {
		loop_stop(&keeper->loop);
		return;
	}
	tell_how(keeper, status);
	keeper->shared->refused = 0;
}

static const struct worker_ops worker_ops = {
	.main = be_worker,
	.prepared = worker_prepared,
	.unprepared = worker_unprepared,
	.started = worker_started,
	.guest_left = worker_guest_left,
	.ended = worker_ended,
};

static void worker_lost(struct vhost_keeper *vhost)
{
	worker_kill(&container_of(vhost, struct keeper, vhost)->worker);
}

/* ---- The beginning ------------------------------------------------------------------------------------------- */

static int open_pid_file(const struct keeper *keeper, const char *name, int access, struct error *error)
{
	cleanup_free char *path = unix_path_in(keeper->options->directory, name, error);
	int fd;

	if (!path)
		return -ENOMEM;
	fd = open(path, access | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? error_errno(error, errno, "open %s", path) : fd;
}

/* What a dying process has is let go piece by piece, the lock perhaps before the sockets; all of it is gone when the process is. The
 * number may be anybody's by now, who isn't waited for long. */
static void await_end(int file)
{
	char text[32];
	ssize_t length = pread(file, text, sizeof(text) - 1, 0);
	cleanup_close int process = -1;

	text[length > 0 ? length : 0] = '\0';
	process = (int)syscall(SYS_pidfd_open, atoi(text), 0);
	if (process >= 0)
		poll(&(struct pollfd){.fd = process, .events = POLLIN}, 1, END_TIME);
}

/* The files' locks say whether another proxy serves this directory; their names may be left over from one that was killed. The
 * worker of such a one is being killed as well, and has its sockets until then. */
static int lock_directory(struct keeper *keeper, struct error *error)
{
	cleanup_close int own = open_pid_file(keeper, "proxy.pid", O_WRONLY, error), worker = -1;
	int status;

	if (own < 0)
		return own;
	if (flock(own, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? error_set(error, EBUSY, "another nacre-proxy serves %s",
							keeper->options->directory)
					    : error_errno(error, errno, "lock %s/proxy.pid", keeper->options->directory);
	worker = open_pid_file(keeper, "worker.pid", O_RDWR, error);
	if (worker < 0)
		return worker;
	for (int i = 0; flock(worker, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i == LOCK_TRIES)
			return error_errno(error, errno, "lock %s/worker.pid", keeper->options->directory);
		usleep(LOCK_PAUSE);
	}
	await_end(worker);
	status = write_pid(own, "proxy.pid", getpid(), error);
	if (status < 0)
		return status;
	keeper->pid_file = take_fd(&own);
	keeper->worker_file = take_fd(&worker);
	return 0;
}

static int watch_signals(struct keeper *keeper, struct error *error)
{
	sigset_t set;
	int fd, status;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN); /* writev(2) has no flag for that */
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_errno(error, errno, "signalfd");
	status = loop_add(&keeper->loop, &keeper->signals, fd, EPOLLIN, signalled);
	if (status < 0) {
		fd_close(&fd);
		return error_errno(error, -status, "watch signals");
	}
	return 0;
}

/* It speaks the VMM's protocol as well, and would be its own client, over and over. */
static int check_carrier(const struct keeper *keeper, struct error *error)
{
	const char *path = keeper->options->carrier.path;
	const struct listening *own = &keeper->sockets.named[SOCKET_PORT];
	struct stat file;

	if (own->made && path && stat(path, &file) == 0 && file.st_dev == own->file.st_dev &&
	    file.st_ino == own->file.st_ino)
		return error_set(error, EINVAL, "--carrier hybrid:%s: that is the proxy's own vsock.sock", path);
	return 0;
}

/* Descriptors for as many connections as are allowed, each with two ends where the carrier has sockets, too. */
static int make_room(const struct keeper *keeper, struct error *error)
{
	const struct options *options = keeper->options;
	rlim_t ends = options->carrier.type == CARRIER_VHOST_USER ? 1 : 2;
	rlim_t wanted = options->limits.from_host * (ends + AGENT_LINK_DESCRIPTORS) + options->limits.from_guest * ends +
			(rlim_t)options->max_sessions * SESSION_DESCRIPTORS + OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_errno(error, errno, "getrlimit");
	if (wanted <= limit.rlim_cur)
		return 0;
	if (wanted > limit.rlim_max)
		return error_set(error, EINVAL,
				 "--max-connections and --max-guest-connections: %llu descriptors may be needed, and the "
				 "limit is %llu",
				 (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
	limit.rlim_cur = wanted;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? error_errno(error, errno, "setrlimit") : 0;
}

static int make_shared(struct keeper *keeper, struct error *error)
{
	const struct streams_limits *limits = &keeper->options->limits;

	/* Those whose reset is still due are beyond the limits. */
	keeper->shared = shared_new(limits->from_host + limits->from_guest + VSOCK_RESETS_MAX);
	if (!keeper->shared)
		return error_errno(error, errno, "map memory for workers");
	return ring_store_open(&keeper->rings, keeper->options->max_sessions, keeper->options->ring, error);
}

static int open_carrier(struct keeper *keeper, int *passed, struct error *error)
{
	const struct carrier_options *carrier = &keeper->options->carrier;

	if (carrier->type == CARRIER_VHOST_USER)
		return vhost_keeper_open(&keeper->vhost, &keeper->loop, carrier->path, take_fd(passed),
					 carrier->guest_cid, &keeper->shared->record, error);
	if (*passed >= 0)
		return error_set(error, EINVAL, "a socket for the VMM was passed, and --carrier names what doesn't listen for it");
	return 0;
}

static int prepare_vmm(struct keeper *keeper, struct error *error)
{
	return keeper->options->vmm ? vmm_prepare(&keeper->vmm, keeper->options->vmm, error) : 0;
}

static int start_vmm(struct keeper *keeper, struct error *error)
{
	cleanup_close int file = -1;
	int status;

	if (!keeper->options->vmm)
		return 0;
	status = vmm_start(&keeper->vmm, keeper->options->vmm[0], error);
	if (status < 0)
		return status;
	file = open_pid_file(keeper, "vmm.pid", O_WRONLY, error);
	return file < 0 ? file : write_pid(file, "vmm.pid", keeper->vmm.pid, error);
}

static int set_up(struct keeper *keeper, int passed[SOCKET_PASSED], struct error *error)
{
	int status = keeper->options->user ? user_become(keeper->options->user, error) : 0;

	if (status == 0)
		status = lock_directory(keeper, error);
	if (status == 0)
		status = watch_signals(keeper, error);
	if (status == 0)
		status = make_room(keeper, error);
	if (status == 0)
		status = make_shared(keeper, error);
	if (status == 0)
		status = prepare_vmm(keeper, error);
	if (status == 0)
		status = open_carrier(keeper, &passed[SOCKET_CARRIER], error);
	if (status == 0)
		status = sockets_open(&keeper->sockets, keeper->options, passed, error);
	if (status == 0)
		status = check_carrier(keeper, error);
	if (status == 0)
		status = confine_keeper(keeper->options, error);
	if (status == 0)
		status = worker_start(&keeper->worker, error);
	return status;
}

int keeper_open(struct keeper *keeper, const struct options *options, struct error *error)
{
	int passed[SOCKET_PASSED], status;

	*keeper = (struct keeper){.options = options,
				  .pid_file = -1,
				  .worker_file = -1,
				  .signals.fd = -1,
				  .vhost = {.vmm_left = vmm_left, .lost = worker_lost, .link = -1}};
	status = loop_init(&keeper->loop);
	vmm_init(&keeper->vmm, &keeper->loop, vmm_ended);
	worker_init(&keeper->worker, &keeper->loop, options->restart_delay, &worker_ops);
	if (status < 0)
		return error_errno(error, -status, "epoll_create1");
	status = listen_fds_take(sockets_passed_names, SOCKET_PASSED, passed, error);
	if (status < 0)
		return status;
	status = set_up(keeper, passed, error);
	for (size_t i = 0; i < SOCKET_PASSED; i++)
		fd_close(&passed[i]);
	keeper->vmm_due = status == 0;
	return status < 0 ? status : start_vmm(keeper, error);
}

int keeper_run(struct keeper *keeper)
{
	int status = loop_run(&keeper->loop);

	if (status < 0) {
		log_error("epoll_wait: %s", strerror(-status));
		return 125;
	}
	return keeper->status;
}

static void remove_file(const struct keeper *keeper, const char *name)
{
	cleanup_free char *path = unix_path_in(keeper->options->directory, name, NULL);

	if (path)
		unlink(path);
}

void keeper_close(struct keeper *keeper)
{
	int signals = keeper->signals.fd;

	vmm_kill(&keeper->vmm);
	worker_destroy(&keeper->worker);
	vhost_keeper_part(&keeper->vhost);
	vhost_keeper_close(&keeper->vhost);
	sockets_close(&keeper->sockets);
	loop_remove(&keeper->loop, &keeper->signals);
	fd_close(&signals);
	loop_destroy(&keeper->loop);
	ring_store_close(&keeper->rings);
	shared_free(keeper->shared);
	if (keeper->pid_file < 0) /* the directory is another's */
		return;
	remove_file(keeper, "vmm.pid");
	remove_file(keeper, "worker.pid");
	remove_file(keeper, "proxy.pid");
	fd_close(&keeper->worker_file);
	fd_close(&keeper->pid_file);
}
