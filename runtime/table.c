/* Widths, lines. */
#include "runtime/table.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define GAP 3

static const char *text_of(const struct table *table, size_t row, unsigned column)
{
	return row == TABLE_TITLES ? table->titles[column] : table->cell(table->data, row, column);
}

void table_measure(struct table *table)
{
	for (unsigned i = 0; i < table->columns; i++) {
		table->widths[i] = (int)strlen(table->titles[i]);
		for (size_t row = 0; row < table->rows; row++) {
			int width = (int)strlen(table->cell(table->data, row, i));

			if (width > table->widths[i])
				table->widths[i] = width;
		}
	}
}

void table_line(const struct table *table, size_t row, char *line, size_t size)
{
	size_t used = 0;

	*line = '\0';
	for (unsigned i = 0; i < table->columns && used < size; i++)
		/* Nothing trails the last one. */
		used += (size_t)snprintf(line + used, size - used, "%-*s",
					 i + 1 < table->columns ? table->widths[i] + GAP : 0, text_of(table, row, i));
}

static void print_row(const struct table *table, size_t row)
{
	for (unsigned i = 0; i < table->columns - 1; i++)
		printf("%-*s", table->widths[i] + GAP, text_of(table, row, i));
	puts(text_of(table, row, table->columns - 1));
}

void table_print(struct table *table)
{
	table_measure(table);
	print_row(table, TABLE_TITLES);
	for (size_t row = 0; row < table->rows; row++)
		print_row(table, row);
}
