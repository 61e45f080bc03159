/* Two streams, as far as they are wanted. */
#include "runtime/logs_session.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/moment.h"
#include "runtime/proxy_session.h"
#include "runtime/signals.h"
#include "runtime/timeline.h"

#define CHUNK 65536u
#define OUTPUTS 2

struct output {
	struct logs *logs;
	unsigned number; /* 0: stdout, 1: stderr */
	int fd;		 /* -1: nothing more is wanted, or comes */
	struct loop_source source;
	uint64_t first;	 /* offset of the first byte */
	uint64_t come;	 /* bytes */
	uint64_t wanted; /* so many, without --follow */
};

struct logs {
	const struct logs_session_options *options;
	struct loop loop;
	struct signals signals;
	struct proxy_session session;
	struct output outputs[OUTPUTS];
	unsigned open;
	int interrupted; /* a signal */
	struct error error;
};

static void end_output(struct output *output)
{
	if (output->fd < 0)
		return;
	loop_remove(&output->logs->loop, &output->source);
	fd_close(&output->fd);
	output->logs->open--;
}

/* Nobody but us waits for our stdout. */
static int print(struct output *output, const char *bytes, size_t length)
{
	int status = fd_write_all(output->number == 0 ? STDOUT_FILENO : STDERR_FILENO, bytes, length);

	return status < 0 ? error_errno(&output->logs->error, -status, "write") : 0;
}

/* The time is that at which the bytes are here; nobody has kept another one. */
static void write_entries(struct log_writer *writer, unsigned stream, const char *bytes, size_t length)
{
	char time[MOMENT_SIZE];
	struct log_entry entry = {.time = time, .stream = stream};
	struct error error;

	moment_format(moment_now(), time);
	entry.time_length = strlen(time);
	while (length > 0) {
		size_t count = log_entry_cut(&entry, bytes, length);

		if (log_writer_add(writer, &entry, &error) > 0)
			timeline_say("%s", error.text);
		bytes += count;
		length -= count;
	}
	if (log_writer_flush(writer, &error) > 0)
		timeline_say("%s", error.text);
}

static void readable(struct loop_source *source, uint32_t events)
{
	struct output *output = container_of(source, struct output, source);
	const struct logs_session_options *options = output->logs->options;
	uint64_t left = options->follow ? CHUNK : output->wanted - output->come;
	char bytes[CHUNK];
	ssize_t count = recv(output->fd, bytes, left < CHUNK ? (size_t)left : CHUNK, MSG_DONTWAIT);
	int status = 0;

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count > 0 && options->writer)
		write_entries(options->writer, output->number, bytes, (size_t)count);
	else if (count > 0)
		status = print(output, bytes, (size_t)count);
	output->come += count > 0 ? (uint64_t)count : 0;
	if (count <= 0 || status < 0 || (!options->follow && output->come >= output->wanted))
		end_output(output);
}

static void signalled(struct signals *signals, int number)
{
	struct logs *logs = container_of(signals, struct logs, signals);
	struct error error;

	if (number == SIGCONT || number == SIGWINCH)
		return;
	if (logs->options->writer && (number == SIGHUP || number == SIGUSR1)) {
		if (log_writer_reopen(logs->options->writer, &error) < 0)
			timeline_say("%s", error.text);
		return;
	}
	logs->interrupted = number;
}

static int open_output(struct logs *logs, unsigned number, struct error *error)
{
	struct output *output = &logs->outputs[number];
	uint64_t bytes = logs->session.bytes[PROXY_SESSION_STDOUT + number];
	int status;

	output->fd = proxy_session_attach(&logs->session, PROXY_SESSION_STDOUT + number, "ring lossy", &output->first, error);
	if (output->fd < 0)
		return output->fd;
	output->wanted = bytes > output->first ? bytes - output->first : 0;
	logs->open++;
	status = loop_add(&logs->loop, &output->source, output->fd, EPOLLIN, readable);
	if (status < 0)
		return error_errno(error, -status, "event loop");
	if (!logs->options->follow && output->wanted == 0)
		end_output(output);
	return 0;
}

/* What has been left out between the first byte and the last. */
static void tell_missed(struct logs *logs)
{
	struct error error;

	if (!logs->options->follow || proxy_session_look(&logs->session, &error) < 0)
		return;
	for (unsigned i = 0; i < OUTPUTS; i++) {
		const struct output *output = &logs->outputs[i];
		uint64_t bytes = logs->session.bytes[PROXY_SESSION_STDOUT + i];

		if (bytes > output->first + output->come)
			timeline_say("%" PRIu64 " bytes of %s were missed: they came too fast",
				     bytes - output->first - output->come, i == 0 ? "stdout" : "stderr");
	}
}

static int run(struct logs *logs, struct error *error)
{
	const struct logs_session_options *options = logs->options;
	int status = loop_init(&logs->loop);

	if (status == 0)
		status = signals_open(&logs->signals, &logs->loop, signalled);
	if (status < 0)
		return error_errno(error, -status, "event loop");
	status = proxy_session_open(&logs->session, &logs->loop, options->target, options->exec, options->terminal, error);
	for (unsigned i = 0; i < (logs->session.terminal ? 1 : OUTPUTS) && status == 0; i++)
		status = open_output(logs, i, error);
	while (status == 0 && logs->open > 0 && !logs->interrupted && logs->error.number == 0)
		status = loop_step(&logs->loop);
	if (status == 0 && logs->open == 0 && logs->error.number == 0)
		tell_missed(logs);
	if (status == 0 && logs->error.number)
		*error = logs->error;
	return status == 0 ? -logs->error.number : status;
}

/* As if nobody had asked for the signal. */
static void end_by(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int logs_session(const struct logs_session_options *options, struct error *error)
{
	struct logs logs = {.options = options};
	int status;

	for (unsigned i = 0; i < OUTPUTS; i++)
		logs.outputs[i] = (struct output){.logs = &logs, .number = i, .fd = -1, .source.fd = -1};
	status = run(&logs, error);
	for (unsigned i = 0; i < OUTPUTS; i++)
		end_output(&logs.outputs[i]);
	proxy_session_close(&logs.session);
	signals_close(&logs.signals);
	loop_destroy(&logs.loop);
	if (status == 0 && logs.interrupted)
		end_by(logs.interrupted);
	return status;
}
