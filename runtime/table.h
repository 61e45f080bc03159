/* Tables on a terminal: columns as wide as their widest cell, each with its title above. */
#ifndef NACRE_RUNTIME_TABLE_H
#define NACRE_RUNTIME_TABLE_H

#include <stddef.h>

#define TABLE_COLUMNS_MOST 12
#define TABLE_TITLES SIZE_MAX /* the row of the titles */

struct table {
	const char *const *titles;
	unsigned columns;
	size_t rows;
	/* The text of a cell, which is fit for a terminal. */
	const char *(*cell)(const void *data, size_t row, unsigned column);
	const void *data;
	int widths[TABLE_COLUMNS_MOST]; /* by table_measure() */
};

/* Finds how wide the columns are. */
void table_measure(struct table *table);

/* Writes a row, without a newline, cut to `size` - 1 bytes. */
void table_line(const struct table *table, size_t row, char *line, size_t size);

/* Measures it, and prints all of it. */
void table_print(struct table *table);

#endif
