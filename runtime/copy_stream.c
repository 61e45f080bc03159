/* The two tars: the guest's, and ours in a child, with a stream connection of the guest's between them. */
#include <errno.h>
#include <fcntl.h>
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
#include "proxy/client.h"
#include "runtime/copy_private.h"
#include "runtime/printable.h"
#include "runtime/process_calls.h"
#include "runtime/streams.h"
#include "runtime/timeline.h"

#define BLOCK 65536
#define LINES_MOST 10 /* of the guest's complaints that are shown */
#define LINE_SIZE 256

/* What ours ends with. */
enum { WORK_DONE, WORK_FAILED, WORK_BROKEN /* the other side has gone, and says why */ };

/* A stream of the guest's tool, and its complaints. */
struct channel {
	int stream;
	int complaints;
	struct loop_source source;
	struct loop *loop;
	char line[LINE_SIZE];
	size_t length;
	unsigned lines;
};

/* What the guest complains of ------------------------------------------------------------------------------------- */

static void end_line(struct channel *channel)
{
	channel->line[channel->length] = '\0';
	channel->length = 0;
	if (!*channel->line)
		return;
	if (channel->lines++ < LINES_MOST)
		timeline_say("%s", channel->line);
}

/* Printable, and no more of a line than fits. */
static void take_complaints(struct channel *channel, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n')
			end_line(channel);
		else if (channel->length < LINE_SIZE - 1)
			channel->line[channel->length++] = printable(text[i]);
	}
}

static void complaints_readable(struct loop_source *source, uint32_t events)
{
	struct channel *channel = container_of(source, struct channel, source);
	char text[BLOCK];
	ssize_t count = recv(channel->complaints, text, sizeof(text), MSG_DONTWAIT);

	(void)events;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count > 0) {
		take_complaints(channel, text, (size_t)count);
		return;
	}
	end_line(channel);
	loop_remove(channel->loop, source);
	fd_close(&channel->complaints);
}

/* The guest's side ------------------------------------------------------------------------------------------------ */

static int open_channel(struct copy *copy, struct channel *channel, uint32_t ports[3], unsigned stream,
			struct error *error)
{
	*channel = (struct channel){.stream = -1, .complaints = -1, .source.fd = -1, .loop = &copy->loop};
	channel->stream = proxy_connect_port(copy->directory.path, STREAMS_PORT, &ports[stream], error);
	if (channel->stream >= 0)
		channel->complaints = proxy_connect_port(copy->directory.path, STREAMS_PORT, &ports[2], error);
	return channel->complaints < 0 ? error_wrap(error, "connect a stream") : 0;
}

static void close_channel(struct channel *channel)
{
	loop_remove(channel->loop, &channel->source);
	fd_close(&channel->stream);
	fd_close(&channel->complaints);
}

/* Our side -------------------------------------------------------------------------------------------------------- */

struct work {
	const struct copy_plan *plan;
	bool out, raw, owners;
	int stream;
	int directory; /* out: what is unpacked into */
};

static int pass_through(int from, int to, struct error *error)
{
	char block[BLOCK];
	ssize_t count;
	int status = 0;

	do {
		count = read(from, block, sizeof(block));
		if (count > 0)
			status = fd_write_all(to, block, (size_t)count);
	} while ((count > 0 && status == 0) || (count < 0 && errno == EINTR));
	if (count < 0)
		return error_errno(error, errno, "read the tar stream");
	return status < 0 ? error_errno(error, -status, "write the tar stream") : 0;
}

static int work(const struct work *work, struct error *error)
{
	const struct archive_options options = {
		.inside = work->plan->from, .outside = work->plan->to, .owners = work->owners};
	unsigned left_out = 0;
	int status;

	if (work->raw && work->out)
		return pass_through(work->stream, STDOUT_FILENO, error);
	if (work->raw)
		return pass_through(STDIN_FILENO, work->stream, error);
	if (work->out)
		status = archive_unpack(work->stream, work->directory, &options, &left_out, error);
	else
		status = archive_pack(work->stream, work->plan->outside, &options, &left_out, error);
	if (status == 0 && left_out > 0)
		timeline_say("left out: %u that are neither files nor directories nor links", left_out);
	return status;
}

static _Noreturn void run_worker(const struct work *given)
{
	struct error error = {0};

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (work(given, &error) == 0)
		_exit(WORK_DONE);
	if (error.number == EPIPE || error.number == ECONNRESET)
		_exit(WORK_BROKEN);
	timeline_say("%s", error.text);
	_exit(WORK_FAILED);
}

