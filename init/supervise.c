/* One poll(2) over few descriptors: our signals, the line to the agent, power buttons.
 *
 * Each round takes in what has arrived and then does what it can: give the agent what the store holds, report the next
 * exit, start a new agent when its time has come.
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

#include "init/notify.h"
#include "init/supervise_state.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/loop.h"

#define GUEST_STARTS 5 /* of an agent that was never ready, before the guest is given up */
#define ENDING LOOP_SECOND /* that an agent has to end in after SIGTERM */
#define MESSAGES_A_ROUND 64

/* The agent's life --------------------------------------------------------------------------------------------- */

static void start_agent(struct supervise *supervise)
{
	pid_t pid = program_start(&supervise->program, &supervise->line);

	if (pid < 0) {
		log_error("start the agent: %s", strerror(-pid));
		supervise->next_start = loop_now() + restart_ended(&supervise->restart, loop_now());
		return;
	}
	supervise->agent = pid;
	supervise->restored = 0;
	supervise->told_all = false;
	supervise->blocked = false;
	reaper_forget(&supervise->reaper);
}

/* True where it makes no sense to start the next agent. */
static bool is_hopeless(const struct supervise *supervise, int status)
{
	if (supervise->ever_ready)
		return false;
	/* Bad usage, for one: said by the agent itself. */
	if (!supervise->guest)
		return status <= 128;
	return supervise->restart.failures >= GUEST_STARTS;
}

static void agent_ended(struct supervise *supervise, int status)
{
	uint64_t delay = restart_ended(&supervise->restart, loop_now());

	supervise->agent = 0;
	fd_close(&supervise->line);
	if (supervise->ending || supervise->stop.wanted)
		return;
	if (is_hopeless(supervise, status)) {
		if (supervise->guest)
			log_error("the agent doesn't get ready (last exit status %d)", status);
		supervise->exit_status = status ? status : 1;
		supervise->hopeless = supervise->ending = true;
		return;
	}
	log_warning("the agent ended with status %d and is started again", status);
	supervise->next_start = loop_now() + delay;
}

/* Rounds ------------------------------------------------------------------------------------------------------- */

/* Milliseconds until there is something to do without being told; -1: never. */
static int wait_time(const struct supervise *supervise, uint64_t stop_due)
{
	bool starting = supervise->agent == 0 && !supervise->stop.wanted;
	bool shell_due = *supervise->settings.shell && supervise->shell == 0 && !supervise->stop.wanted;
	uint64_t due = stop_due ? stop_due : UINT64_MAX, now = loop_now();

	if (starting && supervise->next_start < due)
		due = supervise->next_start;
	if (shell_due && supervise->next_shell < due)
		due = supervise->next_shell;
	if (due == UINT64_MAX)
		return -1;
	return due <= now ? 0 : (int)((due - now) / LOOP_MILLISECOND) + 1;
}

static const char *signal_name(uint32_t signal)
{
	if (signal == SIGHUP)
		return "SIGHUP";
	return signal == SIGINT ? "SIGINT, or ctrl-alt-del" : "SIGTERM";
}

static void read_signals(struct supervise *supervise)
{
	struct signalfd_siginfo signals[16];
	ssize_t length = read(supervise->signals, signals, sizeof(signals));

	for (size_t i = 0; length > 0 && i < (size_t)length / sizeof(signals[0]); i++) {
		if (signals[i].ssi_signo == SIGCHLD) /* only wakes us */
			continue;
		supervise_want_stop(supervise, signal_name(signals[i].ssi_signo));
	}
}

static void look_at_agent(struct supervise *supervise)
{
	int messages = 0, status;

	while (messages < MESSAGES_A_ROUND && supervise_hear(supervise))
		messages++;
	if (supervise->agent == 0 || !reaper_ended(supervise->agent, &status))
		return;
	/* Nothing comes after its end: this is all that it still said. */
	while (supervise_hear(supervise))
		;
	agent_ended(supervise, status);
}

/* Waits for something to happen, or for the time of something to come. */
static void wait_once(struct supervise *supervise, uint64_t stop_due)
{
	struct pollfd waiting[2 + POWER_BUTTONS_MAX] = {
		{.fd = supervise->signals, .events = POLLIN},
		{.fd = supervise->line, .events = supervise->blocked ? POLLIN | POLLOUT : POLLIN},
	};
	struct power_buttons *buttons = &supervise->buttons;

	for (size_t i = 0; i < buttons->count; i++)
		waiting[2 + i] = (struct pollfd){.fd = buttons->fds[i], .events = POLLIN};
	if (poll(waiting, 2 + buttons->count, wait_time(supervise, stop_due)) < 0) {
		if (errno != EINTR)
			log_error("poll: %s", strerror(errno));
		return;
	}
	if (waiting[0].revents)
		read_signals(supervise);
	for (size_t i = 0; i < buttons->count; i++)
		if (waiting[2 + i].revents && power_button_pressed(&buttons->fds[i]))
			supervise_want_stop(supervise, "the power button");
}

static void round_once(struct supervise *supervise)
{
	uint64_t stop_due = supervise_stop_step(supervise);

	if (supervise->ending)
		return;
	if (supervise->agent == 0 && !supervise->stop.wanted && loop_now() >= supervise->next_start)
		start_agent(supervise);
	else
		wait_once(supervise, stop_due);
	supervise->blocked = false;
	look_at_agent(supervise);
	if (supervise->guest)
		supervise_look_at_shell(supervise);
	supervise_tell(supervise);
}

void supervise_run(struct supervise *supervise)
{
	while (!supervise->ending)
		round_once(supervise);
}

int supervise_prepare(struct supervise *supervise, char **arguments, struct error *error)
{
	sigset_t signals;
	int status;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	/* A guest's console may hang up as it likes. */
	if (!supervise->guest)
		sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no zombies */
	supervise->manager = notify_open();
	/* Whatever we were started with is nothing for the agent. */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	supervise->line = -1;
	supervise->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (supervise->signals < 0)
		return error_errno(error, errno, "make a signalfd");
	status = program_prepare(&supervise->program, supervise->guest, arguments, error);
	return status < 0 ? error_wrap(error, "prepare the agent's start") : 0;
}

/* Elsewhere ---------------------------------------------------------------------------------------------------- */

/* Gives the agent time to end by itself. */
static void end_agent(struct supervise *supervise)
{
	uint64_t deadline = loop_now() + ENDING;
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
	const char *stop_timeout = getenv("NACRE_STOP_TIMEOUT");
	struct error error;

	log_open(STDERR_FILENO, LOG_TEXT, LOG_INFO, "nacre-agent");
	settings_init(&supervise.settings);
	if (stop_timeout)
		settings_set_stop_timeout(&supervise.settings, stop_timeout);
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* fails in no kernel that has the rest */
	if (supervise_prepare(&supervise, arguments, &error) < 0) {
		log_error("%s", error.text);
		return 1;
	}
	supervise_run(&supervise);
	end_agent(&supervise);
	reaper_kill_all(false);
	return supervise.exit_status;
}
