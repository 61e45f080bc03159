/* Variables, one by one or by the file. */
#include "runtime/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

#define VARIABLES_MOST 10000
#define LINE_MOST (1u << 20)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static int put(struct environment *environment, char *entry, struct error *error)
{
	size_t name = strcspn(entry, "=") + 1;
	char **list;

	for (size_t i = 0; i < environment->count; i++)
		if (strncmp(environment->list[i], entry, name) == 0) {
			free(environment->list[i]);
			environment->list[i] = entry;
			return 0;
		}
	list = realloc(environment->list, (environment->count + 2) * sizeof(*list));
	if (!list || environment->count == VARIABLES_MOST) {
		free(entry);
		environment->list = list ? list : environment->list;
		return error_set(error, ENOMEM, "more variables than can be");
	}
	environment->list = list;
	list[environment->count++] = entry;
	list[environment->count] = NULL;
	return 0;
}

int environment_add(struct environment *environment, const char *text, struct error *error)
{
	const char *value = strchr(text, '=') ? "" : getenv(text);
	char *entry;

	if (*text == '\0' || *text == '=')
		return error_set(error, EINVAL, "'%.80s' has no name", text);
	if (!value)
		return 0;
	if (asprintf(&entry, "%s%s%s", text, strchr(text, '=') ? "" : "=", value) < 0)
		return error_errno(error, ENOMEM, "variables");
	return put(environment, entry, error);
}

static int add_line(struct environment *environment, const char *line, struct error *error)
{
	while (isspace((unsigned char)*line))
		line++;
	if (*line == '\0' || *line == '#')
		return 0;
	for (const char *byte = line; *byte && *byte != '='; byte++)
		if (isspace((unsigned char)*byte))
			return error_set(error, EINVAL, "the name '%.*s' has a blank in it", (int)strcspn(line, "="), line);
	return environment_add(environment, line, error);
}

static void close_stream(FILE **stream)
{
	if (*stream)
		fclose(*stream);
}

int environment_add_file(struct environment *environment, const char *path, struct error *error)
{
	__attribute__((cleanup(close_stream))) FILE *stream = fopen(path, "re");
	cleanup_free char *line = NULL;
	unsigned number = 0;
	size_t size = 0;
	ssize_t length;
	int status = 0;

	if (!stream)
		return error_errno(error, errno, "--env-file %s", path);
	while (status == 0 && (length = getline(&line, &size, stream)) >= 0) {
		const char *text = line;

		if (length > 0 && line[length - 1] == '\n')
			line[--length] = '\0';
		if (++number == 1 && strncmp(text, BYTE_ORDER_MARK, 3) == 0)
			text += 3;
		if (strlen(line) != (size_t)length || length > LINE_MOST)
			status = error_set(error, EINVAL, "no line of text");
		else
			status = add_line(environment, text, error);
	}
	if (status < 0)
		return error_wrap(error, "--env-file %s, line %u", path, number);
	return ferror(stream) ? error_errno(error, errno, "--env-file %s", path) : 0;
}

void environment_free(struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		free(environment->list[i]);
	free(environment->list);
	*environment = (struct environment){0};
}
