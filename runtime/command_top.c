/* nacre top: what containers use, again and again: on a terminal a picture that keys sort, and else a table each time. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/exit_status.h"
#include "runtime/inlet.h"
#include "runtime/printable.h"
#include "runtime/quantity.h"
#include "runtime/sampler.h"
#include "runtime/screen.h"
#include "runtime/signals.h"
#include "runtime/stdio.h"
#include "runtime/table.h"
#include "runtime/timeline.h"

#define INTERVAL_DEFAULT 2
#define INTERVAL_MOST 3600
#define ROUNDS_MOST 1000000000
#define LINE_SIZE 512
#define CONTROL_C 3
#define KEYS "keys: n, c, m, i, p: by name, CPU, memory, I/O, PIDs; r: the other way; q: quit"

static const struct order {
	const char *name;
	enum stats_column column;
	char key;
} orders[] = {
	{"cpu", STATS_CPU, 'c'}, {"memory", STATS_MEMORY, 'm'}, {"io", STATS_IO, 'i'},
	{"pids", STATS_PIDS, 'p'}, {"name", STATS_NAME, 'n'},
};

struct row {
	const char *name;
	double weight; /* the heaviest comes first */
	char cells[STATS_COLUMNS][STATS_CELL_SIZE];
};

struct top {
	struct loop loop;
	struct signals signals;
	struct inlet input;
	struct loop_timer timer;
	struct sampler sampler;
	struct screen screen;
	struct row *rows;
	const struct order *order;
	bool reversed;
	bool all;	  /* no names: whatever runs */
	bool full_screen; /* there is a terminal */
	bool shown;	  /* what the last round has brought */
	bool over;
	unsigned seconds;
	unsigned rounds, rounds_most; /* the most: 0 for no end */
	int status;		      /* the exit status, */
	struct error error;	      /* where this has no number */
};

/* Rows --------------------------------------------------------------------------------------------------------------- */

static double weigh(const struct sample *sample, enum stats_column column)
{
	const struct stats *now = &sample->now;

	switch (column) {
	case STATS_CPU:
		return stats_cpu_percent(&sample->before, now);
	case STATS_MEMORY:
		return (double)now->memory;
	case STATS_IO:
		return (double)now->read + (double)now->written;
	case STATS_PIDS:
		return (double)now->pids;
	default:
		return 0;
	}
}

static int compare(const void *first, const void *second)
{
	const struct row *one = first, *other = second;

	if (one->weight != other->weight)
		return one->weight < other->weight ? 1 : -1;
	return strcmp(one->name, other->name);
}

static void reverse(struct row *rows, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct row row = rows[i];

		rows[i] = rows[count - 1 - i];
		rows[count - 1 - i] = row;
	}
}

