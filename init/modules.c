/* modprobe(8), once a module. Parameters of modules it finds on the kernel's command line itself ("module.parameter=x"). */
#define LOG_SUBSYSTEM "init"
#include "init/modules.h"

#include <fcntl.h>
#include <string.h>

#include "lib/error.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/run_program.h"

static void load(char *name)
{
	char *arguments[] = {(char *)MODPROBE, (char *)"--", name, NULL};
	struct error error;

	if (run_program(arguments, MODPROBE_TIMEOUT, &error) < 0)
		log_warning("load the module %s: %s", name, error.text);
}

void modules_load(const char *names)
{
	char text[512], *rest = text, *name;

	/* Without modules in the kernel there is no such file. */
	fd_write_file(AT_FDCWD, "/proc/sys/kernel/modprobe", MODPROBE, NULL);
	strncpy(text, names, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	while ((name = strsep(&rest, ",")))
		if (*name)
			load(name);
}
