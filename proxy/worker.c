/* Starting the worker, hearing from it, and starting it again. */
#include "proxy/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"

#define LOG_SUBSYSTEM "worker"
#include "lib/log.h"

/* keeper's syscalls: socketpair fork clone set_robust_list set_tid_address gettid rt_sigprocmask getppid pidfd_open fcntl kill wait4 poll ppoll close_range */

#define READY_TIME 20000 /* milliseconds, for the first one */
#define FIRST_DELAY (5 * LOOP_MILLISECOND)

static void again(struct loop_timer *timer);

void worker_init(struct worker *worker, struct loop *loop, uint64_t most_delay, const struct worker_ops *ops)
{
	*worker = (struct worker){
		.ops = ops, .loop = loop, .most_delay = most_delay, .end.fd = -1, .control.fd = -1};
}

/* ---- The links ----------------------------------------------------------------------------------------------- */

int worker_say(int control, enum worker_message what, const struct error *error)
{
	struct worker_note note = {.what = what};

	if (error)
		note.error = *error;
	return fd_send(control, &note, sizeof(note), NULL, 0);
}

/* 1, 0 at the end, or -errno. */
static int hear(int control, struct worker_note *note)
{
	size_t none = 0;
	ssize_t length = fd_receive(control, note, sizeof(*note), NULL, &none);

	if (length <= 0)
		return (int)length;
	note->error.text[sizeof(note->error.text) - 1] = '\0';
	return length == (ssize_t)sizeof(*note) ? 1 : -EPROTO;
}

static void heard(struct loop_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, control);
	struct worker_note note;
	int status = hear(source->fd, &note);

	(void)events;
	if (status == -EAGAIN)
		return;
	if (status <= 0)
		loop_remove(worker->loop, source); /* its end, which its pidfd tells */
	else if (note.what == WORKER_FAILED)
		log_error("a new worker can't start: %s", note.error.text);
	else if (note.what == WORKER_GUEST_LEFT)
		worker->ops->guest_left(worker);
}

void worker_tell(struct worker *worker, enum worker_message what)
{
	if (worker->pid != 0 && worker_say(worker->control.fd, what, NULL) < 0)
		worker_kill(worker);
}

/* ---- Its end ------------------------------------------------------------------------------------------------- */

static int reap(struct worker *worker)
{
	int end = worker->end.fd, control = worker->control.fd, status = 0;
	pid_t pid;

	do {
		pid = waitpid(worker->pid, &status, 0);
	} while (pid < 0 && errno == EINTR);
	worker->pid = 0;
	loop_remove(worker->loop, &worker->end);
	loop_remove(worker->loop, &worker->control);
	fd_close(&end);
	fd_close(&control);
	worker->control.fd = -1;
	return status;
}

static void start_later(struct worker *worker)
{
	if (worker->given_up)
		return;
	if (loop_now() - worker->started >= WORKER_PROVEN)
		worker->delay = 0;
	loop_timer_set(worker->loop, &worker->again, worker->delay, again);
	worker->delay = worker->delay == 0 ? FIRST_DELAY : worker->delay * 2;
	if (worker->delay > worker->most_delay)
		worker->delay = worker->most_delay;
}

static void pidfd_ready(struct loop_source *source, uint32_t events)
{
	struct worker *worker = container_of(source, struct worker, end);
	int status = reap(worker);

	(void)events;
	worker->ops->ended(worker, status);
	start_later(worker);
}

void worker_give_up(struct worker *worker)
{
	worker->given_up = true;
	loop_timer_clear(worker->loop, &worker->again);
}

void worker_kill(struct worker *worker)
{
	/* Our own child, not reaped yet: the number is still its own. */
	if (worker->pid != 0)
		kill(worker->pid, SIGKILL);
}

void worker_destroy(struct worker *worker)
{
	worker_give_up(worker);
	worker_kill(worker);
	if (worker->pid != 0)
		reap(worker);
}

/* ---- Its beginning ------------------------------------------------------------------------------------------- */

static void become(struct worker *worker, const struct worker_ends *ends, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before that took effect */
		_exit(125);
	_exit(worker->ops->main(worker, ends));
}

static int make_links(int control[2], int device[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control) < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, device) == 0)
		return 0;
	fd_close(&control[0]);
	fd_close(&control[1]);
	return -errno;
}

/* The child is there: `control` is taken. */
static int watch(struct worker *worker, int control, struct error *error)
{
	cleanup_close int fd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
	int status = fd < 0 ? -errno : loop_add(worker->loop, &worker->end, fd, EPOLLIN, pidfd_ready);

	if (status == 0) {
		take_fd(&fd);
		status = loop_add(worker->loop, &worker->control, control, EPOLLIN, heard);
	}
	if (status == 0)
		return 0;
	worker->control.fd = control;
	worker_kill(worker);
	reap(worker);
	return error_errno(error, -status, "watch the worker");
}

static int start(struct worker *worker, struct error *error)
{
	int control[2], device[2], status = make_links(control, device);
	pid_t parent = getpid();

	if (status < 0)
		return error_errno(error, -status, "socketpair");
	worker->started = loop_now();
	worker->ops->prepared(worker, device[0]);
	worker->pid = fork();
	if (worker->pid == 0)
		become(worker, &(struct worker_ends){.control = control[1], .device = device[1]}, parent);
	status = worker->pid < 0 ? -errno : 0;
	fd_close(&control[1]);
	fd_close(&device[1]);
	if (status < 0) {
		worker->pid = 0;
		worker->ops->unprepared(worker);
		fd_close(&control[0]);
		return error_errno(error, -status, "fork");
	}
	status = watch(worker, control[0], error);
	if (status < 0)
		worker->ops->unprepared(worker);
	else
		worker->ops->started(worker);
	return status;
}

static void again(struct loop_timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, again);
	struct error error;

	if (start(worker, &error) == 0)
		return;
	log_error("a new worker can't start: %s", error.text);
	start_later(worker);
}

int worker_start(struct worker *worker, struct error *error)
{
	struct pollfd control = {.events = POLLIN};
	struct worker_note note = {0};
	int status = start(worker, error);

	if (status < 0)
		return status;
	control.fd = worker->control.fd;
	do {
		status = poll(&control, 1, READY_TIME);
	} while (status < 0 && errno == EINTR);
	if (status <= 0)
		return error_errno(error, status < 0 ? errno : ETIMEDOUT, "wait for the worker");
	if (hear(control.fd, &note) <= 0)
		return error_set(error, EIO, "the worker has died at its start");
	if (note.what == WORKER_READY)
		return 0;
	if (error)
		*error = note.error;
	return -note.error.number;
}
