/* One poll(2) over two descriptors: our signals, and the line to the agent.
 *
 * Each round takes in what has arrived and then does what it can: give the agent what the store holds, report the next
 * exit, start a new agent when its time has come. What can't be sent yet is tried again in the next round, so there is
 * no queue. The agent may hang or lie as it likes: nothing here waits for it.
 */
#define LOG_SUBSYSTEM "init"
#include "init/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "init/early.h"
#include "init/fdstore.h"
#include "init/guest_cgroup.h"
#include "init/program.h"
#include "init/power.h"
#include "init/reaper.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/supervision.h"

#define FIRST_DELAY (50 * LOOP_MILLISECOND) /* before the third start in a row of an agent that doesn't get ready */
#define LAST_DELAY LOOP_SECOND
#define GUEST_STARTS 5 /* of an agent that was never ready, before the guest is given up */
#define STOPPING LOOP_SECOND /* that an agent has to end in after SIGTERM */
#define MESSAGES_A_ROUND 64

struct supervise {
	bool guest;
	bool ending;
	int exit_status;
	int signals; /* signalfd */
	struct program program;
	struct reaper reaper;
	struct fdstore store;

	/* The agent of now. */
	pid_t agent; /* 0 while there is none */
	int line;
	size_t restored; /* entries of the store that it has */
	bool told_all;	 /* and RESTORED */
	bool blocked;	 /* the line is full */

	/* The agents so far. */
	bool ever_ready;
	unsigned failures;   /* in a row, without getting ready */
	uint64_t next_start; /* on CLOCK_MONOTONIC, in nanoseconds */
};

/* The agent's life --------------------------------------------------------------------------------------------- */

static void start_agent(struct supervise *supervise)
{
	pid_t pid = program_start(&supervise->program, &supervise->line);

	if (pid < 0) {
		log_error("start the agent: %s", strerror(-pid));
		supervise->next_start = loop_now() + LAST_DELAY;
		return;
	}
	supervise->agent = pid;
	supervise->restored = 0;
	supervise->told_all = false;
	supervise->blocked = false;
	reaper_forget(&supervise->reaper);
}

/* An agent that isn't understood is of no use any more. Its end is noticed like any other. */
static void give_up_agent(struct supervise *supervise, int number)
{
	log_error("the line to the agent broke: %s", strerror(number));
	fd_close(&supervise->line);
	kill(supervise->agent, SIGKILL);
}

static uint64_t restart_delay(unsigned failures)
{
	uint64_t delay = FIRST_DELAY;

	if (failures < 2)
		return 0;
	while (failures-- > 2 && delay < LAST_DELAY)
		delay *= 2;
	return delay < LAST_DELAY ? delay : LAST_DELAY;
}

/* True where it makes no sense to start the next agent. */
static bool is_hopeless(const struct supervise *supervise, int status)
{
	if (supervise->ever_ready)
		return false;
	/* Bad usage, for one: said by the agent itself. */
	if (!supervise->guest)
		return status <= 128;
	return supervise->failures >= GUEST_STARTS;
}

static void agent_ended(struct supervise *supervise, int status)
{
	supervise->agent = 0;
	fd_close(&supervise->line);
	supervise->failures++;
	if (supervise->ending)
		return;
	if (is_hopeless(supervise, status)) {
		if (supervise->guest)
			log_error("the agent doesn't get ready (last exit status %d)", status);
		supervise->exit_status = status ? status : 1;
		supervise->ending = true;
		return;
	}
	log_warning("the agent ended with status %d and is started again", status);
	supervise->next_start = loop_now() + restart_delay(supervise->failures);
}

/* What it says ------------------------------------------------------------------------------------------------- */

/* Keeps the kernel from ending us or the agent for want of memory, and their own memory from being taken. Later agents
 * are born with all of it. */
