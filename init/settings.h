/* What the supervisor wants to know from the kernel's command line. docs/design.md, "Parameters", lists all of them. */
#ifndef NACRE_INIT_SETTINGS_H
#define NACRE_INIT_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_DEVICE_SIZE 64
#define SETTINGS_MODULES_SIZE 512

struct settings {
	bool cgroup_v1;		     /* systemd.unified_cgroup_hierarchy=0, nacre.cgroup=v1 */
	bool no_v1;		     /* cgroup_no_v1=all, which is over both */
	bool exit_by_reboot;	     /* nacre.exit=reboot */
	bool rescue;		     /* nacre.rescue */
	char shell[SETTINGS_DEVICE_SIZE];    /* nacre.shell[=DEVICE]: "/dev/console"; empty: none */
	char modules[SETTINGS_MODULES_SIZE]; /* nacre.modules=A,B */
	uint64_t stop_timeout;	     /* nacre.stop_timeout=SECONDS, in nanoseconds */
};

/* The defaults. */
void settings_init(struct settings *settings);

/* Takes what a command line says. Of a parameter that is there twice the last one counts; a value that makes no sense is
 * logged and changes nothing. */
void settings_read(struct settings *settings, const char *command_line);

/* "12", as nacre.stop_timeout and NACRE_STOP_TIMEOUT have it: whole seconds, an hour at most. False, with a line in the
 * log, where it is something else. */
bool settings_set_stop_timeout(struct settings *settings, const char *seconds);

#endif
