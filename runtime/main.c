/* nacre: the host command. Finds the command in the table, and runs it. */
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/version.h"
#include "runtime/command.h"
#include "runtime/exit_status.h"

const struct command commands[] = {
	{"run", "boot a VM and run a container in it", command_run},
	{"exec", "run a further command in a container", command_exec},
	{"cp", "copy files into or out of a running container", command_cp},
	{"ps", "list containers", command_ps},
	{"attach", "take a running container's terminal or streams", command_attach},
	{"logs", "show what a container has written", command_logs},
	{"wait", "wait for containers to end, and print their exit statuses", command_wait},
	{"kill", "send containers a signal", command_kill},
	{"stop", "ask containers to end, and then make them", command_stop},
	{"rm", "remove containers that have ended", command_rm},
	{"inspect", "show everything about containers, as JSON", command_inspect},
	{"stats", "show what containers use", command_stats},
	{"top", "show what containers use, again and again", command_top},
	{"metrics", "print figures of a container's VM, for Prometheus", command_metrics},
	{"console", "open a shell in a container's VM, beside the container", command_console},
	{"build-image", "make a guest image with files of your own", command_build_image},
	{"completion", "print what makes a shell complete all this", command_completion},
	{0},
};

static int help(FILE *file, int status)
{
	fputs("Usage: nacre COMMAND [OPTION...] [ARGUMENT...]\n"
	      "\n"
	      "Runs containers, each in a virtual machine of its own.\n"
	      "\n"
	      "Commands:\n",
	      file);
	for (size_t i = 0; commands[i].name; i++)
		fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "nacre COMMAND --help tells more; nacre --version tells the version.\n",
	      file);
	return status;
}

int main(int argc, const char *argv[])
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name)
		return help(stderr, EXIT_FAULT);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return help(stdout, 0);
	if (strcmp(name, "--version") == 0) {
		puts("nacre " NACRE_VERSION);
		return 0;
	}
	for (size_t i = 0; commands[i].name; i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "nacre: there is no command '%s' (see nacre --help)\n", name);
	return EXIT_FAULT;
}
