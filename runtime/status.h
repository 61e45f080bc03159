/* What others can read about a VM: config.json (what was asked for) and status.json (how it stands). */
#ifndef NACRE_RUNTIME_STATUS_H
#define NACRE_RUNTIME_STATUS_H

#include "runtime/locate.h"
#include "runtime/run_directory.h"
#include "runtime/run_options.h"

/* config.json. 0 or -errno. */
int status_write_config(const struct run_directory *directory, const struct run_options *options,
			const struct locations *locations, struct error *error);

/* status.json: `state` is "creating" or "running"; and nacre.pid. 0 or -errno. */
int status_write(const struct run_directory *directory, const char *state, struct error *error);

#endif
