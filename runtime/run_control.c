/* What the clients of a running container want: bytes, sizes, signals, its end. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "runtime/process_calls.h"
#include "runtime/run_private.h"

#define NEVER UINT32_MAX
#define SIGNAL_HIGHEST 64
/* After SIGKILL, so long until the VM is ended instead. */
#define KILL_PATIENCE (10 * LOOP_SECOND)

static void drained(void *data)
{
	struct run *run = data;

	for (unsigned i = 0; run->running && i < STREAMS_OUTPUTS; i++)
		streams_hold(&run->streams, i, false);
}

void run_feed(struct run *run)
{
	const void *bytes;
	size_t length;

	while (run->input_wanted && clients_next_input(&run->clients, &bytes, &length)) {
		streams_input(&run->streams, bytes, length);
		clients_input_taken(&run->clients, length);
	}
}

static void input(void *data)
{
	run_feed(data);
}

static void resize(void *data, unsigned rows, unsigned columns)
{
	struct run *run = data;

	run->rows = rows;
	run->columns = columns;
	if (run->running && run->options->terminal)
		process_resize(&(struct process_id){&run->session, run->directory.name, ""}, rows, columns);
}

/* Sends it. `answered` as for session_start(). What is left of the output after SIGKILL is no more than what is on its way:
 * clients can have it at any time, and the container's exit isn't found behind it only when they do. */
static int send_signal(struct run *run, int number, ttrpc_answered answered, void *data)
{
	if (number == SIGKILL) {
		run->killed = true;
		drained(run);
	}
	return process_signal(&(struct process_id){&run->session, run->directory.name, ""}, number, answered, data);
}

struct asked_signal {
	struct run *run;
	unsigned client;
};

static void signal_answered(void *data, const struct ttrpc_result *result)
{
	struct asked_signal *asked = data;

	clients_answer(&asked->run->clients, asked->client, result->code == TTRPC_OK ? 0 : EREMOTEIO,
		       result->code == TTRPC_OK ? "" : result->message);
	free(asked);
}

static void ask_signal(void *data, unsigned client, int number)
{
	struct asked_signal *asked = calloc(1, sizeof(*asked));
	struct run *run = data;

	if (asked)
		*asked = (struct asked_signal){.run = run, .client = client};
	if (!run->running)
		clients_answer(&run->clients, client, ESRCH, "the container isn't running");
	else if (number < 1 || number > SIGNAL_HIGHEST)
		clients_answer(&run->clients, client, EINVAL, "there is no such signal");
	else if (!asked || send_signal(run, number, signal_answered, asked) < 0)
		clients_answer(&run->clients, client, ENOMEM, "the signal could not be sent");
	else
		return;
	free(asked);
}

static void end(void *data)
{
	((struct run *)data)->cancelled = true;
}

static void kill_expired(struct loop_timer *timer)
{
	end(container_of(timer, struct run, stop));
}

static void term_expired(struct loop_timer *timer)
{
	struct run *run = container_of(timer, struct run, stop);

	if (!run->running)
		return;
	send_signal(run, SIGKILL, NULL, NULL);
	loop_timer_set(&run->loop, &run->stop, KILL_PATIENCE, kill_expired);
}

static void stop(void *data, unsigned seconds)
{
	struct run *run = data;

	if (!run->running) {
		end(run);
		return;
	}
	send_signal(run, composition_stop_signal(&run->composition), NULL, NULL);
	if (seconds != NEVER)
		loop_timer_set(&run->loop, &run->stop, seconds * LOOP_SECOND, term_expired);
}

const struct clients_events run_control = {
	.input = input,
	.drained = drained,
	.resize = resize,
	.signal = ask_signal,
	.stop = stop,
	.end = end,
	.abandoned = end,
};
