/* Blanks, line ends and backslashes inside of a field are three octal digits after a backslash. */
#include "lib/mount_table.h"

#include <stdlib.h>
#include <string.h>

static bool is_octal(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' && text[2] >= '0' && text[2] <= '7';
}

/* The next field, decoded where it is; "" behind the last one. */
static const char *take_field(char **rest)
{
	char *field = strsep(rest, " \n"), *to = field;

	if (!field)
		return "";
	for (const char *from = field; *from; from++) {
		if (*from == '\\' && is_octal(from + 1)) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return field;
}

bool mount_table_open(struct mount_table *table, const char *file)
{
	*table = (struct mount_table){.file = fopen(file, "re")};
	return table->file;
}

bool mount_table_next(struct mount_table *table)
{
	char *rest;

	if (!table->file || getline(&table->line, &table->room, table->file) <= 0)
		return false;
	rest = table->line;
	table->source = take_field(&rest);
	table->path = take_field(&rest);
	table->type = take_field(&rest);
	table->options = take_field(&rest);
	return true;
}

void mount_table_close(struct mount_table *table)
{
	if (table->file)
		fclose(table->file);
	free(table->line);
	*table = (struct mount_table){0};
}
