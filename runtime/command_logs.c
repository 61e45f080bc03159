/* nacre logs: what a container has written, to stdout and stderr each. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"
#include "runtime/exit_status.h"
#include "runtime/log_reader.h"
#include "runtime/quantity.h"
#include "runtime/timeline.h"

#define TAIL_MOST 1000000000
#define STREAMS 2

struct logs {
	int follow, times;
	unsigned tail;
	bool all; /* no --tail */
	struct log_reader reader;
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

static int show(struct logs *logs, const struct log_entry *entry)
{
	int fd = entry->stream == 0 ? STDOUT_FILENO : STDERR_FILENO, status = 0;
	bool begins = !logs->inside[entry->stream];

	count_line(logs, entry);
	logs->inside[entry->stream] = !entry->whole;
	if (!logs->shown[entry->stream])
		return 0;
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

/* Shows what is written, as it is written, until the monitor closes our connection. */
static int follow(struct logs *logs, const struct run_directory *directory, const struct control *control,
		  struct error *error)
{
	cleanup_close int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd pollers[] = {{.fd = watch, .events = POLLIN}, {.fd = control->fd, .events = POLLIN}};
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
	}
	return status;
}

/* Where it follows, it is connected before the first look: the end can't be missed. */
static int show_logs(const char *name, void *data, struct error *error)
{
	struct logs *logs = data;
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

int command_logs(int argc, const char *argv[])
{
	struct logs logs = {.all = true};
	char *tail = NULL;
	const struct poptOption table[] = {
		{"follow", 'f', POPT_ARG_NONE, &logs.follow, 0, "go on as long as it runs", NULL},
		{"tail", 'n', POPT_ARG_STRING, &tail, 0, "only so many lines at the end (default: all)", "N"},
		{"timestamps", 't', POPT_ARG_NONE, &logs.times, 0, "with the time of each line", NULL},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;
	struct error error;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] NAME", 1, 1)) {
		logs.all = !tail || strcmp(tail, "all") == 0;
		if (!logs.all && quantity_parse_count("--tail", tail, 0, TAIL_MOST, &logs.tail, &error) < 0) {
			timeline_say("%s", error.text);
			line.status = EXIT_FAULT;
		} else {
			line.status = command_for_each(&line, show_logs, &logs);
		}
	}
	command_line_free(&line);
	free(tail);
	return line.status;
}
