/* One program, two roles: what starts it is the supervisor, and what that starts is the agent. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/agent.h"
#include "init/early.h"
#include "init/program.h"
#include "init/supervise.h"
#include "lib/supervision.h"
#include "lib/version.h"

static const char usage[] =
	"Usage: nacre-agent --listen unix://PATH\n"
	"       nacre-agent --guest\n"
	"       nacre-agent --config FILE\n"
	"\n"
	"Serves the Kata Containers agent protocol: makes containers on this machine, and runs them.\n"
	"\n"
	"  --listen ADDRESS  where calls arrive: unix://PATH, with the streams at PATH.streams\n"
	"                    (or the environment's KATA_AGENT_SERVER_ADDR)\n"
	"  --guest           in a virtual machine that has another PID 1: takes agent.* parameters from the kernel's\n"
	"                    command line, and listens where they say (vsock://-1:1024); implied where the program is\n"
	"                    called kata-agent\n"
	"  -c, --config FILE a configuration file of the Kata agent, in the place of the kernel's command line\n"
	"  --version         print the version\n"
	"  --help            print this\n"
	"\n"
	"As PID 1 of a virtual machine it takes no options, but agent.* and nacre.* parameters of the kernel.\n"
	"SIGTERM and SIGINT stop it: containers get SIGTERM, and SIGKILL after $NACRE_STOP_TIMEOUT seconds (10).\n";

static int supervisor_main(int argc, char **argv)
{
	static char name[] = "nacre-agent", other[] = "kata-agent";
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *called = slash ? slash + 1 : argc > 0 ? argv[0] : name;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return fputs(usage, stdout) < 0;
		if (strcmp(argv[i], "--version") == 0)
			return puts("kata-agent version " NACRE_VERSION " (api version: " NACRE_API_VERSION ", type: nacre)") < 0;
	}
	if (argc > 0)
		argv[0] = strcmp(called, other) == 0 ? other : name;
	return supervise_here(argv);
}

int main(int argc, char **argv)
{
	const char *role = getenv(SUPERVISION_ROLE);

	/* First, as the environment of PID 1 comes from the kernel's command line. */
	if (early_in_guest()) {
		prctl(PR_SET_NAME, "nacre-init");
		supervise_guest();
	}
	if (!role || strcmp(role, "agent") != 0)
		return supervisor_main(argc, argv);
	prctl(PR_SET_NAME, "nacre-agent");
	unsetenv(SUPERVISION_ROLE);
	return agent_main(argc, argv);
}
