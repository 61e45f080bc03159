/* popt, once for all commands. */
#include "runtime/command_line.h"

#include <stdio.h>

#include "runtime/exit_status.h"
#include "runtime/timeline.h"

static bool bad_usage(struct command_line *line, const char *command, const char *what, const char *why)
{
	timeline_say("%s%s%s (see nacre %s --help)", what, *what ? ": " : "", why, command);
	line->status = EXIT_FAULT;
	return false;
}

bool command_line_read(struct command_line *line, int argc, const char *argv[], const struct poptOption *table,
		       const char *usage, unsigned least, unsigned most)
{
	const char *command = argv[0];
	char name[32];
	unsigned count = 0;
	int code;

	*line = (struct command_line){0};
	snprintf(name, sizeof(name), "nacre %s", command);
	argv[0] = name;
	line->context = poptGetContext(NULL, argc, argv, table, 0);
	if (!line->context)
		return bad_usage(line, command, "", "no memory for options");
	poptSetOtherOptionHelp(line->context, usage);
	code = poptGetNextOpt(line->context);
	if (code == 'h') {
		poptPrintHelp(line->context, stdout, 0);
		return false;
	}
	if (code < -1)
		return bad_usage(line, command, poptBadOption(line->context, POPT_BADOPTION_NOALIAS),
				 poptStrerror(code));
	line->arguments = poptGetArgs(line->context);
	while (line->arguments && line->arguments[count])
		count++;
	if (count < least)
		return bad_usage(line, command, "", "the name of a container is missing");
	if (count > most)
		return bad_usage(line, command, line->arguments[most], "one argument too many");
	return true;
}

void command_line_free(struct command_line *line)
{
	poptFreeContext(line->context);
	line->context = NULL;
}

int command_for_each(const struct command_line *line, int (*act)(const char *name, void *data, struct error *error),
		     void *data)
{
	int status = 0;

	for (const char **name = line->arguments; name && *name; name++) {
		struct error error = {0};

		if (act(*name, data, &error) < 0) {
			timeline_say("%s", error.text);
			status = COMMAND_FAILED;
		}
	}
	return status;
}
