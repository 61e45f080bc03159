/* Environment variables from options. */
#include "runtime/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int environment_take(char ***list, size_t *count, const char *const *given, struct error *error)
{
	size_t length = 0;

	while (given && given[length])
		length++;
	*count = 0;
	*list = calloc(length + 1, sizeof(char *));
	if (!*list)
		return error_errno(error, ENOMEM, "options");
	for (size_t i = 0; i < length; i++) {
		const char *value = strchr(given[i], '=') ? "" : getenv(given[i]);
		char *entry;

		if (given[i][0] == '\0' || given[i][0] == '=')
			return error_set(error, EINVAL, "--env: '%s' has no name", given[i]);
		if (!value)
			continue;
		if (asprintf(&entry, "%s%s%s", given[i], strchr(given[i], '=') ? "" : "=", value) < 0)
			return error_errno(error, ENOMEM, "options");
		(*list)[(*count)++] = entry;
	}
	return 0;
}

void environment_free(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}
