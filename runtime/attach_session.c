/* Three sockets, one for each stream, and calls. */
#include "runtime/attach_session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/conduit.h"
#include "runtime/exit_status.h"
#include "runtime/proxy_session.h"
#include "runtime/signals.h"
#include "runtime/stdio.h"
#include "runtime/terminal.h"
#include "runtime/timeline.h"

#define OUTPUTS 2

struct client {
	const struct attach_options *options;
	struct loop loop;
	struct signals signals;
	struct stdio stdio;
	struct terminal terminal;
	struct detach_keys keys;
	struct proxy_session session;
	struct conduit outputs[OUTPUTS];
	unsigned open_outputs;
	struct outlet input; /* the socket of stdin, where there is one */
	bool has_input, input_ended;
	bool exited, cut;  /* the process has ended; and others hold its output open */
	bool over;	   /* whatever comes */
	int status, fault; /* exit statuses */
	unsigned insisted; /* SIGINT and SIGTERM that the process was sent */
};

static void fail(struct client *client, const char *text)
{
	terminal_restore(&client->terminal);
	if (!client->over)
		timeline_say("%s", text);
	client->status = client->fault;
	client->over = true;
}

/* Input -------------------------------------------------------------------------------------------------------------- */

static void want_input(struct client *client)
{
	stdio_want(&client->stdio, client->has_input && !client->input_ended && !client->exited && !client->over &&
					   !outlet_pending(&client->input));
}

/* What was typed before the keys is still sent, as far as the proxy takes it at once. */
static void leave(struct client *client)
{
	terminal_restore(&client->terminal);
	timeline_say("detached from %s", client->session.target->container);
	client->status = 0;
	client->over = true;
}

static void typed(struct stdio *stdio, const void *bytes, size_t length)
{
	struct client *client = container_of(stdio, struct client, stdio);
	uint8_t passed[INLET_CHUNK + DETACH_KEYS_MOST];
	size_t count;

	if (length == 0) {
		client->input_ended = true;
		if (!outlet_pending(&client->input))
			outlet_close(&client->input);
	} else if (client->terminal.fd < 0) {
		outlet_write(&client->input, bytes, length);
	} else {
		bool leaves = detach_keys_filter(&client->keys, bytes, length, passed, &count);

		outlet_write(&client->input, passed, count);
		if (leaves)
			leave(client);
	}
	want_input(client);
}

static void input_taken(struct outlet *outlet)
{
	struct client *client = container_of(outlet, struct client, input);

	if (client->input_ended)
		outlet_close(&client->input);
	want_input(client);
}

/* The process takes no more. */
static void input_broke(struct outlet *outlet)
{
	struct client *client = container_of(outlet, struct client, input);

	client->has_input = false;
	want_input(client);
}

/* Output ------------------------------------------------------------------------------------------------------------- */

static void output_ended(struct conduit *conduit)
{
	struct client *client = conduit->stream == 0 ? container_of(conduit, struct client, outputs[0])
						      : container_of(conduit, struct client, outputs[1]);

	client->open_outputs--;
}

static void output_taken(struct stdio *stdio, unsigned stream)
{
	struct client *client = container_of(stdio, struct client, stdio);

	conduit_resume(&client->outputs[stream]);
}

static void output_broke(struct stdio *stdio)
{
	struct client *client = container_of(stdio, struct client, stdio);
	int number = stdio_broken(stdio);

	if (number != EPIPE)
		fail(client, strerror(number));
	else
		client->status = EXIT_BY_SIGNAL + SIGPIPE;
	client->over = true;
}

/* The process -------------------------------------------------------------------------------------------------------- */

static void exit_told(void *data, const struct ttrpc_result *result)
{
	const Nacre__WaitExitResponse *response = (const void *)result->response;
	struct client *client = data;

	if (client->over)
		return;
	if (!response) {
		fail(client, result->message);
		return;
	}
	client->status = response->status & 0xff;
	client->cut = response->output_cut;
	client->exited = true;
	terminal_restore(&client->terminal);
	want_input(client);
}

static void send_size(struct client *client)
{
	unsigned rows, columns;

	if (client->session.terminal && terminal_size(&rows, &columns))
		proxy_session_resize(&client->session, rows, columns);
}