struct worker {
	pid_t pid;
	int pidfd;
	bool ended;
	struct loop_source source;
};

static void worker_ended(struct loop_source *source, uint32_t events)
{
	(void)events;
	container_of(source, struct worker, source)->ended = true;
}

static int start_worker(struct worker *worker, const struct work *given, struct error *error)
{
	*worker = (struct worker){.pidfd = -1, .source.fd = -1};
	worker->pid = fork();
	if (worker->pid == 0)
		run_worker(given);
	if (worker->pid > 0)
		worker->pidfd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
	return worker->pidfd < 0 ? error_errno(error, errno, "start a process") : 0;
}

/* Runs ours to its end, while the guest's complaints are read. What it ends with, or -errno. */
static int await_worker(struct copy *copy, struct worker *worker, struct error *error)
{
	int status = loop_add(&copy->loop, &worker->source, worker->pidfd, EPOLLIN, worker_ended);

	while (status == 0 && !worker->ended)
		status = loop_step(&copy->loop);
	loop_remove(&copy->loop, &worker->source);
	fd_close(&worker->pidfd);
	if (status < 0)
		return error_errno(error, -status, "event loop");
	waitpid(worker->pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : WORK_FAILED;
}

/* Both together --------------------------------------------------------------------------------------------------- */

/* Until the guest's tool has said all, and ended: 0 where all went well. */
static int await_tool(struct copy *copy, struct channel *channel, int worked, struct error *error)
{
	int status;

	while (channel->complaints >= 0)
		if (loop_step(&copy->loop) < 0)
			return error_errno(error, EIO, "event loop");
	status = tools_wait(&copy->tools, error);
	if (status < 0)
		return status;
	/* What has been told already isn't told again. */
	if (worked == WORK_FAILED || (status != 0 && channel->lines > 0))
		return error_set(error, ECANCELED, "%s", "");
	if (status != 0 || worked == WORK_BROKEN)
		return error_set(error, EIO, "the container's tar ended with %d", status);
	return 0;
}

static int run_both(struct copy *copy, struct channel *channel, const struct work *given, struct error *error)
{
	struct process_id tool = {&copy->session, copy->directory.name, copy->tools.id};
	struct worker worker;
	int worked, status = loop_add(&copy->loop, &channel->source, channel->complaints, EPOLLIN, complaints_readable);

	if (status < 0)
		return error_errno(error, -status, "watch the guest");
	/* It shall not outlive us. */
	process_hold(&tool);
	status = start_worker(&worker, given, error);
	if (status < 0)
		return status;
	/* Going out, its end is the worker's to see; going in, the guest sees the end when nobody has it any more. */
	if (given->out)
		fd_close(&channel->stream);
	worked = await_worker(copy, &worker, error);
	if (worked < 0)
		return worked;
	fd_close(&channel->stream);
	if (worked == WORK_FAILED)
		process_signal(&tool, SIGKILL, NULL, NULL);
	return await_tool(copy, channel, worked, error);
}

int copy_stream_out(struct copy *copy, const struct copy_plan *plan, bool raw, struct error *error)
{
	const char *arguments[] = {"-c", "-f", "-", "-C", plan->directory, "--", plan->name, NULL};
	cleanup_close int directory = -1;
	struct channel channel;
	uint32_t ports[3] = {0};
	int status;

	if (!raw) {
		directory = open(plan->outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (directory < 0)
			return error_errno(error, errno, "%s", plan->outside);
	}
	status = open_channel(copy, &channel, ports, 1, error);
	if (status == 0)
		status = tools_start(&copy->tools, "tar", arguments, ports, error);
	if (status == 0) {
		const struct work work = {
			.plan = plan,
			.out = true,
			.raw = raw,
			.owners = copy->options->archive,
			.stream = channel.stream,
			.directory = directory,
		};

		status = run_both(copy, &channel, &work, error);
	}
	close_channel(&channel);
	return status;
}

int copy_stream_in(struct copy *copy, const struct copy_plan *plan, bool raw, struct error *error)
{
	const char *arguments[] = {"-x", "-p", "-f", "-", "-C", plan->directory, NULL};
	struct channel channel;
	uint32_t ports[3] = {0};
	int status = open_channel(copy, &channel, ports, 0, error);

	if (status == 0)
		status = tools_start(&copy->tools, "tar", arguments, ports, error);
	if (status == 0) {
		const struct work work = {
			.plan = plan,
			.raw = raw,
			.owners = copy->options->archive,
			.stream = channel.stream,
			.directory = -1,
		};

		status = run_both(copy, &channel, &work, error);
	}
	close_channel(&channel);
	return status;
}
