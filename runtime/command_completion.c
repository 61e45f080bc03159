/* nacre completion: prints what makes a shell complete nacre's commands, options and containers.
 *
 * It is made of the help of each command, which is printed from the command's own table. The names of containers are
 * looked up by the shell, when they are asked for: they are the folders of the run directory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/exit_status.h"
#include "runtime/help_text.h"
#include "runtime/timeline.h"

#define HELP_SIZE 65536

/* In a child, as a command may do anything after its help. */
static int read_help(const struct command *command, char text[HELP_SIZE])
{
	const char *arguments[] = {command->name, "--help", NULL};
	int ends[2], status;
	ssize_t length;
	pid_t pid;

	if (pipe(ends) < 0)
		return -errno;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		exit(command->run(2, arguments));
	}
	close(ends[1]);
	length = pid < 0 ? -errno : fd_read_all(ends[0], text, HELP_SIZE - 1);
	close(ends[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (length < 0)
		return (int)length;
	text[length] = '\0';
	return 0;
}

/* bash, and zsh by way of its bashcompinit --------------------------------------------------------------------------- */

static const char bash_functions[] =
	"_nacre_names()\n"
	"{\n"
	"\tlocal base=${NACRE_RUNTIME_DIR:-/run/nacre} path\n"
	"\tif [[ -z ${NACRE_RUNTIME_DIR:-} && $(id -u) != 0 ]]; then base=${XDG_RUNTIME_DIR:-}/nacre; fi\n"
	"\tfor path in \"$base\"/*/; do\n"
	"\t\tpath=${path%/}\n"
	"\t\t[[ ${path##*/} != '*' ]] && printf '%s\\n' \"${path##*/}\"\n"
	"\tdone\n"
	"}\n"
	"\n"
	"_nacre_files()\n"
	"{\n"
	"\tlocal IFS=$'\\n'\n"
	"\ttype compopt >/dev/null 2>&1 && compopt -o filenames\n"
	"\tCOMPREPLY+=($(compgen \"$1\" -- \"$current\"))\n"
	"}\n"
	"\n"
	"_nacre()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
	"\tlocal command=${COMP_WORDS[1]} options='' arguments='' position=0 i word\n"
	"\tCOMPREPLY=()\n"
	"\t# readline cuts words at '='.\n"
	"\tif [[ $current == = ]]; then current=; fi\n"
	"\tif [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD - 2]}; fi\n"
	"\tif ((COMP_CWORD == 1)); then\n"
	"\t\tCOMPREPLY=($(compgen -W \"$_nacre_commands --help --version\" -- \"$current\"))\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase \"$command $previous\" in\n";

static const char bash_middle[] =
	"\tesac\n"
	"\tcase $command in\n";

static const char bash_end[] =
	"\tesac\n"
	"\tif [[ $current == -* ]]; then\n"
	"\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase $arguments in\n"
	"\tnames) COMPREPLY=($(compgen -W \"$(_nacre_names)\" -- \"$current\")) ;;\n"
	"\tnames_and_paths)\n"
	"\t\tCOMPREPLY=($(compgen -W \"$(_nacre_names)\" -S : -- \"$current\"))\n"
	"\t\ttype compopt >/dev/null 2>&1 && compopt -o nospace\n"
	"\t\t_nacre_files -f\n"
	"\t\t;;\n"
	"\t*) _nacre_files -f ;;\n"
	"\tesac\n"
	"}\n"
	"\n"
	"complete -F _nacre nacre\n";

static void print_names(const struct command *command, const struct help_option *option)
{
	const char *separator = "";

	if (*option->long_name) {
		printf("\t\"%s --%s\"", command->name, option->long_name);
		separator = " | ";
	}
	if (option->short_name)
		printf("%s\"%s -%c\"", *separator ? separator : "\t", command->name, option->short_name);
	printf(")");
}

/* What comes behind an option that has an argument. */
static void print_bash_argument(const struct command *command, const struct help_option *option)
{
	static const struct {
		const char *beginning, *action;
	} kinds[] = {{"FILE", "_nacre_files -f"}, {"DIR", "_nacre_files -d"}, {"SRC:", "_nacre_files -f"}};

	if (!*option->argument)
		return;
	print_names(command, option);
	if (help_text_is_choice(option)) {
		printf(" COMPREPLY=($(compgen -W \"");
		for (const char *byte = option->argument; *byte; byte++)
			putchar(*byte == '|' ? ' ' : *byte);
		printf("\" -- \"$current\"))");
	}
	for (size_t i = 0; i < array_size(kinds); i++)
		if (strncmp(kinds[i].beginning, option->argument, strlen(kinds[i].beginning)) == 0)
			printf(" %s", kinds[i].action);
	printf("\n\t\treturn ;;\n");
}

static void print_bash_options(const struct command *command, const char *help)
{
	static const char *const kinds[] = {
		[HELP_FILES] = "files", [HELP_NAMES] = "names", [HELP_NAMES_AND_PATHS] = "names_and_paths"};
	struct help_option option;
	const char *rest = help;

	printf("\t%s) arguments=%s options='", command->name, kinds[help_text_arguments(help)]);
	while (help_text_next(&rest, &option)) {
		if (option.short_name)
			printf("-%c ", option.short_name);
		if (*option.long_name)
			printf("--%s ", option.long_name);
	}
	printf("' ;;\n");
}

static void print_bash_arguments(const struct command *command, const char *help)
{
	struct help_option option;

	while (help_text_next(&help, &option))
		print_bash_argument(command, &option);
}

static int for_each_command(void (*print)(const struct command *command, const char *help))
{
	cleanup_free char *help = malloc(HELP_SIZE);
	int status = help ? 0 : -ENOMEM;

	for (const struct command *command = commands; status == 0 && command->name; command++) {
		status = read_help(command, help);
		if (status == 0)
			print(command, help);
	}
	return status;
}

static int print_bash(void)
{
	int status;

	printf("# nacre's completion for bash; made by nacre completion.\n_nacre_commands='");
	for (const struct command *command = commands; command->name; command++)
		printf("%s ", command->name);
	printf("'\n\n%s", bash_functions);
	status = for_each_command(print_bash_arguments);
	fputs(bash_middle, stdout);
	if (status == 0)
		status = for_each_command(print_bash_options);
	fputs(bash_end, stdout);
	return status;
}

static int print_zsh(void)
{
	printf("#compdef nacre\nautoload -U +X bashcompinit && bashcompinit\n\n");
	return print_bash();
}

/* fish ----------------------------------------------------------------------------------------------------------------- */

static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('\'');
}

