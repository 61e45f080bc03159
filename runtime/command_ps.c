/* nacre ps: which containers there are. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/exit_status.h"
#include "runtime/moment.h"
#include "runtime/record.h"
#include "runtime/table.h"
#include "runtime/timeline.h"

#define CELL_SIZE 512
#define COMMAND_SHOWN 20 /* characters, quotes aside */

enum column { NAME, ROOTFS, COMMAND, CREATED, STATUS, COLUMNS };
static const char *const titles[COLUMNS] = {"NAME", "ROOTFS", "COMMAND", "CREATED", "STATUS"};

struct row {
	struct record record;
	char cells[COLUMNS][CELL_SIZE];
};

struct list {
	struct row *rows;
	size_t count;
	int all, quiet, whole; /* options */
	char *format;
};

/* Words of a command, with spaces between; what isn't printable must not reach the terminal. */
static void describe_command(const struct record *record, bool whole, char text[CELL_SIZE])
{
	const json_t *words = json_object_get(record->config, "command");
	size_t most = whole ? CELL_SIZE - 3 : COMMAND_SHOWN, length = 1, index;
	json_t *word;

	text[0] = '"';
	json_array_foreach(words, index, word) {
		const char *byte = json_string_value(word);

		if (index > 0 && length <= most)
			text[length++] = ' ';
		for (; byte && *byte && length <= most; byte++)
			text[length++] = (unsigned char)*byte < ' ' || *byte == 0x7f ? ' ' : *byte;
		if (byte && *byte) {
			/* Not in the middle of a character. */
			while (length > 1 && (text[length - 1] & 0xc0) == 0x80)
				length--;
			length -= length > 3 ? 3 : 0;
			memcpy(text + length, "...", 3);
			length += 3;
			break;
		}
	}
	text[length++] = '"';
	text[length] = '\0';
}

static void describe_status(const struct record *record, int64_t now, char text[CELL_SIZE])
{
	char span[MOMENT_SIZE];

	switch (record->state) {
	case RECORD_CREATING:
		snprintf(text, CELL_SIZE, "Starting");
		break;
	case RECORD_RUNNING:
		moment_describe(now - record->started, span);
		snprintf(text, CELL_SIZE, "Up %s", span);
		break;
	case RECORD_EXITED:
		moment_describe(now - record->finished, span);
		snprintf(text, CELL_SIZE, "Exited (%d) %s ago", record->exit_code, span);
		break;
	case RECORD_DEAD:
		snprintf(text, CELL_SIZE, "Dead");
		break;
	}
}

static void describe(struct row *row, bool whole)
{
	const struct record *record = &row->record;
	int64_t now = moment_now();
	char span[MOMENT_SIZE];

	snprintf(row->cells[NAME], CELL_SIZE, "%s", record->directory.name);
	snprintf(row->cells[ROOTFS], CELL_SIZE, "%s", record_text(record->config, "root"));
	describe_command(record, whole, row->cells[COMMAND]);
	moment_describe(now - record->created, span);
	snprintf(row->cells[CREATED], CELL_SIZE, "%s ago", span);
	describe_status(record, now, row->cells[STATUS]);
}

/* Reads them. One that goes away meanwhile isn't there. */
static int collect(struct list *list, struct error *error)
{
	char **names = run_directory_list(error);
	size_t count = 0;

	if (!names)
		return -error->number;
	while (names[count])
		count++;
	list->rows = calloc(count + 1, sizeof(*list->rows));
	for (char **name = names; *name && list->rows; name++) {
		struct row *row = &list->rows[list->count];
		int status = record_open(&row->record, *name, error);
		bool runs = row->record.state == RECORD_RUNNING || row->record.state == RECORD_CREATING;

		if (status == 0 && (runs || list->all)) {
			describe(row, list->whole);
			list->count++;
		} else {
			record_close(&row->record);
		}
	}
	run_directory_free_list(names);
	return list->rows ? 0 : error_errno(error, ENOMEM, "list of containers");
}

/* The latest first. */
static int compare(const void *first, const void *second)
{
	const struct row *one = first, *other = second;

	if (one->record.created != other->record.created)
		return one->record.created < other->record.created ? 1 : -1;
	return strcmp(one->record.directory.name, other->record.directory.name);
}

static const char *cell(const void *data, size_t row, unsigned column)
{
	const struct list *list = data;

	return list->rows[row].cells[column];
}

/* An object a line, as docker's. */
static void print_json(const struct list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct row *row = &list->rows[i];
		json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", row->cells[NAME], "state",
					   record_state_name(row->record.state), "status", row->cells[STATUS],
					   "created", record_text(row->record.status, "created"), "runningFor",
					   row->cells[CREATED]);

		json_object_set(object, "rootfs", json_object_get(row->record.config, "root"));
		json_object_set(object, "command", json_object_get(row->record.config, "command"));
		if (row->record.state == RECORD_EXITED)
			json_object_set_new(object, "exitCode", json_integer(row->record.exit_code));
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(object);
	}
}

static int list_all(struct list *list, struct error *error)
{
	struct table table = {.titles = titles, .columns = COLUMNS, .cell = cell, .data = list};
	int status;

	if (list->format && strcmp(list->format, "json") != 0 && strcmp(list->format, "table") != 0)
		return error_set(error, EINVAL, "--format: '%s' is not table or json", list->format);
	status = collect(list, error);
	if (status < 0)
		return status;
	qsort(list->rows, list->count, sizeof(*list->rows), compare);
	table.rows = list->count;
	if (list->quiet)
		for (size_t i = 0; i < list->count; i++)
			puts(list->rows[i].cells[NAME]);
	else if (list->format && strcmp(list->format, "json") == 0)
		print_json(list);
	else
		table_print(&table);
	return 0;
}

int command_ps(int argc, const char *argv[])
{
	struct list list = {0};
	const struct poptOption table[] = {
		{"all", 'a', POPT_ARG_NONE, &list.all, 0, "also those that have ended", NULL},
		{"quiet", 'q', POPT_ARG_NONE, &list.quiet, 0, "names only", NULL},
		{"no-trunc", 0, POPT_ARG_NONE, &list.whole, 0, "whole commands", NULL},
		{"format", 0, POPT_ARG_STRING, &list.format, 0, "how (default: table)", "table|json"},
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;
	struct error error;
	int status;

	if (command_line_read(&line, argc, argv, table, "[OPTION...]", 0, 0)) {
		status = list_all(&list, &error);
		if (status < 0)
			timeline_say("%s", error.text);
		if (status < 0)
			line.status = status == -EINVAL ? EXIT_FAULT : COMMAND_FAILED;
	}
	for (size_t i = 0; i < list.count; i++)
		record_close(&list.rows[i].record);
	free(list.rows);
	free(list.format);
	command_line_free(&line);
	return line.status;
}
