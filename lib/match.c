/* From the first element with a '*' on, one folder after the other. */
#include "lib/match.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An element's text before and after its '*'. */
struct element {
	const char *before, *after;
	size_t before_length, after_length;
};

static bool fits(const struct element *element, const char *name)
{
	size_t length = strlen(name);

	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       length >= element->before_length + element->after_length &&
	       strncmp(name, element->before, element->before_length) == 0 &&
	       strncmp(name + length - element->after_length, element->after, element->after_length) == 0;
}

int match_each(const char *pattern, int (*found)(const char *path, void *data), void *data)
{
	const char *star = strchr(pattern, '*'), *start = star;
	struct element element;
	char path[PATH_MAX];
	struct dirent **entries;
	int count, result = 0;

	if (!star)
		return access(pattern, F_OK) == 0 ? found(pattern, data) : 0;
	while (start > pattern && start[-1] != '/')
		start--;
	element.before = start;
	element.before_length = (size_t)(star - start);
	element.after = star + 1;
	element.after_length = strcspn(star + 1, "/");
	snprintf(path, sizeof(path), "%.*s", (int)(start - pattern), pattern);
	count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (result == 0 && fits(&element, entries[i]->d_name) &&
		    snprintf(path, sizeof(path), "%.*s%s%s", (int)(start - pattern), pattern, entries[i]->d_name,
			     element.after + element.after_length) < (int)sizeof(path))
			result = match_each(path, found, data);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return result;
}