static void protect(pid_t agent)
{
	char path[32];
	struct error error;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", agent);
	if (fd_write_file(AT_FDCWD, "/proc/self/oom_score_adj", "-1000", &error) < 0 ||
	    fd_write_file(AT_FDCWD, path, "-1000", &error) < 0)
		log_warning("%s", error.text);
	if (guest_cgroup_enter(agent, &error) < 0)
		log_warning("%s", error.text);
}

static void agent_ready(struct supervise *supervise)
{
	/* Only now, as it takes long: the host may be served meanwhile. */
	if (supervise->guest && !supervise->ever_ready)
		protect(supervise->agent);
	supervise->ever_ready = true;
	supervise->failures = 0;
}

static void handle(struct supervise *supervise, const struct supervision_message *message, int *fds, size_t count)
{
	size_t kept = 0;

	switch (message->type) {
	case SUPERVISION_STORE:
		if (fdstore_put(&supervise->store, message->name, fds, count) < 0)
			log_error("the store of descriptors is full: %s isn't kept", message->name);
		kept = count;
		break;
	case SUPERVISION_DROP:
		fdstore_drop(&supervise->store, message->name);
		break;
	case SUPERVISION_ACK:
		reaper_acknowledge(&supervise->reaper, message->pid);
		break;
	case SUPERVISION_READY:
		agent_ready(supervise);
		break;
	case SUPERVISION_POWER_OFF:
		supervise->ending = true;
		break;
	}
	while (count > kept)
		close(fds[--count]);
}

/* False once there is nothing to read at the moment. */
static bool read_line(struct supervise *supervise)
{
	struct supervision_message message;
	int fds[FD_MESSAGE_MAX];
	size_t count;
	int status;

	if (supervise->line < 0)
		return false;
	status = supervision_receive(supervise->line, &message, fds, &count);
	if (status > 0) {
		handle(supervise, &message, fds, count);
		return true;
	}
	if (status == 0 || status == -ECONNRESET) { /* reset: it hadn't read everything */
		/* It is ending, with a status that this doesn't change any more; or it is of no use. */
		fd_close(&supervise->line);
		kill(supervise->agent, SIGKILL);
	} else if (status != -EAGAIN) {
		give_up_agent(supervise, -status);
	}
	return false;
}

/* What it is told ---------------------------------------------------------------------------------------------- */

/* False where the message didn't go. */
static bool tell(struct supervise *supervise, const struct supervision_message *message, const int *fds, size_t count)
{
	int status = supervision_send(supervise->line, message, fds, count);

	if (status == 0)
		return true;
	if (status == -EAGAIN)
		supervise->blocked = true;
	else if (status != -EPIPE && status != -ECONNRESET) /* those are its end, which is about to be seen */
		give_up_agent(supervise, -status);
	return false;
}

static void restore(struct supervise *supervise)
{
	struct supervision_message message = {.type = SUPERVISION_STORE};
	int fds[FD_MESSAGE_MAX];
	const char *name;
	size_t count;

	while ((count = fdstore_set(&supervise->store, supervise->restored, &name, fds)) > 0) {
		strcpy(message.name, name);
		if (!tell(supervise, &message, fds, count))
			return;
		supervise->restored += count;
	}
	message = (struct supervision_message){.type = SUPERVISION_RESTORED};
	supervise->told_all = tell(supervise, &message, NULL, 0);
}

static void report_exit(struct supervise *supervise)
{
	struct supervision_message message = {.type = SUPERVISION_EXITED};

	if (!reaper_next(&supervise->reaper, supervise->agent, &message.pid, &message.status))
		return;
	if (tell(supervise, &message, NULL, 0))
		reaper_reported(&supervise->reaper, message.pid);
}

/* Rounds ------------------------------------------------------------------------------------------------------- */

/* Milliseconds until there is something to do without being told; -1: never. */
static int wait_time(const struct supervise *supervise)
{
	uint64_t now;

	if (supervise->agent != 0)
		return -1;
	now = loop_now();
	if (supervise->next_start <= now)
		return 0;
	return (int)((supervise->next_start - now) / LOOP_MILLISECOND) + 1;
}

