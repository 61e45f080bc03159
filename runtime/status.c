/* JSON, by jansson. */
#include "runtime/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int write_json(const struct run_directory *directory, const char *name, json_t *object, struct error *error)
{
	cleanup_free char *text = NULL, *line = NULL;

	if (object)
		text = json_dumps(object, JSON_INDENT(2));
	json_decref(object);
	if (!text || asprintf(&line, "%s\n", text) < 0) {
		line = NULL;
		return error_errno(error, ENOMEM, "%s", name);
	}
	return run_directory_write(directory, name, line, error);
}

/* What isn't UTF-8 has no JSON; it is left out. */
static json_t *strings(const char *const *list)
{
	json_t *array = json_array();

	for (; array && *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

int status_write_config(const struct run_directory *directory, const struct run_options *options,
			const struct locations *locations, struct error *error)
{
	json_t *object = json_pack("{s:s, s:s*, s:o, s:s*, s:s*, s:b, s:b, s:b, s:I, s:i, s:s*, s:s*}",
				   "name", directory->name, "root", options->root, "command", strings(options->command),
				   "workdir", options->directory, "user", options->user,
				   "interactive", options->interactive, "terminal", options->terminal,
				   "readOnly", options->read_only, "memory", (json_int_t)options->memory,
				   "cpus", (int)options->cpus, "kernel", locations->kernel, "image", locations->image);

	return write_json(directory, "config.json", object, error);
}

int status_write(const struct run_directory *directory, const char *state, int exit_code, struct error *error)
{
	json_t *object = json_pack("{s:s, s:s, s:i, s:I}", "name", directory->name, "state", state, "pid",
				   (int)getpid(), "time", (json_int_t)time(NULL));
	char number[32];
	int status;

	if (object && exit_code >= 0)
		json_object_set_new(object, "exitCode", json_integer(exit_code));
	status = write_json(directory, "status.json", object, error);
	snprintf(number, sizeof(number), "%d\n", (int)getpid());
	return status < 0 ? status : run_directory_write(directory, "nacre.pid", number, error);
}
