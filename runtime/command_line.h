/* What the commands have in common: options by popt, and a list of containers' names. */
#ifndef NACRE_RUNTIME_COMMAND_LINE_H
#define NACRE_RUNTIME_COMMAND_LINE_H

#include <limits.h>
#include <popt.h>
#include <stdbool.h>

#include "lib/error.h"

#define COMMAND_FAILED 1 /* the exit status where something couldn't be done; EXIT_FAULT is for bad usage */

/* An entry of every table. */
#define COMMAND_HELP {"help", 'h', POPT_ARG_NONE, NULL, 'h', "show this", NULL}

struct command_line {
	poptContext context;
	const char **arguments; /* what isn't an option, NULL at the end; may be NULL itself: none */
	int status;		/* the exit status, where there is nothing to do */
};

#define COMMAND_ANY UINT_MAX

/* Reads argv by the table. `usage` is what follows the command in its help: "[OPTION...] NAME...". At least `least` and at
 * most `most` (COMMAND_ANY: without a limit) arguments have to be there. False where help was asked for, and printed, or the
 * usage was bad, which has been told. command_line_free() in any case. */
bool command_line_read(struct command_line *line, int argc, const char *argv[], const struct poptOption *table,
		       const char *usage, unsigned least, unsigned most);
void command_line_free(struct command_line *line);

/* Calls `act` for each argument, and tells what goes wrong. The exit status. */
int command_for_each(const struct command_line *line, int (*act)(const char *name, void *data, struct error *error),
		     void *data);

#endif
