/* Between a monitor and our stdio. */
#include "runtime/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/exit_status.h"
#include "runtime/frame.h"
#include "runtime/signals.h"
#include "runtime/stdio.h"
#include "runtime/terminal.h"
#include "runtime/timeline.h"

/* What one read of stdin may cost, with keys that were held back. */
#define INPUT_COST (INLET_CHUNK + DETACH_KEYS_MOST)

struct attach {
	const struct attach_options *options;
	struct loop loop;
	struct signals signals;
	struct stdio stdio;
	struct terminal terminal;
	struct detach_keys keys;
	int fd; /* read here; the outlet has a copy, as a loop watches a descriptor once */
	struct loop_source source;
	struct outlet outlet; /* to the monitor */
	struct buffer received;
	size_t credit;
	char name[ERROR_TEXT_SIZE];
	uint32_t flags;
	bool started, input_ended;
	bool over;	   /* the connection is, or we have left it */
	bool told;	   /* how it ended: */
	int status;	   /* the exit status */
	int fault;	   /* the one for what is nacre's */
	int interrupted;   /* the signal by which we were told to end, or 0 */
	unsigned insisted; /* SIGINT and SIGTERM that the container was sent */
};

/* To the monitor ------------------------------------------------------------------------------------------------- */

static void send_numbers(struct attach *attach, enum frame_type type, unsigned count, uint32_t first, uint32_t second)
{
	uint8_t bytes[FRAME_NUMBERS_SIZE];

	outlet_write(&attach->outlet, bytes, frame_of_numbers(bytes, type, count, first, second));
}

static void send_stdin(struct attach *attach, const uint8_t *bytes, size_t length)
{
	uint8_t header[FRAME_HEADER_SIZE];

	attach->credit -= length;
	while (length > 0) {
		size_t count = length < FRAME_MOST ? length : FRAME_MOST;

		frame_header(header, FRAME_STDIN, count);
		outlet_write(&attach->outlet, header, sizeof(header));
		outlet_write(&attach->outlet, bytes, count);
		bytes += count;
		length -= count;
	}
}

static void send_size(struct attach *attach)
{
	unsigned rows, columns;

	if (attach->started && (attach->flags & FRAME_IS_TERMINAL) && terminal_size(&rows, &columns))
		send_numbers(attach, FRAME_RESIZE, 2, rows, columns);
}

/* Leaves at once; the container goes on, where that is ours to say. */
static void leave(struct attach *attach, int status)
{
	send_numbers(attach, FRAME_DETACH, 0, 0, 0);
	attach->status = status;
	attach->told = attach->over = true;
}

/* Leaves, and takes the container along where we are its starter: then the machine's end is awaited. That of a detached
 * one we are until it runs. */
static void give_up(struct attach *attach, int status)
{
	bool ours = attach->options->starter || attach->options->detached;

	if (!ours || attach->told) {
		leave(attach, status);
		return;
	}
	send_numbers(attach, FRAME_END, 0, 0, 0);
	attach->status = status;
	attach->told = true;
}

/* Ours ------------------------------------------------------------------------------------------------------------ */

static void want_input(struct attach *attach)
{
	bool wanted = attach->started && (attach->flags & FRAME_IS_INTERACTIVE) && !attach->options->no_stdin &&
		      !attach->input_ended && !attach->told && attach->credit >= INPUT_COST;

	stdio_want(&attach->stdio, wanted);
}

static void typed(struct attach *attach, const void *bytes, size_t length)
{
	uint8_t passed[INPUT_COST];
	size_t count;

	if (!detach_keys_filter(&attach->keys, bytes, length, passed, &count)) {
		send_stdin(attach, passed, count);
		return;
	}
	send_stdin(attach, passed, count);
	terminal_restore(&attach->terminal);
	timeline_say("detached from %s; back with: nacre attach %s", attach->name, attach->name);
	leave(attach, 0);
}

static void input_arrived(struct stdio *stdio, const void *bytes, size_t length)
{
	struct attach *attach = container_of(stdio, struct attach, stdio);

	if (length == 0) {
		attach->input_ended = true;
		send_numbers(attach, FRAME_STDIN_END, 0, 0, 0);
	} else if (attach->terminal.fd >= 0) {
		typed(attach, bytes, length);
	} else {
		send_stdin(attach, bytes, length);
	}
	want_input(attach);
}

