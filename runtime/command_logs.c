/* nacre logs: what a container has written: to stdout and stderr each, or to a file for others. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"
#include "runtime/exit_status.h"
#include "runtime/log_reader.h"
#include "runtime/log_writer.h"
#include "runtime/logs_session.h"
#include "runtime/quantity.h"
#include "runtime/target.h"
#include "runtime/timeline.h"

#define TAIL_MOST 1000000000
#define STREAMS 2

struct logs {
	int follow, times, terminal;
	unsigned tail;
	bool all; /* no --tail */
	struct log_reader reader;
	struct log_writer *writer; /* or NULL: to stdout and stderr */
	int reopen;		   /* signals by which the writer is told to open its file again; -1 without one */
	/* Lines are counted where they begin. One may consist of several entries, with the other stream's in between. */
	uint64_t line;
	uint64_t first;		  /* the first that is shown */
	bool inside[STREAMS];	  /* of a line */
	bool shown[STREAMS];	  /* it is */
};

/* Counts the entry's line where it begins. */
static void count_line(struct logs *logs, const struct log_entry *entry)
{
	if (!logs->inside[entry->stream]) {
		logs->shown[entry->stream] = logs->line >= logs->first;
		logs->line++;
	}
}

static int print(const struct logs *logs, const struct log_entry *entry, bool begins)
{
	int fd = entry->stream == 0 ? STDOUT_FILENO : STDERR_FILENO, status = 0;

	if (logs->times && begins) {
		status = fd_write_all(fd, entry->time, entry->time_length);
		if (status == 0)
			status = fd_write_all(fd, " ", 1);
	}
	if (status == 0)
		status = fd_write_all(fd, entry->text, entry->length);
	if (status == 0 && entry->whole)
		status = fd_write_all(fd, "\n", 1);
	return status;
}

static int show(struct logs *logs, const struct log_entry *entry)
{
	bool begins = !logs->inside[entry->stream];
	struct error error;

	count_line(logs, entry);
	logs->inside[entry->stream] = !entry->whole;
	if (!logs->shown[entry->stream])
		return 0;
	if (!logs->writer)
		return print(logs, entry, begins);
	if (log_writer_add(logs->writer, entry, &error) > 0)
		timeline_say("%s", error.text);
	return 0;
}

/* Shows all that is there. 0 or -errno. */
static int show_all(struct logs *logs, struct error *error)
{
	struct log_entry entry;
	int status;

	while ((status = log_reader_next(&logs->reader, &entry, error)) > 0) {
		status = show(logs, &entry);
		if (status < 0)
			return error_errno(error, -status, "write");
	}
	if (logs->writer && log_writer_flush(logs->writer, error) > 0)
		timeline_say("%s", error->text);
	return status;
}

/* Finds out how many lines there are, and so the first that is shown. */
static int find_first(struct logs *logs, struct error *error)
{
	struct log_entry entry;
	int status;

	while ((status = log_reader_next(&logs->reader, &entry, error)) > 0) {
		count_line(logs, &entry);
		logs->inside[entry.stream] = !entry.whole;
	}
	logs->first = logs->line > logs->tail ? logs->line - logs->tail : 0;
	logs->line = 0;
	memset(logs->inside, 0, sizeof(logs->inside));
	return status < 0 ? status : log_reader_rewind(&logs->reader, error);
}

