/* nacre stop: asks containers to end, and then makes them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/control.h"
#include "runtime/exit_status.h"
#include "runtime/quantity.h"
#include "runtime/timeline.h"

#define SECONDS_DEFAULT 10
#define SECONDS_MOST 86400

struct stopping {
	uint32_t seconds;
	struct control *controls; /* one an argument, in order */
	size_t count;
};

/* All are asked first, so that their times run together. One that has ended is stopped already. */
static int ask(const char *name, void *data, struct error *error)
{
	struct stopping *stopping = data;
	struct control *control = &stopping->controls[stopping->count++];
	struct run_directory directory;
	int status = run_directory_open(&directory, name, error);

	*control = (struct control){.fd = -1};
	if (status < 0)
		return status;
	status = control_open(control, &directory, error);
	if (status == 0)
		status = control_stop(control, stopping->seconds, error);
	run_directory_close(&directory);
	if (status < 0)
		control_close(control);
	if (status == -ESRCH)
		puts(name);
	return status == -ESRCH ? 0 : status;
}

static int await(const char *name, void *data, struct error *error)
{
	struct stopping *stopping = data;
	struct control *control = &stopping->controls[stopping->count++];
	int status;

	if (control->fd < 0)
		return 0;
	status = control_await(control, -1, error);
	control_close(control);
	if (status == 0)
		puts(name);
	return status;
}

static int stop_all(const struct command_line *line, uint32_t seconds)
{
	struct stopping stopping = {.seconds = seconds};
	int asked, awaited;
	size_t count = 0;

	while (line->arguments[count])
		count++;
	stopping.controls = calloc(count + 1, sizeof(*stopping.controls));
	if (!stopping.controls) {
		timeline_say("%s", strerror(ENOMEM));
		return COMMAND_FAILED;
	}
	asked = command_for_each(line, ask, &stopping);
	stopping.count = 0;
	awaited = command_for_each(line, await, &stopping);
	free(stopping.controls);
	return asked ? asked : awaited;
}

int command_stop(int argc, const char *argv[])
{
	char *text = NULL;
	const struct poptOption table[] = {
		{"time", 't', POPT_ARG_STRING, &text, 0, "until it is killed (default: 10; -1: never)", "SECONDS"},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	unsigned seconds = SECONDS_DEFAULT;
	struct command_line line;
	struct error error;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] NAME...", 1, COMMAND_ANY)) {
		if (text && strcmp(text, "-1") == 0)
			seconds = CONTROL_NEVER;
		else if (text && quantity_parse_count("--time", text, 0, SECONDS_MOST, &seconds, &error) < 0)
			line.status = EXIT_FAULT;
		if (line.status == 0)
			line.status = stop_all(&line, seconds);
		else
			timeline_say("%s", error.text);
	}
	command_line_free(&line);
	free(text);
	return line.status;
}