/* 0 or -ENOMEM. */
static int make_rows(struct top *top)
{
	const struct sampler *sampler = &top->sampler;
	struct row *rows = reallocarray(top->rows, sampler->count + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	top->rows = rows;
	for (size_t i = 0; i < sampler->count; i++) {
		const struct sample *sample = sampler->samples[i];

		rows[i].name = sample->target.container;
		rows[i].weight = weigh(sample, top->order->column);
		for (unsigned column = 0; column < STATS_COLUMNS; column++)
			stats_describe(column, &sample->before, &sample->now, rows[i].cells[column]);
	}
	qsort(rows, sampler->count, sizeof(*rows), compare);
	if (top->reversed)
		reverse(rows, sampler->count);
	return 0;
}

static const char *cell(const void *data, size_t row, unsigned column)
{
	const struct row *rows = data;

	return column == STATS_NAME ? rows[row].name : rows[row].cells[column];
}

/* Pictures ----------------------------------------------------------------------------------------------------------- */

static void draw_head(struct top *top)
{
	const struct sampler *sampler = &top->sampler;
	char line[LINE_SIZE], memory[QUANTITY_SIZE];
	const char *trouble = "";
	uint64_t used = 0;
	double cpu = 0;

	for (size_t i = 0; i < sampler->count; i++) {
		const struct sample *sample = sampler->samples[i];

		cpu += stats_cpu_percent(&sample->before, &sample->now);
		used += sample->now.memory;
		if (sample->error.number)
			trouble = sample->error.text;
	}
	quantity_format_bytes(used, memory);
	snprintf(line, sizeof(line), "nacre top: %zu container%s, CPU %.2f%%, memory %s, by %s%s", sampler->count,
		 sampler->count == 1 ? "" : "s", cpu, memory, top->order->name, top->reversed ? ", reversed" : "");
	screen_line(&top->screen, line, false);
	screen_line(&top->screen, KEYS, false);
	/* The guest's words may be in it. */
	snprintf(line, sizeof(line), "%s", trouble);
	for (char *byte = line; *byte; byte++)
		*byte = printable(*byte);
	screen_line(&top->screen, line, false);
}

static int draw(struct top *top, const struct table *table)
{
	char line[LINE_SIZE];
	size_t shown;

	screen_begin(&top->screen);
	draw_head(top);
	table_line(table, TABLE_TITLES, line, sizeof(line));
	screen_line(&top->screen, line, true);
	shown = table->rows <= top->screen.left ? table->rows : top->screen.left > 0 ? top->screen.left - 1 : 0;
	for (size_t row = 0; row < shown; row++) {
		table_line(table, row, line, sizeof(line));
		screen_line(&top->screen, line, false);
	}
	if (shown < table->rows) {
		snprintf(line, sizeof(line), "and %zu more", table->rows - shown);
		screen_line(&top->screen, line, false);
	}
	return screen_show(&top->screen);
}

static void print(struct top *top, struct table *table)
{
	for (size_t i = 0; i < top->sampler.count; i++)
		if (top->sampler.samples[i]->error.number)
			timeline_say("%s", top->sampler.samples[i]->error.text);
	if (top->rounds > 2)
		putchar('\n');
	table_print(table);
	if (fflush(stdout) != 0)
		top->over = true;
}

static void show(struct top *top)
{
	struct table table = {.titles = stats_titles, .columns = STATS_COLUMNS, .cell = cell};

	top->shown = top->sampler.waiting == 0;
	/* A single look tells nothing of processors: it is drawn, as somebody is watching, but not printed. */
	if (!top->full_screen && top->rounds < 2)
		return;
	if (make_rows(top) < 0)
		return;
	table.data = top->rows;
	table.rows = top->sampler.count;
	table_measure(&table);
	if (!top->full_screen)
		print(top, &table);
	else if (draw(top, &table) < 0)
		top->over = true;
	if (top->rounds_most > 0 && top->rounds > top->rounds_most)
		top->over = true;
}

/* Events ------------------------------------------------------------------------------------------------------------- */

static void look(struct top *top)
{
	if (!top->shown)
		show(top);
	if (top->all && sampler_follow(&top->sampler, &top->error) < 0)
		top->over = true;
	sampler_ask(&top->sampler);
	top->rounds++;
	top->shown = false;
}

static void due(struct loop_timer *timer)
{
	struct top *top = container_of(timer, struct top, timer);

	loop_timer_set(&top->loop, &top->timer, top->seconds * LOOP_SECOND, due);
	look(top);
}

static void press(struct top *top, char key)
{
	if (key == 'q' || key == CONTROL_C)
		top->over = true;
	if (key == 'r')
		top->reversed = !top->reversed;
	for (size_t i = 0; i < array_size(orders); i++)
		if (orders[i].key == key)
			top->order = &orders[i];
}

static void typed(struct inlet *input, const void *bytes, size_t length)
{
	struct top *top = container_of(input, struct top, input);

	if (length == 0)
		top->over = true;
	for (size_t i = 0; i < length; i++)
		press(top, ((const char *)bytes)[i]);
	if (!top->over)
		show(top);
}

static void signalled(struct signals *signals, int number)
{
	struct top *top = container_of(signals, struct top, signals);

	if (number == SIGCONT && top->full_screen)
		screen_again(&top->screen);
	if (number == SIGCONT || number == SIGWINCH) {
		if (top->full_screen)
			show(top);
		return;
	}
	top->status = EXIT_BY_SIGNAL + number;
	top->over = true;
}

/* All of it ---------------------------------------------------------------------------------------------------------- */

static int run(struct top *top)
{
	int status = signals_open(&top->signals, &top->loop, signalled);

	if (status < 0)
		return error_errno(&top->error, -status, "event loop");
	top->full_screen = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	if (top->full_screen) {
		status = screen_open(&top->screen, &top->error);
		if (status < 0)
			return status;
		inlet_open(&top->input, &top->loop, STDIN_FILENO, typed);
		inlet_want(&top->input, true);
	}
	due(&top->timer);
	while (status == 0 && !top->over) {
		if (!top->shown && top->sampler.waiting == 0)
			show(top);
		else
			status = loop_step(&top->loop);
	}
	return status < 0 ? error_errno(&top->error, -status, "event loop") : -top->error.number;
}

static void close_all(struct top *top)
{
	if (top->full_screen) {
		inlet_close(&top->input);
		screen_close(&top->screen);
	}
	signals_close(&top->signals);
	loop_timer_clear(&top->loop, &top->timer);
	sampler_close(&top->sampler);
	loop_destroy(&top->loop);
	free(top->rows);
}

static int add_all(struct top *top, const char **names)
{
	int status = 0;

	top->all = !names || !names[0];
	if (top->all && top->sampler.directory)
		return error_set(&top->error, EINVAL, "--dir: the name of a container is missing");
	for (; !top->all && *names && status == 0; names++)
		status = sampler_add(&top->sampler, *names, &top->error);
	return status;
}

static int take_order(struct top *top, const char *name)
{
	for (size_t i = 0; i < array_size(orders); i++) {
		if (strcmp(orders[i].name, name) == 0) {
			top->order = &orders[i];
			return 0;
		}
	}
	return error_set(&top->error, EINVAL, "--sort: '%s' is not cpu, memory, io, pids or name", name);
}

static int take_options(struct top *top, const char *interval, const char *rounds, const char *sort)
{
	int status = 0;

	if (interval)
		status = quantity_parse_count("--interval", interval, 1, INTERVAL_MOST, &top->seconds, &top->error);
	if (status == 0 && rounds)
		status = quantity_parse_count("--iterations", rounds, 1, ROUNDS_MOST, &top->rounds_most, &top->error);
	if (status == 0 && sort)
		status = take_order(top, sort);
	return status;
}

int command_top(int argc, const char *argv[])
{
	char *directory = NULL, *interval = NULL, *rounds = NULL, *sort = NULL;
	const struct poptOption table[] = {
		{"interval", 0, POPT_ARG_STRING, &interval, 0, "from one look to the next (default: 2)", "SECONDS"},
		{"iterations", 'n', POPT_ARG_STRING, &rounds, 0, "end after so many pictures", "N"},
		{"sort", 0, POPT_ARG_STRING, &sort, 0, "by what (default: cpu)", "cpu|memory|io|pids|name"},
		TARGET_OPTION(&directory),
		COMMAND_HELP,
		POPT_TABLEEND,
	};
	struct top top = {
		.seconds = INTERVAL_DEFAULT, .order = &orders[0], .shown = true, .screen.terminal.fd = -1};
	struct command_line line;
	int status;

	if (command_line_read(&line, argc, argv, table, "[OPTION...] [NAME...]", 0, COMMAND_ANY)) {
		stdio_fill_descriptors();
		top.sampler.directory = directory;
		top.sampler.loop = &top.loop;
		status = loop_init(&top.loop);
		if (status < 0)
			error_errno(&top.error, -status, "event loop");
		else
			status = take_options(&top, interval, rounds, sort);
		if (status == 0)
			status = add_all(&top, line.arguments);
		if (status == 0)
			status = run(&top);
		close_all(&top);
		if (status < 0)
			timeline_say("%s", top.error.text);
		line.status = status == -EINVAL ? EXIT_FAULT : status < 0 ? COMMAND_FAILED : top.status;
	}
	free(directory);
	free(interval);
	free(rounds);
	free(sort);
	command_line_free(&line);
	return line.status;
}
