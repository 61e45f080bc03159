/* nacre console: a shell in a VM, beside its container: what the agent's debug console gives whoever connects. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "proxy/client.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/conduit.h"
#include "runtime/detach_keys.h"
#include "runtime/exit_status.h"
#include "runtime/quantity.h"
#include "runtime/signals.h"
#include "runtime/stdio.h"
#include "runtime/target.h"
#include "runtime/terminal.h"
#include "runtime/timeline.h"
#include "runtime/vmm.h"

struct console {
	struct loop loop;
	struct signals signals;
	struct stdio stdio;
	struct terminal terminal;
	struct detach_keys keys;
	struct conduit conduit; /* from the guest */
	struct outlet outlet;	/* to it: a copy, as a loop watches a descriptor once */
	bool in_line; /* what was passed on last didn't end one */
	bool input_ended;
	bool over;
	int status;
};

/* To the guest --------------------------------------------------------------------------------------------------------- */

static void want_input(struct console *console)
{
	stdio_want(&console->stdio, !console->over && !console->input_ended && !outlet_pending(&console->outlet));
}

static void pass_on(struct console *console, const uint8_t *bytes, size_t length)
{
	if (length == 0)
		return;
	console->in_line = bytes[length - 1] != '\n';
	outlet_write(&console->outlet, bytes, length);
}

/* Closing the connection would end the shell at once, with what it has still to say; and the key that ends input (ctrl-d)
 * is lost on a shell that edits lines, where it comes while a command runs. */
static void end_input(struct console *console)
{
	const char *last = console->in_line ? "\rexit\r" : "exit\r";

	console->input_ended = true;
	if (console->terminal.fd < 0)
		outlet_write(&console->outlet, last, strlen(last));
	else
		console->over = true;
}

static void typed(struct stdio *stdio, const void *bytes, size_t length)
{
	struct console *console = container_of(stdio, struct console, stdio);
	uint8_t passed[INLET_CHUNK + DETACH_KEYS_MOST];
	size_t count = 0;

	if (length == 0) {
		end_input(console);
	} else if (console->terminal.fd < 0) {
		pass_on(console, bytes, length);
	} else {
		console->over = detach_keys_filter(&console->keys, bytes, length, passed, &count);
		pass_on(console, passed, count);
	}
	want_input(console);
}

static void guest_took(struct outlet *outlet)
{
	want_input(container_of(outlet, struct console, outlet));
}

static void guest_broke(struct outlet *outlet)
{
	(void)outlet; /* its end is about to be read */
}

/* From the guest ------------------------------------------------------------------------------------------------------- */

static void guest_ended(struct conduit *conduit)
{
	container_of(conduit, struct console, conduit)->over = true;
}

static void user_took(struct stdio *stdio, unsigned stream)
{
	(void)stream;
	conduit_resume(&container_of(stdio, struct console, stdio)->conduit);
}

static void user_gone(struct stdio *stdio)
{
	struct console *console = container_of(stdio, struct console, stdio);

	console->status = EXIT_BY_SIGNAL + SIGPIPE;
	console->over = true;
}

static void signalled(struct signals *signals, int number)
{
	struct console *console = container_of(signals, struct console, signals);

	if (number == SIGCONT)
		terminal_again(&console->terminal);
	/* The debug console knows of no sizes. */
	if (number == SIGCONT || number == SIGWINCH)
		return;
	console->status = EXIT_BY_SIGNAL + number;
	console->over = true;
}

/* All of it ------------------------------------------------------------------------------------------------------------ */

static int open_all(struct console *console, int fd)
{
	int copy = dup(fd), status = loop_init(&console->loop);

	console->conduit.fd = fd;
	console->conduit.ended = guest_ended;
	console->stdio.arrived = typed;
	console->stdio.drained = user_took;
	console->stdio.broke = user_gone;
	console->outlet.drained = guest_took;
	console->outlet.broke = guest_broke;
	if (status < 0 || copy < 0)
		return status < 0 ? status : -EMFILE;
	outlet_open_socket(&console->outlet, &console->loop, copy);
	stdio_open(&console->stdio, &console->loop);
	status = signals_open(&console->signals, &console->loop, signalled);
	return status < 0 ? status : conduit_open(&console->conduit, &console->loop, fd, &console->stdio, 0);
}

static void close_all(struct console *console)
{
	terminal_restore(&console->terminal);
	signals_close(&console->signals);
	stdio_close(&console->stdio);
	conduit_close(&console->conduit);
	outlet_close(&console->outlet);
	fd_close(&console->conduit.fd);
	loop_destroy(&console->loop);
}

/* Until the shell has ended, or the user has left it: the exit status. */
static int serve(int fd, const struct detach_keys *keys)
{
	struct console console = {.terminal.fd = -1, .keys = *keys};
	struct error error = {0};
	int status = open_all(&console, fd);

	if (status == 0 && isatty(STDIN_FILENO) && terminal_make_raw(&console.terminal, STDIN_FILENO, &error) < 0)
		status = -error.number;
	if (status == 0)
		want_input(&console);
	while (status == 0 && !console.over)
		status = loop_step(&console.loop);
	/* The shell's last words. */
	while (status == 0 && console.status == 0 && stdio_pending(&console.stdio, 0) && !stdio_broken(&console.stdio))
		status = loop_step(&console.loop);
	close_all(&console);
	if (status < 0)
		timeline_say("the console: %s", strerror(-status));
	return status < 0 ? COMMAND_FAILED : console.status;
}

/* A socket, or -errno. */
static int connect_console(const char *directory, const char *name, unsigned port, struct error *error)
{
	struct target target;
	uint32_t host_port;
	int fd = target_open_machine(&target, directory, name, error);

	if (fd == 0)
		fd = proxy_connect_port(target.directory, port, &host_port, error);
	if (fd == -ECONNREFUSED)
		error_set(error, ECONNREFUSED,
			  "the guest has no debug console at port %u: it takes nacre run --debug-console, or "
			  "agent.debug_console and agent.debug_console_vport=%u on its kernel's command line", port, port);
	target_close(&target);
	return fd;
}

int command_console(int argc, const char *argv[])
{
	char *directory = NULL, *key_text = NULL, *port_text = NULL;
	const struct poptOption table[] = {
		{"detach-keys", 0, POPT_ARG_STRING, &key_text, 0, "to leave it (default: " DETACH_KEYS_DEFAULT ")",
		 "KEYS"},
		{"port", 0, POPT_ARG_STRING, &port_text, 0, "of the guest (default: " VMM_DEBUG_CONSOLE_PORT ")", "PORT"},
		TARGET_OPTION(&directory),
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct detach_keys keys;
	struct command_line line;
	struct error error = {0};
	unsigned port = 0;
	int fd;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] [NAME]", 0, 1)) {
		stdio_fill_descriptors();
		fd = detach_keys_parse(&keys, key_text, &error);
		if (fd == 0)
			fd = quantity_parse_count("--port", port_text ? port_text : VMM_DEBUG_CONSOLE_PORT, 1,
						  UINT32_MAX - 1, &port, &error);
		if (fd == 0)
			fd = connect_console(directory, line.arguments ? line.arguments[0] : NULL, port, &error);
		if (fd >= 0)
			line.status = serve(fd, &keys);
		else
			line.status = fd == -EINVAL ? EXIT_FAULT : COMMAND_FAILED;
		if (fd < 0)
			timeline_say("%s", error.text);
	}
	free(directory);
	free(key_text);
	free(port_text);
	command_line_free(&line);
	return line.status;
}
