/* JSON, by jansson. */
#include "runtime/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
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
static void set_text(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, json_string(text));
}

static void set_texts(json_t *object, const char *key, const char *const *list)
{
	json_t *array = json_array();

	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	json_object_set_new(object, key, array);
}

/* Wherever it is read, it means the same. What is no path stays as it was given. */
static void set_path(json_t *object, const char *key, const char *path)
{
	cleanup_free char *whole = realpath(path, NULL);

	set_text(object, key, whole ? whole : path);
}

static void set_volumes(json_t *object, const struct volumes *volumes)
{
	json_t *array = json_array();

	for (size_t i = 0; i < volumes->count; i++) {
		json_t *volume = json_pack("{s:b}", "readOnly", volumes->list[i].read_only);

		set_path(volume, "source", volumes->list[i].source);
		set_text(volume, "destination", volumes->list[i].destination);
		json_array_append_new(array, volume);
	}
	json_object_set_new(object, "volumes", array);
}

static void set_published(json_t *object, const struct run_options *options)
{
	static const char *const networks[] = {"none", "published", "user"};
	json_t *array = json_array();

	for (size_t i = 0; i < options->published_count; i++) {
		const struct publish *publish = &options->published[i];

		json_array_append_new(array, json_pack("{s:s, s:i, s:i, s:s}", "address", publish->address, "hostPort",
						       (int)publish->host, "port", (int)publish->guest, "protocol",
						       publish->udp ? "udp" : "tcp"));
	}
	json_object_set_new(object, "published", array);
	set_text(object, "network", networks[options->network]);
}

int status_write_config(const struct run_directory *directory, const struct run_options *options,
			const char *const *command, const struct locations *locations, struct error *error)
{
	json_t *object = json_pack("{s:b, s:b, s:b, s:b, s:b, s:I, s:i}", "detached",
				   options->detached, "remove", options->remove, "interactive", options->interactive, "terminal",
				   options->terminal, "readOnly", options->read_only, "memory",
				   (json_int_t)options->memory, "cpus", (int)options->cpus);

	set_text(object, "name", directory->name);
	set_path(object, "root", options->root);
	set_texts(object, "command", command);
	set_volumes(object, &options->volumes);
	set_published(object, options);
	set_text(object, "workdir", options->directory);
	set_text(object, "user", options->user);
	set_text(object, "machine", options->machine->name);
	set_text(object, "kernel", locations->kernel);
	set_text(object, "image", locations->image);
	return write_json(directory, STATUS_CONFIG_FILE, object, error);
}

static void set_moment(json_t *object, const char *key, int64_t moment)
{
	char text[MOMENT_SIZE];

	moment_format(moment, text);
	if (*text)
		set_text(object, key, text);
}

int status_write(const struct run_directory *directory, const struct status *status, struct error *error)
{
	json_t *object = json_pack("{s:s, s:s, s:i}", "name", directory->name, "state", status->state, "pid",
				   (int)getpid());
	char number[32];
	int result;

	set_moment(object, "created", status->created);
	set_moment(object, "started", status->started);
	set_moment(object, "finished", status->finished);
	if (status->finished)
		json_object_set_new(object, "exitCode", json_integer(status->exit_code));
	if (status->log_lost)
		json_object_set_new(object, "logLost", json_integer((json_int_t)status->log_lost));
	set_text(object, "error", status->error);
	result = write_json(directory, STATUS_FILE, object, error);
	snprintf(number, sizeof(number), "%d\n", (int)getpid());
	return result < 0 ? result : run_directory_write(directory, "monitor.pid", number, error);
}
