/* The options of `nacre exec`, by popt. */
#include "runtime/exec_options.h"

#include <errno.h>
#include <popt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/name.h"

struct raw_options {
	int interactive, terminal, detached, help;
	char *directory, *user, *io, *keys;
	const char **environment;
	poptContext context;
};

static int read_table(struct raw_options *raw, int argc, const char *argv[], struct error *error)
{
	struct poptOption table[] = {
		{"interactive", 'i', POPT_ARG_NONE, &raw->interactive, 0, "pass stdin on to the command", NULL},
		{"tty", 't', POPT_ARG_NONE, &raw->terminal, 0, "give the command a terminal", NULL},
		{"detach", 'd', POPT_ARG_NONE, &raw->detached, 0, "start it, and leave it alone", NULL},
		{"env", 'e', POPT_ARG_ARGV, &raw->environment, 0, "set a variable; without VALUE, pass it on",
		 "NAME[=VALUE]"},
		{"workdir", 'w', POPT_ARG_STRING, &raw->directory, 0, "working directory (default: the container's)",
		 "DIR"},
		{"user", 'u', POPT_ARG_STRING, &raw->user, 0,
		 "name or number, looked up in the container (default: the container's)", "USER[:GROUP]"},
		{"io", 0, POPT_ARG_STRING, &raw->io, 0, "how streams travel (default: streams)", "calls|streams"},
		{"detach-keys", 0, POPT_ARG_STRING, &raw->keys, 0,
		 "what leaves a terminal (default: " DETACH_KEYS_DEFAULT ")", "KEYS"},
		{"help", 'h', POPT_ARG_NONE, &raw->help, 0, "show this", NULL},
		POPT_TABLEEND,
	};
	int code;

	argv[0] = "nacre exec";
	raw->context = poptGetContext(NULL, argc, argv, table, POPT_CONTEXT_POSIXMEHARDER);
	if (!raw->context)
		return error_errno(error, ENOMEM, "options");
	poptSetOtherOptionHelp(raw->context, "[OPTION...] NAME COMMAND [ARGUMENT...]");
	code = poptGetNextOpt(raw->context);
	if (code < -1)
		return error_set(error, EINVAL, "%s: %s (see nacre exec --help)",
				 poptBadOption(raw->context, POPT_BADOPTION_NOALIAS), poptStrerror(code));
	if (raw->help)
		poptPrintHelp(raw->context, stdout, 0);
	return 0;
}

static int check(struct exec_options *options, const struct raw_options *raw, struct error *error)
{
	int status = 0;

	for (const char **given = raw->environment; status == 0 && given && *given; given++)
		status = environment_add(&options->environment, *given, error);
	if (status < 0)
		return error_wrap(error, "--env");
	if (raw->io)
		status = io_way_parse(raw->io, &options->io, error);
	/* It is tied to our connection to the agent, and so to the worker that has it. */
	if (status == 0 && options->io == IO_SESSIONS)
		status = error_set(error, EINVAL, "--io: 'sessions' is for containers, not for commands in one");
	if (status == 0)
		status = detach_keys_parse(&options->keys, raw->keys, error);
	if (status == 0 && options->directory && *options->directory != '/')
		status = error_set(error, EINVAL, "--workdir: '%s' is not an absolute path", options->directory);
	if (status == 0 && options->detached && (options->interactive || options->terminal))
		status = error_set(error, EINVAL, "-d leaves the command alone: neither -i nor -t go with it");
	return status;
}

static int take_arguments(struct exec_options *options, const char **arguments, struct error *error)
{
	if (!arguments || !arguments[0])
		return error_set(error, EINVAL, "NAME is missing (see nacre exec --help)");
	options->name = *arguments++;
	if (!name_valid(options->name))
		return error_set(error, EINVAL, "'%s' is no name: " NAME_RULE, options->name);
	if (arguments[0] && strcmp(arguments[0], "--") == 0)
		arguments++;
	if (!arguments[0])
		return error_set(error, EINVAL, "COMMAND is missing (see nacre exec --help)");
	options->command = arguments;
	return 0;
}

int exec_options_parse(struct exec_options *options, int argc, const char *argv[], struct error *error)
{
	struct raw_options *raw = calloc(1, sizeof(*raw));
	int status;

	*options = (struct exec_options){.parser = raw};
	if (!raw)
		return error_errno(error, ENOMEM, "options");
	status = read_table(raw, argc, argv, error);
	options->interactive = raw->interactive;
	options->terminal = raw->terminal;
	options->detached = raw->detached;
	options->directory = raw->directory;
	options->user = raw->user;
	options->help = raw->help;
	if (status < 0 || options->help)
		return status;
	status = check(options, raw, error);
	return status < 0 ? status : take_arguments(options, poptGetArgs(raw->context), error);
}

static void free_raw(struct raw_options *raw)
{
	free(raw->directory);
	free(raw->user);
	free(raw->io);
	free(raw->keys);
	for (const char **entry = raw->environment; entry && *entry; entry++)
		free((void *)*entry);
	free(raw->environment);
	poptFreeContext(raw->context);
	free(raw);
}

void exec_options_free(struct exec_options *options)
{
	environment_free(&options->environment);
	if (options->parser)
		free_raw(options->parser);
	*options = (struct exec_options){0};
}
