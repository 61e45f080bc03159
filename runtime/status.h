/* What others can read about a VM: config.json (what was asked for) and status.json (how it stands). */
#ifndef NACRE_RUNTIME_STATUS_H
#define NACRE_RUNTIME_STATUS_H

#include "runtime/locate.h"
#include "runtime/moment.h"
#include "runtime/run_directory.h"
#include "runtime/run_options.h"

#define STATUS_CREATING "creating"
#define STATUS_RUNNING "running"
#define STATUS_EXITED "exited"
#define STATUS_CONFIG_FILE "config.json"
#define STATUS_FILE "status.json"

struct status {
	const char *state;
	int64_t created, started, finished; /* moments; 0 while it hasn't happened */
	int exit_code;			    /* exited */
	const char *error;		    /* why it ended, where not by the container's exit; or NULL */
	uint64_t log_lost;		    /* bytes that output.log had no room for */
};

/* config.json; `command` is what is run, with the image's own part. 0 or -errno. */
int status_write_config(const struct run_directory *directory, const struct run_options *options,
			const char *const *command, const struct locations *locations, struct error *error);

/* status.json, and monitor.pid with our pid. 0 or -errno. */
int status_write(const struct run_directory *directory, const struct status *status, struct error *error);

#endif
