/* process.json, by jansson. */
#include "runtime/process_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>

#include "lib/cleanup.h"
#include "lib/fd.h"
#include "runtime/spec.h"

#define FILE_LIMIT (4u << 20)

static json_t *texts_to_json(char *const *list, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(list[i]));
	return array;
}

static json_t *user_to_json(const Grpc__User *user)
{
	json_t *groups = json_array();

	for (size_t i = 0; i < user->n_additionalgids; i++)
		json_array_append_new(groups, json_integer(user->additionalgids[i]));
	return json_pack("{s:I, s:I, s:o}", "uid", (json_int_t)user->uid, "gid", (json_int_t)user->gid,
			 "additionalGids", groups);
}

int process_file_write(const struct run_directory *directory, const Grpc__Process *process, struct error *error)
{
	const Grpc__LinuxCapabilities *sets = process->capabilities;
	json_t *object = json_pack("{s:o, s:o, s:s, s:b, s:{s:o}}", "user", user_to_json(process->user), "env",
				   texts_to_json(process->env, process->n_env), "cwd", process->cwd, "noNewPrivileges",
				   process->nonewprivileges, "capabilities", "bounding",
				   texts_to_json(sets ? sets->bounding : NULL, sets ? sets->n_bounding : 0));
	cleanup_free char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;

	json_decref(object);
	if (!text)
		return error_errno(error, ENOMEM, PROCESS_FILE);
	return run_directory_write(directory, PROCESS_FILE, text, error);
}

/* The texts of an array, and NULL behind the last one. What is no text is left out. */
static char **texts_from_json(const json_t *array, size_t *count, struct arena *arena)
{
	char **list = arena_array(arena, json_array_size(array) + 1, sizeof(char *));

	*count = 0;
	for (size_t i = 0; list && i < json_array_size(array); i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (text)
			list[(*count)++] = arena_strdup(arena, text);
	}
	return list;
}

static Grpc__User *user_from_json(const json_t *object, struct arena *arena)
{
	Grpc__User *user = SPEC_NEW(arena, Grpc__User, grpc__user__init);
	const json_t *groups = json_object_get(object, "additionalGids");

	if (!user)
		return NULL;
	user->uid = (uint32_t)json_integer_value(json_object_get(object, "uid"));
	user->gid = (uint32_t)json_integer_value(json_object_get(object, "gid"));
	user->additionalgids = arena_array(arena, json_array_size(groups), sizeof(*user->additionalgids));
	if (!user->additionalgids)
		return user;
	for (size_t i = 0; i < json_array_size(groups); i++)
		user->additionalgids[user->n_additionalgids++] =
			(uint32_t)json_integer_value(json_array_get(groups, i));
	return user;
}

static Grpc__Process *process_from_json(const json_t *object, struct arena *arena)
{
	Grpc__Process *process = SPEC_NEW(arena, Grpc__Process, grpc__process__init);
	const json_t *bounding = json_object_get(json_object_get(object, "capabilities"), "bounding");
	const char *cwd = json_string_value(json_object_get(object, "cwd"));

	if (!process)
		return NULL;
	process->user = user_from_json(json_object_get(object, "user"), arena);
	process->env = texts_from_json(json_object_get(object, "env"), &process->n_env, arena);
	process->cwd = arena_strdup(arena, cwd ? cwd : "/");
	process->nonewprivileges = json_is_true(json_object_get(object, "noNewPrivileges"));
	process->capabilities = SPEC_NEW(arena, Grpc__LinuxCapabilities, grpc__linux_capabilities__init);
	if (process->capabilities)
		process->capabilities->bounding =
			texts_from_json(bounding, &process->capabilities->n_bounding, arena);
	return arena->exhausted ? NULL : process;
}

Grpc__Process *process_file_read(const struct run_directory *directory, struct arena *arena, struct error *error)
{
	cleanup_free char *text = malloc(FILE_LIMIT);
	Grpc__Process *process;
	json_error_t problem;
	json_t *object;

	if (!text) {
		error_errno(error, ENOMEM, PROCESS_FILE);
		return NULL;
	}
	if (fd_read_file(directory->fd, PROCESS_FILE, text, FILE_LIMIT, error) < 0)
		return NULL;
	object = json_loads(text, 0, &problem);
	if (!json_is_object(object)) {
		error_set(error, EINVAL, "%s/%s: %s", directory->path, PROCESS_FILE, problem.text);
		json_decref(object);
		return NULL;
	}
	process = process_from_json(object, arena);
	json_decref(object);
	if (!process)
		error_errno(error, ENOMEM, PROCESS_FILE);
	return process;
}