/* Nobody reads our output any more: the container's is over too. Otherwise (a full disk) it is an error. */
static void output_broke(struct stdio *stdio)
{
	struct attach *attach = container_of(stdio, struct attach, stdio);
	int number = stdio_broken(stdio);

	if (attach->told && attach->options->starter)
		return;
	if (number != EPIPE)
		timeline_say("write the container's output: %s", strerror(number));
	give_up(attach, number == EPIPE ? EXIT_BY_SIGNAL + SIGPIPE : attach->fault);
}

static void interrupt(struct attach *attach, int number)
{
	if (attach->interrupted)
		attach->over = true;
	attach->interrupted = number;
	if (!attach->over)
		give_up(attach, EXIT_BY_SIGNAL + number);
}

static void signalled(struct signals *signals, int number)
{
	struct attach *attach = container_of(signals, struct attach, signals);
	bool raw = (attach->flags & FRAME_IS_TERMINAL) != 0;

	if (number == SIGCONT)
		terminal_again(&attach->terminal);
	if (number == SIGCONT || number == SIGWINCH) {
		send_size(attach);
		return;
	}
	if (!attach->started || raw || attach->told || attach->options->no_signals)
		interrupt(attach, number);
	else if ((number == SIGINT || number == SIGTERM) && ++attach->insisted >= SIGNALS_INSISTED)
		interrupt(attach, number);
	else
		send_numbers(attach, FRAME_SIGNAL, 1, (uint32_t)number, 0);
	/* There is no monitor any more, and the rest of the output has no reader. */
	if (attach->outlet.broken && !attach->over)
		interrupt(attach, number);
}

/* From the monitor ------------------------------------------------------------------------------------------------- */

static void copy_text(const struct frame *frame, char *text, size_t size)
{
	size_t length = frame->length - sizeof(uint32_t);

	length = length < size ? length : size - 1;
	memcpy(text, frame->body + sizeof(uint32_t), length);
	text[length] = '\0';
}

static void take_terminal(struct attach *attach)
{
	struct error error;

	if (!(attach->flags & FRAME_IS_TERMINAL) || !(attach->flags & FRAME_IS_INTERACTIVE) ||
	    attach->options->no_stdin)
		return;
	if (isatty(STDIN_FILENO) && terminal_make_raw(&attach->terminal, STDIN_FILENO, &error) == 0)
		return;
	timeline_say("the input device is not a TTY");
	give_up(attach, attach->fault);
}

static void take_started(struct attach *attach, const struct frame *frame)
{
	attach->started = true;
	attach->flags = frame_number(frame, 0);
	copy_text(frame, attach->name, sizeof(attach->name));
	if (attach->options->detached) {
		puts(attach->name);
		leave(attach, 0);
		return;
	}
	take_terminal(attach);
	send_size(attach);
	want_input(attach);
}

static void take_output(struct attach *attach, const struct frame *frame)
{
	stdio_write(&attach->stdio, frame->type == FRAME_STDOUT ? 0 : 1, frame->body, frame->length);
}

static void take_credit(struct attach *attach, const struct frame *frame)
{
	attach->credit += frame_number(frame, 0);
	want_input(attach);
}

static void take_exit(struct attach *attach, const struct frame *frame)
{
	if (!attach->told)
		attach->status = (int)(frame_number(frame, 0) & 0xff);
	attach->told = true;
	terminal_restore(&attach->terminal);
	want_input(attach);
}

static void take_failed(struct attach *attach, const struct frame *frame)
{
	char text[ERROR_TEXT_SIZE];

	terminal_restore(&attach->terminal);
	if (!attach->told) {
		copy_text(frame, text, sizeof(text));
		timeline_say("%s", text);
		attach->status = attach->options->starter || attach->options->detached
					 ? (int)(frame_number(frame, 0) & 0xff)
					 : attach->fault;
	}
	attach->told = true;
	want_input(attach);
}

static void take_note(struct attach *attach, const struct frame *frame)
{
	(void)attach;
	timeline_say("%.*s", (int)frame->length, (const char *)frame->body);
}

static void take(struct attach *attach, const struct frame *frame)
{
	static const struct {
		enum frame_type type;
		void (*take)(struct attach *attach, const struct frame *frame);
	} takers[] = {
		{FRAME_STARTED, take_started}, {FRAME_STDOUT, take_output}, {FRAME_STDERR, take_output},
		{FRAME_CREDIT_BACK, take_credit}, {FRAME_EXIT, take_exit}, {FRAME_FAILED, take_failed},
		{FRAME_NOTE, take_note},
	};

	/* The answers to our signals don't matter. */
	for (size_t i = 0; i < array_size(takers); i++)
		if (takers[i].type == frame->type)
			takers[i].take(attach, frame);
}

