/* What a run directory tells about its container, to commands which only look. */
#ifndef NACRE_RUNTIME_RECORD_H
#define NACRE_RUNTIME_RECORD_H

#include <jansson.h>
#include <stdint.h>

#include "runtime/run_directory.h"

enum record_state {
	RECORD_CREATING, /* its machine boots */
	RECORD_RUNNING,
	RECORD_EXITED,
	RECORD_DEAD, /* its monitor has died without a word */
};

struct record {
	struct run_directory directory;
	enum record_state state;
	json_t *config, *status; /* status.h has what is in them; objects, empty where a file can't be read */
	int64_t created, started, finished; /* moments, or 0 */
	int exit_code;			    /* where it has exited */
};

/* Reads that of `name`. 0, or -errno (ENOENT: there is no such container); record_close() in any case. */
int record_open(struct record *record, const char *name, struct error *error);
void record_close(struct record *record);

/* "running" and so on. */
const char *record_state_name(enum record_state state);

/* A text of config.json or status.json; "" where there is none. */
const char *record_text(const json_t *object, const char *key);

#endif
