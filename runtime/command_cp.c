/* nacre cp: copies files into or out of a running container. */
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/copy.h"
#include "runtime/exit_status.h"
#include "runtime/name.h"
#include "runtime/timeline.h"

/* Cuts "NAME:PATH"; false for a path of ours, which may have colons too if it begins with '/' or '.'. */
static bool cut(const char *text, char name[NAME_LONGEST + 1], const char **path)
{
	const char *colon = strchr(text, ':');

	if (!colon || *text == '/' || *text == '.' || (size_t)(colon - text) > NAME_LONGEST)
		return false;
	memcpy(name, text, (size_t)(colon - text));
	name[colon - text] = '\0';
	*path = colon + 1;
	return name_valid(name);
}

static int copy(struct copy_options options, const char **arguments)
{
	char names[2][NAME_LONGEST + 1];
	const char *paths[2];
	bool from = cut(arguments[0], names[0], &paths[0]), to = cut(arguments[1], names[1], &paths[1]);

	if (from == to) {
		timeline_say("one of SRC and DEST has to be NAME:PATH, and the other one a path (see nacre cp --help)");
		return EXIT_FAULT;
	}
	options.container = from ? names[0] : names[1];
	options.inside = from ? paths[0] : paths[1];
	options.outside = from ? arguments[1] : arguments[0];
	return from ? copy_out(&options) : copy_in(&options);
}

int command_cp(int argc, const char *argv[])
{
	int archive = 0, follow = 0, verbose = 0, status;
	const struct poptOption table[] = {
		{"archive", 'a', POPT_ARG_NONE, &archive, 0, "keep user and group of what is copied", NULL},
		{"follow-link", 'L', POPT_ARG_NONE, &follow, 0, "copy what SRC leads to, where it is a link", NULL},
		{"verbose", 'v', POPT_ARG_NONE, &verbose, 0, "say what is done", NULL},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;

	if (!command_line_read(&line, argc, argv, table, "[OPTION...] NAME:SRC DEST|- | SRC|- NAME:DEST", 2, 2)) {
		status = line.status;
	} else {
		struct copy_options options = {.archive = archive, .follow = follow, .verbose = verbose};

		status = copy(options, line.arguments);
	}
	command_line_free(&line);
	return status;
}