static bool output_pending(const struct attach *attach)
{
	return stdio_pending(&attach->stdio, 0) || stdio_pending(&attach->stdio, 1);
}

/* Takes what has been received, as long as our outputs take it. */
static void take_all(struct attach *attach)
{
	struct frame frame;
	int status = 0;

	while (!attach->over && !output_pending(attach)) {
		status = frame_parse(&attach->received, 0, &frame);
		if (status <= 0)
			break;
		take(attach, &frame);
		buffer_consume(&attach->received, frame_size(&frame));
	}
	if (status < 0)
		attach->over = true;
}

static void readable(struct loop_source *source, uint32_t events)
{
	struct attach *attach = container_of(source, struct attach, source);
	size_t room = FRAME_BUFFER_LIMIT - buffer_length(&attach->received);
	uint8_t *to = buffer_reserve(&attach->received, room);
	ssize_t count = to ? recv(attach->fd, to, room, MSG_DONTWAIT) : 0;

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		attach->over = true;
		return;
	}
	buffer_commit(&attach->received, (size_t)count);
	take_all(attach);
	if (output_pending(attach))
		loop_remove(&attach->loop, source);
}

static void output_drained(struct stdio *stdio, unsigned stream)
{
	struct attach *attach = container_of(stdio, struct attach, stdio);

	(void)stream;
	take_all(attach);
	if (!output_pending(attach) && !attach->over && attach->source.fd < 0 &&
	    loop_add(&attach->loop, &attach->source, attach->fd, EPOLLIN, readable) < 0)
		attach->over = true;
}

static void monitor_broke(struct outlet *outlet)
{
	(void)outlet; /* its end is about to be read */
}

/* All of it ---------------------------------------------------------------------------------------------------------- */

static int open_all(struct attach *attach, int socket)
{
	int copy = fcntl(socket, F_DUPFD_CLOEXEC, 0), status = loop_init(&attach->loop);

	attach->source.fd = -1;
	attach->stdio.arrived = input_arrived;
	attach->stdio.drained = output_drained;
	attach->stdio.broke = output_broke;
	attach->outlet.broke = monitor_broke;
	attach->fd = socket;
	buffer_init(&attach->received, FRAME_BUFFER_LIMIT);
	if (status < 0 || copy < 0)
		return status < 0 ? status : -EMFILE;
	outlet_open_socket(&attach->outlet, &attach->loop, copy);
	stdio_open(&attach->stdio, &attach->loop);
	status = signals_open(&attach->signals, &attach->loop, signalled);
	return status < 0 ? status : loop_add(&attach->loop, &attach->source, socket, EPOLLIN, readable);
}

static void close_all(struct attach *attach)
{
	terminal_restore(&attach->terminal);
	signals_close(&attach->signals);
	stdio_close(&attach->stdio);
	loop_remove(&attach->loop, &attach->source);
	outlet_close(&attach->outlet);
	fd_close(&attach->fd);
	buffer_free(&attach->received);
	loop_destroy(&attach->loop);
}

int attach(int socket, const struct attach_options *options, int fault)
{
	struct attach attach = {
		.options = options,
		.terminal = {.fd = -1},
		.keys = *options->keys,
		.credit = FRAME_CREDIT,
		.fault = fault,
	};
	int status = open_all(&attach, socket);

	if (status == 0 && !options->starter && !options->detached)
		send_numbers(&attach, FRAME_HELLO, 1, FRAME_WANTS_OUTPUT, 0);
	while (status == 0 && !attach.over)
		status = loop_step(&attach.loop);
	/* What we said last, and what the container did. */
	while (status == 0 && !attach.interrupted &&
	       (output_pending(&attach) || (attach.told && outlet_pending(&attach.outlet))))
		status = loop_step(&attach.loop);
	if (status < 0)
		timeline_say("event loop: %s", strerror(-status));
	else if (!attach.told)
		timeline_say("the monitor of %s has died", *attach.name ? attach.name : "the container");
	close_all(&attach);
	if (attach.interrupted)
		return EXIT_BY_SIGNAL + attach.interrupted;
	return attach.told ? attach.status : fault;
}