static void read_signals(struct supervise *supervise)
{
	struct signalfd_siginfo signals[16];
	ssize_t length = read(supervise->signals, signals, sizeof(signals));

	/* SIGCHLD only wakes us. The others are for processes that can be ended: in a guest they mean nothing. */
	for (size_t i = 0; length > 0 && i < (size_t)length / sizeof(signals[0]); i++)
		if (signals[i].ssi_signo != SIGCHLD && !supervise->guest)
			supervise->ending = true;
}

static void look_at_agent(struct supervise *supervise)
{
	int messages = 0, status;

	while (messages < MESSAGES_A_ROUND && read_line(supervise))
		messages++;
	if (supervise->agent == 0 || !reaper_ended(supervise->agent, &status))
		return;
	/* Nothing comes after its end: this is all that it still said. */
	while (read_line(supervise))
		;
	agent_ended(supervise, status);
}

static void round_once(struct supervise *supervise)
{
	struct pollfd waiting[] = {
		{.fd = supervise->signals, .events = POLLIN},
		{.fd = supervise->line, .events = supervise->blocked ? POLLIN | POLLOUT : POLLIN},
	};

	if (supervise->agent == 0 && wait_time(supervise) == 0)
		start_agent(supervise);
	else if (poll(waiting, array_size(waiting), wait_time(supervise)) < 0 && errno != EINTR)
		log_error("poll: %s", strerror(errno));
	if (waiting[0].revents)
		read_signals(supervise);
	supervise->blocked = false;
	look_at_agent(supervise);
	if (supervise->line >= 0 && !supervise->told_all)
		restore(supervise);
	if (supervise->line >= 0 && supervise->told_all)
		report_exit(supervise);
}

static int prepare(struct supervise *supervise, char **arguments, struct error *error)
{
	sigset_t signals;
	int status;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no zombies */
	/* Whatever we were started with is nothing for the agent. */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	supervise->line = -1;
	supervise->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervise->signals < 0)
		return error_errno(error, errno, "make a signalfd");
	status = program_prepare(&supervise->program, supervise->guest, arguments, error);
	return status < 0 ? error_wrap(error, "prepare the agent's start") : 0;
}

/* PID 1 of a machine ------------------------------------------------------------------------------------------- */

void supervise_guest(void)
{
	static struct supervise supervise; /* all zeros, so that it takes no room in the file */
	static char *arguments[] = {"nacre-agent", NULL};
	struct early_settings settings = {0};
	struct error error;
	int status;

	supervise.guest = true;
	log_open(STDERR_FILENO, LOG_JSON, LOG_INFO, "nacre-init");
	status = early_start(&settings, &error);
	if (status == 0)
		status = prepare(&supervise, arguments, &error);
	if (status < 0) {
		log_error("the guest can't start: %s", error.text);
		power_off(settings.exit_by_reboot);
	}
	while (!supervise.ending)
		round_once(&supervise);
	power_off(settings.exit_by_reboot);
}

/* Elsewhere ---------------------------------------------------------------------------------------------------- */

/* Gives the agent time to tidy up. */
static void stop_agent(struct supervise *supervise)
{
	uint64_t deadline = loop_now() + STOPPING;
	sigset_t signals;
	int status;

	if (supervise->agent == 0)
		return;
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	kill(supervise->agent, SIGTERM);
	while (loop_now() < deadline && !reaper_ended(supervise->agent, &status)) {
		struct timespec pause = {.tv_nsec = 10 * LOOP_MILLISECOND};

		sigtimedwait(&signals, NULL, &pause);
	}
}

int supervise_here(char **arguments)
{
	static struct supervise supervise;
	struct error error;

	log_open(STDERR_FILENO, LOG_TEXT, LOG_INFO, "nacre-agent");
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* fails in no kernel that has the rest */
	if (prepare(&supervise, arguments, &error) < 0) {
		log_error("%s", error.text);
		return 1;
	}
	while (!supervise.ending)
		round_once(&supervise);
	stop_agent(&supervise);
	reaper_kill_all(false);
	return supervise.exit_status;
}
