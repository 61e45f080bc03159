/* Small helpers of planning: cleaned paths, and copies into the arena. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/container/plan_parts.h"

void *plan_array(struct arena *arena, size_t count, size_t size, struct error *error)
{
	void *array = arena_array(arena, count > 0 ? count : 1, size);

	if (!array)
		error_set(error, ENOMEM, "the plan of the container has grown too large");
	return array;
}

char *plan_text(struct arena *arena, const char *text, struct error *error)
{
	char *copy = arena_strdup(arena, text);

	if (!copy)
		error_set(error, ENOMEM, "the plan of the container has grown too large");
	return copy;
}

const char *plan_path(struct arena *arena, const char *text, const char *what, struct error *error)
{
	const char *from = text;
	char *path, *to;

	if (*text != '/' || strlen(text) >= PATH_MAX) {
		error_set(error, EINVAL, "%s \"%.128s\" must be an absolute path shorter than %d bytes", what, text,
			  PATH_MAX);
		return NULL;
	}
	path = plan_array(arena, strlen(text) + 1, 1, error);
	if (!path)
		return NULL;
	to = path;
	while (*(from += strspn(from, "/"))) {
		size_t length = strcspn(from, "/");

		if (length == 2 && from[0] == '.' && from[1] == '.') {
			error_set(error, EINVAL, "%s \"%.128s\" must not contain \"..\"", what, text);
			return NULL;
		}
		if (length > 1 || *from != '.') {
			*to++ = '/';
			memcpy(to, from, length);
			to += length;
		}
		from += length;
	}
	if (to == path)
		*to++ = '/';
	return path;
}
