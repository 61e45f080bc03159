/* Reading what status.c writes. */
#include "runtime/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/status.h"

static json_t *load(const struct run_directory *directory, const char *name)
{
	cleanup_close int fd = openat(directory->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	json_t *object = fd < 0 ? NULL : json_loadfd(fd, 0, NULL);

	if (json_is_object(object))
		return object;
	json_decref(object);
	return json_object();
}

const char *record_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static enum record_state find_state(const struct record *record, bool alive)
{
	const char *state = record_text(record->status, "state");

	if (strcmp(state, STATUS_EXITED) == 0)
		return RECORD_EXITED;
	if (!alive)
		return RECORD_DEAD;
	return strcmp(state, STATUS_RUNNING) == 0 ? RECORD_RUNNING : RECORD_CREATING;
}

int record_open(struct record *record, const char *name, struct error *error)
{
	int status;
	bool alive;

	*record = (struct record){0};
	status = run_directory_open(&record->directory, name, error);
	if (status < 0)
		return status;
	/* In this order: what is dead writes no other status any more. */
	alive = run_directory_alive(&record->directory);
	record->config = load(&record->directory, STATUS_CONFIG_FILE);
	record->status = load(&record->directory, STATUS_FILE);
	record->state = find_state(record, alive);
	record->created = moment_parse(record_text(record->status, "created"));
	record->started = moment_parse(record_text(record->status, "started"));
	record->finished = moment_parse(record_text(record->status, "finished"));
	record->exit_code = (int)json_integer_value(json_object_get(record->status, "exitCode"));
	return 0;
}

void record_close(struct record *record)
{
	run_directory_close(&record->directory);
	json_decref(record->config);
	json_decref(record->status);
	record->config = record->status = NULL;
}

const char *record_state_name(enum record_state state)
{
	static const char *const names[] = {
		[RECORD_CREATING] = STATUS_CREATING,
		[RECORD_RUNNING] = STATUS_RUNNING,
		[RECORD_EXITED] = STATUS_EXITED,
		[RECORD_DEAD] = "dead",
	};

	return names[state];
}
