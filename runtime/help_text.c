/* Lines of help. An option's line is indented a little and starts with '-':
 *
 *	  -e, --env NAME[=VALUE]      set a variable
 *	      --kernel=FILE           the guest's kernel
 *	  -o FILE, --output FILE      the image
 *	  --kind {cpio,erofs}
 *	                              a choice
 */
#include "runtime/help_text.h"

#include <stdio.h>
#include <string.h>

#define INDENT_MOST 8 /* more is the rest of a description */

static void copy(char *to, size_t size, const char *from, size_t length)
{
	snprintf(to, size, "%.*s", (int)(length < size ? length : size - 1), from);
}

/* "{a,b}" is "a|b". */
static void take_argument(struct help_option *option, const char *text, size_t length)
{
	if (length >= 2 && *text == '{') {
		text++;
		length -= 2;
	}
	copy(option->argument, sizeof(option->argument), text, length);
	for (char *byte = option->argument; *byte; byte++)
		if (*byte == ',')
			*byte = '|';
}

/* One name with what follows it, up to a comma, two blanks or the end of the line: where that is. */
static const char *take_name(struct help_option *option, const char *line, const char *end)
{
	bool is_long = line[1] == '-';
	const char *name = line + (is_long ? 2 : 1), *after = name;

	while (after < end && *after != '=' && *after != ' ' && *after != ',')
		after++;
	if (is_long)
		copy(option->long_name, sizeof(option->long_name), name, (size_t)(after - name));
	else
		option->short_name = *name;
	if (after + 1 < end && (*after == '=' || *after == ' ') && after[1] != ' ') {
		const char *argument = after + 1;

		for (after = argument; after < end && *after != ' ' && (*after != ',' || *argument == '{'); after++)
			;
		take_argument(option, argument, (size_t)(after - argument));
	}
	return after;
}

static bool take_line(struct help_option *option, const char *line, const char *end)
{
	size_t indent = strspn(line, " ");

	if (indent < 2 || indent > INDENT_MOST || line[indent] != '-')
		return false;
	*option = (struct help_option){0};
	line = take_name(option, line + indent, end);
	if (line + 2 < end && line[0] == ',' && line[1] == ' ' && line[2] == '-')
		line = take_name(option, line + 2, end);
	while (line < end && *line == ' ')
		line++;
	copy(option->description, sizeof(option->description), line, (size_t)(end - line));
	return true;
}

bool help_text_next(const char **text, struct help_option *option)
{
	while (**text) {
		const char *line = *text, *end = strchrnul(line, '\n');

		*text = *end ? end + 1 : end;
		if (take_line(option, line, end))
			return true;
	}
	return false;
}

bool help_text_is_choice(const struct help_option *option)
{
	return strchr(option->argument, '|') && !strpbrk(option->argument, "[]:");
}

enum help_arguments help_text_arguments(const char *text)
{
	size_t length = strcspn(text, "\n");
	char usage[256];

	copy(usage, sizeof(usage), text, length);
	if (strstr(usage, " NAME:"))
		return HELP_NAMES_AND_PATHS;
	return strstr(usage, " NAME") || strstr(usage, " [NAME") ? HELP_NAMES : HELP_FILES;
}
