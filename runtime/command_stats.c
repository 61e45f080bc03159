/* nacre stats: what containers use, once. Two looks, as what a processor does is a matter of time. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/exit_status.h"
#include "runtime/quantity.h"
#include "runtime/sampler.h"
#include "runtime/table.h"
#include "runtime/timeline.h"

#define INTERVAL_MOST 3600

struct row {
	char cells[STATS_COLUMNS][STATS_CELL_SIZE];
	const char *name;
};

static void elapsed(struct loop_timer *timer)
{
	(void)timer;
}

/* Asks all, and waits for the answers. */
static int look(struct sampler *sampler)
{
	int status = 0;

	sampler_ask(sampler);
	while (status == 0 && sampler->waiting > 0)
		status = loop_step(sampler->loop);
	return status;
}

static int look_twice(struct sampler *sampler, unsigned seconds)
{
	struct loop_timer pause = {0};
	int status = look(sampler);

	if (status < 0 || sampler->count == 0)
		return status;
	loop_timer_set(sampler->loop, &pause, seconds * LOOP_SECOND, elapsed);
	while (status == 0 && pause.deadline != 0)
		status = loop_step(sampler->loop);
	loop_timer_clear(sampler->loop, &pause);
	return status < 0 ? status : look(sampler);
}

static const char *cell(const void *data, size_t row, unsigned column)
{
	const struct row *rows = data;

	return column == STATS_NAME ? rows[row].name : rows[row].cells[column];
}

static int print_table(const struct sampler *sampler)
{
	struct row *rows = calloc(sampler->count + 1, sizeof(*rows));
	struct table table = {
		.titles = stats_titles, .columns = STATS_COLUMNS, .rows = sampler->count, .cell = cell, .data = rows};

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < sampler->count; i++) {
		const struct sample *sample = sampler->samples[i];

		rows[i].name = sample->target.container;
		for (unsigned column = 0; column < STATS_COLUMNS; column++)
			stats_describe(column, &sample->before, &sample->now, rows[i].cells[column]);
	}
	table_print(&table);
	free(rows);
	return 0;
}

static json_t *number(uint64_t value)
{
	return json_integer(value <= INT64_MAX ? (json_int_t)value : INT64_MAX);
}

/* An object a line; of one that has failed there is only the name. */
static void print_json(const struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->count; i++) {
		const struct sample *sample = sampler->samples[i];
		const struct stats *stats = &sample->now;
		json_t *object = json_pack("{s:s}", "name", sample->target.container);

		if (stats->time > 0)
			json_object_update_new(
				object, json_pack("{s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cpuPercent",
						  stats_cpu_percent(&sample->before, stats), "cpuNanoseconds",
						  number(stats->cpu), "memory", number(stats->memory), "memoryLimit",
						  number(stats->memory_limit), "pids", number(stats->pids), "pidsLimit",
						  number(stats->pids_limit), "blockRead", number(stats->read),
						  "blockWritten", number(stats->written)));
		json_dumpf(object, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(object);
	}
}

static int add_all(struct sampler *sampler, const struct command_line *line, int *status, struct error *error)
{
	if (!line->arguments || !line->arguments[0])
		return sampler->directory ? error_set(error, EINVAL, "--dir: the name of a container is missing")
					  : sampler_follow(sampler, error);
	for (const char **name = line->arguments; *name; name++) {
		if (sampler_add(sampler, *name, error) == 0)
			continue;
		timeline_say("%s", error->text);
		*status = COMMAND_FAILED;
	}
	return 0;
}

/* 0 or -errno; what one container alone has failed at is told, and in *status. */
static int show(struct sampler *sampler, unsigned interval, bool json, int *status, struct error *error)
{
	int result = look_twice(sampler, interval);

	for (size_t i = 0; i < sampler->count && result == 0; i++) {
		if (sampler->samples[i]->error.number == 0)
			continue;
		timeline_say("%s", sampler->samples[i]->error.text);
		*status = COMMAND_FAILED;
	}
	if (result == 0 && json)
		print_json(sampler);
	else if (result == 0)
		result = print_table(sampler);
	return result < 0 ? error_errno(error, -result, "statistics") : 0;
}

int command_stats(int argc, const char *argv[])
{
	char *directory = NULL, *format = NULL, *interval = NULL;
	const struct poptOption table[] = {
		{"interval", 0, POPT_ARG_STRING, &interval, 0, "between the two looks of CPU % (default: 1)", "SECONDS"},
		{"format", 0, POPT_ARG_STRING, &format, 0, "how (default: table)", "table|json"},
		TARGET_OPTION(&directory),
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct command_line line;
	struct error error;
	struct loop loop;
	struct sampler sampler = {.loop = &loop};
	unsigned seconds = 1;
	int status;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] [NAME...]", 0, COMMAND_ANY)) {
		sampler.directory = directory;
		status = loop_init(&loop);
		if (status < 0)
			error_errno(&error, -status, "event loop");
		else if (format && strcmp(format, "json") != 0 && strcmp(format, "table") != 0)
			status = error_set(&error, EINVAL, "--format: '%s' is not table or json", format);
		else if (interval)
			status = quantity_parse_count("--interval", interval, 1, INTERVAL_MOST, &seconds, &error);
		if (status == 0)
			status = add_all(&sampler, &line, &line.status, &error);
		if (status == 0 && (sampler.count > 0 || line.status == 0))
			status = show(&sampler, seconds, format && *format == 'j', &line.status, &error);
		if (status < 0)
			timeline_say("%s", error.text);
		if (status < 0)
			line.status = status == -EINVAL ? EXIT_FAULT : COMMAND_FAILED;
		sampler_close(&sampler);
		loop_destroy(&loop);
	}
	free(directory);
	free(format);
	free(interval);
	command_line_free(&line);
	return line.status;
}
