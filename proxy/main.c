/* nacre-proxy: between the sockets of a VM's run directory and the VM. Exit status: 125 for bad usage and for what goes
 * wrong here, 126 and 127 for a VMM that can't be run or isn't found, otherwise the VMM's own (128 + signal where one
 * killed it).
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/version.h"
#include "proxy/keeper.h"

#define LOG_SUBSYSTEM "proxy"
#include "lib/log.h"

#define STATUS_FAULT 125
#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127

static int failure(const struct error *error, int status)
{
	fprintf(stderr, "nacre-proxy: %s\n", error->text);
	return status;
}

/* An error while the VMM was started is execve's. */
static int start_status(const struct options *options, const struct keeper *keeper, const struct error *error)
{
	if (!options->vmm || !keeper->vmm_due)
		return STATUS_FAULT;
	return error->number == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

static int serve(const struct options *options)
{
	static struct keeper keeper;
	struct error error = {0};
	int status;

	if (keeper_open(&keeper, options, &error) < 0)
		status = failure(&error, start_status(options, &keeper, &error));
	else
		status = keeper_run(&keeper);
	keeper_close(&keeper);
	return status;
}

int main(int argc, char *argv[])
{
	struct options options;
	struct error error = {0};
	int status = 0;

	if (options_parse(&options, argc, argv, &error) < 0)
		status = failure(&error, STATUS_FAULT);
	else if (options.help)
		fputs(options_help, stdout);
	else if (options.version)
		puts("nacre-proxy " NACRE_VERSION);
	log_open(STDERR_FILENO, LOG_TEXT, options.verbose ? LOG_DEBUG : LOG_WARNING, "nacre-proxy");
	if (status == 0 && !options.help && !options.version)
		status = serve(&options);
	options_free(&options);
	return status;
}