static void signalled(struct signals *signals, int number)
{
	struct client *client = container_of(signals, struct client, signals);
	bool ours = client->terminal.fd >= 0 || client->exited || client->options->no_signals;

	if (number == SIGCONT)
		terminal_again(&client->terminal);
	if (number == SIGCONT || number == SIGWINCH) {
		send_size(client);
		return;
	}
	if (!ours && (number == SIGINT || number == SIGTERM) && ++client->insisted >= SIGNALS_INSISTED)
		ours = true;
	if (ours || proxy_session_signal(&client->session, number, NULL, NULL) < 0) {
		client->status = EXIT_BY_SIGNAL + number;
		client->over = true;
	}
}

/* All of it ---------------------------------------------------------------------------------------------------------- */

static int attach_output(struct client *client, unsigned output, struct error *error)
{
	unsigned stream = PROXY_SESSION_STDOUT + output;
	int fd = proxy_session_attach(&client->session, stream, "ring", NULL, error), status;

	if (fd < 0)
		return fd;
	if (client->session.dropped[stream] > 0)
		timeline_say("%llu bytes of %s were dropped while nobody was attached",
			     (unsigned long long)client->session.dropped[stream], output == 0 ? "stdout" : "stderr");
	client->open_outputs++;
	client->outputs[output].ended = output_ended;
	status = conduit_open(&client->outputs[output], &client->loop, fd, &client->stdio, output);
	return status < 0 ? error_errno(error, -status, "event loop") : 0;
}

/* Of a terminal the end of our input isn't the end of the process's: who comes back goes on. */
static int attach_input(struct client *client, struct error *error)
{
	bool takes = client->session.terminal && isatty(STDIN_FILENO);
	int fd = proxy_session_attach(&client->session, PROXY_SESSION_STDIN, takes ? "now keep-open" : "now", NULL, error);

	if (fd < 0)
		return fd;
	client->input.drained = input_taken;
	client->input.broke = input_broke;
	outlet_open_socket(&client->input, &client->loop, fd);
	client->has_input = true;
	return takes ? terminal_make_raw(&client->terminal, STDIN_FILENO, error) : 0;
}

static int start(struct client *client, const struct target *target, const char *exec, bool terminal, struct error *error)
{
	int status = signals_open(&client->signals, &client->loop, signalled);

	if (status < 0)
		return error_errno(error, -status, "event loop");
	client->stdio.arrived = typed;
	client->stdio.drained = output_taken;
	client->stdio.broke = output_broke;
	stdio_open(&client->stdio, &client->loop);
	status = proxy_session_open(&client->session, &client->loop, target, exec, terminal, error);
	for (unsigned i = 0; i < (client->session.terminal ? 1 : OUTPUTS) && status == 0; i++)
		status = attach_output(client, i, error);
	if (status == 0 && !client->options->no_stdin)
		status = attach_input(client, error);
	if (status < 0)
		return status;
	status = proxy_session_wait(&client->session, exit_told, client);
	send_size(client);
	want_input(client);
	return status < 0 ? error_errno(error, -status, "call WaitExit") : 0;
}

static bool output_pending(const struct client *client)
{
	return (stdio_pending(&client->stdio, 0) || stdio_pending(&client->stdio, 1)) && !stdio_broken(&client->stdio);
}

static void close_all(struct client *client)
{
	client->over = true;
	terminal_restore(&client->terminal);
	proxy_session_close(&client->session);
	signals_close(&client->signals);
	stdio_close(&client->stdio);
	for (unsigned i = 0; i < OUTPUTS; i++)
		conduit_close(&client->outputs[i]);
	if (client->input.loop)
		outlet_close(&client->input);
	loop_destroy(&client->loop);
}

int attach_session(const struct target *target, const char *exec, bool terminal, const struct attach_options *options,
		   int fault)
{
	struct client client = {
		.options = options, .keys = *options->keys, .terminal.fd = -1, .status = fault, .fault = fault};
	struct error error = {0};
	int status;

	stdio_fill_descriptors();
	status = loop_init(&client.loop);
	if (status < 0)
		error_errno(&error, -status, "event loop");
	else
		status = start(&client, target, exec, terminal, &error);
	while (status == 0 && !client.over && !(client.exited && (client.open_outputs == 0 || client.cut)))
		if (loop_step(&client.loop) < 0)
			status = error_errno(&error, EIO, "event loop");
	while (status == 0 && client.exited && !client.over && output_pending(&client))
		if (loop_step(&client.loop) < 0)
			break;
	close_all(&client);
	if (status < 0)
		timeline_say("%s", error.text);
	return client.status;
}
