/* nacre-box: the agent's container code (agent/container/) behind the command line of an OCI runtime, without agent and VM, so
 * that tests written for such runtimes drive exactly that code. Not a runtime for production: it is in no image.
 *
 * Every container has a *monitor*, a process that outlives `create`: it made the container's process, waits in a mount namespace
 * of its own, starts the process when it is told to (box/monitor.h), and records its end. What there is to know of a container
 * is in the folder ROOT/ID: state.json, written by its monitor alone, a copy of config.json, the monitor's socket.
 *
 * Implements: OCI runtime-spec runtime.md; options as the command lines of runc and crun have them.
 */
#ifndef NACRE_BOX_BOX_H
#define NACRE_BOX_BOX_H

#include <popt.h>
#include <stdbool.h>

#include "lib/error.h"

#define BOX_FAILED 1
#define BOX_OCI_VERSION "1.2.0"

/* The options in front of the command. */
struct box_settings {
	const char *root; /* absolute, where the containers' folders are */
	const char *log;  /* a file that errors are appended to, besides stderr; or NULL */
	bool log_json;
};
extern struct box_settings box_settings;

struct box_command {
	const char *name, *summary;
	int (*run)(int argc, const char *argv[]);
};

int command_create(int argc, const char *argv[]);
int command_run(int argc, const char *argv[]);
int command_start(int argc, const char *argv[]);
int command_state(int argc, const char *argv[]);
int command_kill(int argc, const char *argv[]);
int command_delete(int argc, const char *argv[]);
int command_exec(int argc, const char *argv[]);
int command_list(int argc, const char *argv[]);
int command_ps(int argc, const char *argv[]);
int command_pause(int argc, const char *argv[]);
int command_resume(int argc, const char *argv[]);
int command_features(int argc, const char *argv[]);

/* Reads a command's options. `usage` as in --help: "[OPTION...] ID"; options end at the first argument. The arguments, at least
 * `least` of them, NULL at the end, which stay until box_line_free(); NULL where the process is to end with *status. */
const char **box_line_read(poptContext *context, int argc, const char *argv[], const struct poptOption *table,
			   const char *usage, unsigned least, int *status);

/* Says what has failed, on stderr and in the log, and returns BOX_FAILED. */
int box_fail(const struct error *error);
void box_warn(const char *text);

/* Writes a whole small file. 0 or -errno. */
int box_write_file(const char *path, const char *text, struct error *error);

/* A whole file as text, the caller's to free(). 0 or -errno. */
int box_read_file(const char *path, char **text, struct error *error);

#endif