/* SIGHUP or SIGUSR1, as kubelet's ReopenContainerLog: somebody has moved the file. */
static void reopen(const struct logs *logs)
{
	struct signalfd_siginfo info;
	struct error error;

	if (read(logs->reopen, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
	    log_writer_reopen(logs->writer, &error) < 0)
		timeline_say("%s", error.text);
}

/* Shows what is written, as it is written, until the monitor closes our connection. */
static int follow(struct logs *logs, const struct run_directory *directory, const struct control *control,
		  struct error *error)
{
	cleanup_close int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd pollers[] = {{.fd = watch, .events = POLLIN}, {.fd = control->fd, .events = POLLIN},
				   {.fd = logs->reopen, .events = POLLIN}};
	char events[4096];
	int status = 0;
	bool ended = false;

	if (watch < 0 || inotify_add_watch(watch, directory->path, IN_MODIFY | IN_CREATE) < 0)
		return error_errno(error, errno, "watch %s", directory->path);
	while (status == 0) {
		status = show_all(logs, error);
		if (status < 0 || ended)
			break;
		if (poll(pollers, array_size(pollers), -1) < 0 && errno != EINTR)
			return error_errno(error, errno, "poll");
		if (pollers[0].revents && read(watch, events, sizeof(events)) < 0 && errno != EAGAIN)
			return error_errno(error, errno, "watch %s", directory->path);
		/* What it says on the way doesn't matter. */
		if (pollers[1].revents)
			ended = read(control->fd, events, sizeof(events)) <= 0;
		if (pollers[2].revents)
			reopen(logs);
	}
	return status;
}

/* Where it follows, it is connected before the first look: the end can't be missed. */
static int show_logs(const char *name, struct logs *logs, struct error *error)
{
	struct run_directory directory;
	struct control control = {.fd = -1};
	bool alive = false;
	int status = run_directory_open(&directory, name, error);

	if (status < 0)
		return status;
	if (logs->follow)
		alive = control_open(&control, &directory, error) == 0;
	status = log_reader_open(&logs->reader, directory.fd, error);
	if (status == 0 && !logs->all)
		status = find_first(logs, error);
	if (status == 0)
		status = alive ? follow(logs, &directory, &control, error) : show_all(logs, error);
	log_reader_close(&logs->reader);
	if (logs->follow)
		control_close(&control);
	run_directory_close(&directory);
	return status;
}

static int open_reopen(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* By what the monitor has written, or with --dir by the VM's proxy. */
static int show_any(struct logs *logs, const char *directory, const char **arguments, struct error *error)
{
	struct logs_session_options options = {
		.exec = arguments[1], .terminal = logs->terminal, .follow = logs->follow, .writer = logs->writer};
	struct target target;
	int status;

	if (!directory)
		return show_logs(arguments[0], logs, error);
	status = target_open(&target, directory, arguments[0], error);
	options.target = &target;
	if (status == 0)
		status = logs_session(&options, error);
	target_close(&target);
	return status;
}

/* To a file: the exit status. */
static int write_logs(struct logs *logs, const char *directory, const char **arguments, struct log_writer *writer)
{
	struct error error;
	int status;

	/* A limit of the size is as a full disk. */
	signal(SIGXFSZ, SIG_IGN);
	if (!directory)
		logs->reopen = open_reopen();
	status = log_writer_open(writer, &error);
	logs->writer = writer;
	logs->follow = true;
	if (status == 0)
		status = show_any(logs, directory, arguments, &error);
	if (status < 0)
		timeline_say("%s", error.text);
	if (writer->lost > 0)
		timeline_say("%llu bytes of the log could not be written to %s", (unsigned long long)writer->lost,
			     writer->path);
	status = status == -EINVAL ? EXIT_FAULT : status < 0 || writer->lost > 0 ? COMMAND_FAILED : 0;
	log_writer_close(writer);
	fd_close(&logs->reopen);
	return status;
}

static int print_logs(struct logs *logs, const char *directory, const char **arguments)
{
	struct error error;
	int status = show_any(logs, directory, arguments, &error);

	if (status < 0)
		timeline_say("%s", error.text);
	return status < 0 ? COMMAND_FAILED : 0;
}

/* What is said of --write by the options beside it. */
static int take_writing(struct log_writer *writer, const char *format, const char *size, const char *files,
			struct error *error)
{
	if (!writer->path && (format || size || files))
		return error_set(error, EINVAL, "--format, --max-size and --max-files belong to --write");
	if (format && strcmp(format, "cri") != 0 && strcmp(format, "json") != 0)
		return error_set(error, EINVAL, "--format: '%s' is not cri or json", format);
	writer->format = format && *format == 'j' ? log_format_json : log_format_cri;
	if (size && quantity_parse_memory(size, &writer->size_most, error) < 0)
		return error_wrap(error, "--max-size");
	return files ? quantity_parse_count("--max-files", files, 1, LOG_WRITER_FILES_MOST, &writer->files, error) : 0;
}

int command_logs(int argc, const char *argv[])
{
	struct logs logs = {.all = true, .reopen = -1};
	struct log_writer writer = {.files = LOG_WRITER_FILES_DEFAULT, .fd = -1};
	char *directory = NULL, *tail = NULL, *path = NULL, *format = NULL, *size = NULL, *files = NULL;
	const struct poptOption table[] = {
		{"follow", 'f', POPT_ARG_NONE, &logs.follow, 0, "go on as long as it runs", NULL},
		{"tail", 'n', POPT_ARG_STRING, &tail, 0, "only so many lines at the end (default: all)", "N"},
		{"timestamps", 't', POPT_ARG_NONE, &logs.times, 0, "with the time of each line", NULL},
		{"write", 0, POPT_ARG_STRING, &path, 0, "write it to a file, as long as it runs", "FILE"},
		{"format", 0, POPT_ARG_STRING, &format, 0, "of the file (default: cri)", "cri|json"},
		{"max-size", 0, POPT_ARG_STRING, &size, 0, "begin a new file there (default: never)", "SIZE"},
		{"max-files", 0, POPT_ARG_STRING, &files, 0, "how many are kept then (default: 5)", "N"},
		TARGET_OPTION(&directory),
		{"tty", 0, POPT_ARG_NONE, &logs.terminal, 0, "with --dir: the process has a terminal", NULL},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;
	struct error error;
	int status;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] NAME [EXEC]", 1, 2)) {
		writer.path = path;
		logs.all = !tail || strcmp(tail, "all") == 0;
		status = take_writing(&writer, format, size, files, &error);
		if (status == 0 && directory && (tail || logs.times))
			status = error_set(&error, EINVAL, "--dir: neither lines nor times are kept of it (--tail, "
					   "--timestamps)");
		if (status == 0 && !directory && line.arguments[1])
			status = error_set(&error, EINVAL, "%s: EXEC goes with --dir alone", line.arguments[1]);
		if (status == 0 && !logs.all)
			status = quantity_parse_count("--tail", tail, 0, TAIL_MOST, &logs.tail, &error);
		if (status < 0) {
			timeline_say("%s", error.text);
			line.status = EXIT_FAULT;
		} else if (path) {
			line.status = write_logs(&logs, directory, line.arguments, &writer);
		} else {
			line.status = print_logs(&logs, directory, line.arguments);
		}
	}
	command_line_free(&line);
	free(directory);
	free(tail);
	free(path);
	free(format);
	free(size);
	free(files);
	return line.status;
}