static void print_fish_command(const struct command *command, const char *help)
{
	struct help_option option;

	if (help_text_arguments(help) == HELP_NAMES)
		printf("complete -c nacre -n '__fish_seen_subcommand_from %s' -f -a '(__nacre_names)'\n", command->name);
	while (help_text_next(&help, &option)) {
		printf("complete -c nacre -n '__fish_seen_subcommand_from %s'", command->name);
		if (option.short_name)
			printf(" -s %c", option.short_name);
		if (*option.long_name)
			printf(" -l %s", option.long_name);
		if (help_text_is_choice(&option)) {
			for (char *byte = option.argument; *byte; byte++)
				if (*byte == '|')
					*byte = ' ';
			printf(" -x -a '%s'", option.argument);
		} else if (*option.argument) {
			printf(" -r");
		}
		printf(" -d ");
		print_quoted(option.description);
		putchar('\n');
	}
}

static int print_fish(void)
{
	printf("# nacre's completion for fish; made by nacre completion.\n"
	       "function __nacre_names\n"
	       "\tset -l base /run/nacre\n"
	       "\tif test (id -u) -ne 0; set base $XDG_RUNTIME_DIR/nacre; end\n"
	       "\tif set -q NACRE_RUNTIME_DIR; set base $NACRE_RUNTIME_DIR; end\n"
	       "\tfor path in $base/*/; basename $path; end\n"
	       "end\n");
	for (const struct command *command = commands; command->name; command++) {
		printf("complete -c nacre -n __fish_use_subcommand -f -a %s -d ", command->name);
		print_quoted(command->summary);
		putchar('\n');
	}
	return for_each_command(print_fish_command);
}

static const struct {
	const char *name;
	int (*print)(void);
} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

static int print_for(const char *shell)
{
	for (size_t i = 0; i < array_size(shells); i++) {
		int status;

		if (strcmp(shells[i].name, shell) != 0)
			continue;
		status = shells[i].print();
		if (status < 0 || fflush(stdout) != 0) {
			timeline_say("completion: %s", strerror(status < 0 ? -status : errno));
			return EXIT_FAULT;
		}
		return 0;
	}
	timeline_say("'%s' is not bash, zsh or fish (see nacre completion --help)", shell);
	return EXIT_FAULT;
}

int command_completion(int argc, const char *argv[])
{
	const struct poptOption table[] = {COMMAND_HELP, POPT_TABLEEND};
	struct command_line line;
	int status;

	if (!command_line_read(&line, argc, argv, table, "[OPTION...] bash|zsh|fish", 0, 1))
		status = line.status;
	else
		status = print_for(line.arguments && line.arguments[0] ? line.arguments[0] : "");
	command_line_free(&line);
	return status;
}
