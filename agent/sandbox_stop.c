/* The orderly stop. First the containers end by themselves, or are ended when their time is over; then whoever reads their
 * output has a moment to read the last of it; then everything is removed as by DestroySandbox. */
#define LOG_SUBSYSTEM "sandbox"
#include <errno.h>
#include <stddef.h>

#include "agent/agent.h"
#include "agent/rpc.h"
#include "agent/sandbox.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define LAST_WORDS (500 * LOOP_MILLISECOND)
#define LOOK (10 * LOOP_MILLISECOND) /* between two looks at whether the last words have been read */

static void remove_all(struct sandbox *sandbox)
{
	struct error reason;

	if (sandbox->job.pid > 0) {
		/* A CreateSandbox under way. */
		job_cancel(&sandbox->job);
		error_set(&reason, ECANCELED, "the guest is stopping");
		rpc_finish(take_pointer(&sandbox->call), &reason);
	}
	sandbox_remove_all(sandbox);
}

static bool anyone_alive(const struct sandbox *sandbox)
{
	for (struct container *container = sandbox->containers; container; container = container->next)
		if (process_alive(container->init))
			return true;
	return false;
}

static bool all_settled(const struct sandbox *sandbox)
{
	for (struct container *container = sandbox->containers; container; container = container->next)
		for (struct process *process = container->processes; process; process = process->next)
			if (!process_settled(process))
				return false;
	return true;
}

static void look_again(struct loop_timer *timer)
{
	struct sandbox *sandbox = container_of(timer, struct sandbox, next_step);

	if (sandbox->destroying)
		return;
	if (all_settled(sandbox) || loop_now() >= sandbox->last_words)
		remove_all(sandbox);
	else
		loop_timer_set(&sandbox->agent->loop, timer, LOOK, look_again);
}

static void grace_over(struct loop_timer *timer)
{
	remove_all(container_of(timer, struct sandbox, next_step));
}

void sandbox_stop_check(struct sandbox *sandbox)
{
	if (sandbox->destroying || sandbox->last_words || anyone_alive(sandbox))
		return;
	sandbox->last_words = loop_now() + LAST_WORDS;
	/* From the loop: whoever calls may still be at work on a process. */
	loop_timer_set(&sandbox->agent->loop, &sandbox->next_step, 0, look_again);
}

static void terminate_all(struct sandbox *sandbox)
{
	struct error error;

	for (struct container *container = sandbox->containers; container; container = container->next)
		if (container->state != CONTAINER_REMOVING && process_terminate(container->init, &error) < 0)
			log_warning("stop container %s: %s", container->id, error.text);
}

void sandbox_stop(struct sandbox *sandbox, uint64_t grace)
{
	bool first = !sandbox->stopping;

	sandbox->stopping = true;
	if (sandbox->destroying || sandbox->last_words)
		return;
	if (first)
		terminate_all(sandbox);
	loop_timer_set(&sandbox->agent->loop, &sandbox->next_step, grace, grace_over);
	sandbox_stop_check(sandbox);
}
