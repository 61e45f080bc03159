/* nacre inspect: everything about containers, as JSON. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/record.h"
#include "runtime/timeline.h"

/* Files of the run directory that others may want to open. */
static const struct {
	const char *key, *file;
} paths[] = {
	{"agent", "agent.sock"}, {"vsock", "vsock.sock"},   {"attach", "attach.sock"},
	{"qmp", "qmp.sock"},	 {"console", "console.log"}, {"output", "output.log"},
};

static void add_pid(json_t *pids, const struct record *record, const char *key, const char *file)
{
	char text[32];

	if (fd_read_file(record->directory.fd, file, text, sizeof(text), NULL) > 0)
		json_object_set_new(pids, key, json_integer(atoll(text)));
}

/* Pids of a machine that is gone are somebody else's. */
static json_t *describe_pids(const struct record *record)
{
	json_t *pids = json_object();

	if (record->state != RECORD_RUNNING && record->state != RECORD_CREATING)
		return pids;
	add_pid(pids, record, "monitor", "monitor.pid");
	add_pid(pids, record, "proxy", "proxy.pid");
	add_pid(pids, record, "vmm", "vmm.pid");
	return pids;
}

static json_t *describe_paths(const struct record *record)
{
	json_t *object = json_object();
	char path[RUN_FILE_SIZE];

	json_object_set_new(object, "directory", json_string(record->directory.path));
	for (size_t i = 0; i < array_size(paths); i++)
		if (faccessat(record->directory.fd, paths[i].file, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			json_object_set_new(object, paths[i].key,
					    json_string(run_directory_file(&record->directory, paths[i].file, path)));
	return object;
}

static json_t *describe(const struct record *record)
{
	static const char *const passed[] = {"created", "started", "finished", "exitCode", "error", "logLost"};
	json_t *object = json_object();

	json_object_set_new(object, "name", json_string(record->directory.name));
	json_object_set_new(object, "state", json_string(record_state_name(record->state)));
	for (size_t i = 0; i < array_size(passed); i++)
		if (json_object_get(record->status, passed[i]))
			json_object_set(object, passed[i], json_object_get(record->status, passed[i]));
	json_object_set_new(object, "pids", describe_pids(record));
	json_object_set_new(object, "paths", describe_paths(record));
	json_object_set(object, "config", record->config);
	return object;
}

static int inspect(const char *name, void *data, struct error *error)
{
	struct record record;
	int status = record_open(&record, name, error);

	if (status == 0)
		json_array_append_new(data, describe(&record));
	record_close(&record);
	return status;
}

int command_inspect(int argc, const char *argv[])
{
	static const struct poptOption table[] = {COMMAND_HELP, POPT_TABLEEND};
	struct command_line line;
	json_t *array = json_array();

	if (command_line_read(&line, argc, argv, table, "NAME...", 1, COMMAND_ANY)) {
		line.status = command_for_each(&line, inspect, array);
		if (json_dumpf(array, stdout, JSON_INDENT(2)) == 0)
			putchar('\n');
	}
	json_decref(array);
	command_line_free(&line);
	return line.status;
}
