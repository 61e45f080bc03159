/* The line to the agent. What can't be sent yet is tried again in the next round, so there is no queue. The agent may hang
 * or lie as it likes: nothing here waits for it. */
#define LOG_SUBSYSTEM "init"
#include "init/supervise_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "init/guest_cgroup.h"
#include "init/notify.h"
#include "lib/cleanup.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/supervision.h"

void supervise_give_up(struct supervise *supervise, int number)
{
	log_error("the agent is given up: %s", strerror(number));
	fd_close(&supervise->line);
	kill(supervise->agent, SIGKILL);
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
	restart_ready(&supervise->restart, loop_now());
	notify_send(supervise->manager, "READY=1");
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
	case SUPERVISION_STOP:
		supervise->stop.begun = true;
		break;
	case SUPERVISION_POWER_OFF:
		supervise->ending = true;
		break;
	}
	while (count > kept)
		close(fds[--count]);
}

bool supervise_hear(struct supervise *supervise)
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
		supervise_give_up(supervise, -status);
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
		supervise_give_up(supervise, -status);
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

	const pid_t own[REAPER_OWN] = {supervise->agent, supervise->shell};

	if (!reaper_next(&supervise->reaper, own, &message.pid, &message.status))
		return;
	if (tell(supervise, &message, NULL, 0))
		reaper_reported(&supervise->reaper, message.pid);
}

void supervise_tell(struct supervise *supervise)
{
	if (supervise->line >= 0 && !supervise->told_all)
		restore(supervise);
	if (supervise->line >= 0 && supervise->told_all)
		report_exit(supervise);
}

bool supervise_ask_stop(struct supervise *supervise, uint64_t grace)
{
	struct supervision_message message = {
		.type = SUPERVISION_STOP,
		.status = (int32_t)(grace / LOOP_MILLISECOND),
	};

	/* Before it has everything that is stored it listens to nothing else. */
	return supervise->line >= 0 && supervise->told_all && tell(supervise, &message, NULL, 0);
}
