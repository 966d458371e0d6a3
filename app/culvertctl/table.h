/*
 * A table for a person: columns as wide as they need to be, numbers to the right.
 *
 * Called by culvertctl's commands. The caller owns the struct; cells are copied. On a terminal that is too
 * narrow the columns that may be cut are, and no other. Limits: a character is a byte.
 */
#ifndef CULVERT_CULVERTCTL_TABLE_H
#define CULVERT_CULVERTCTL_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define TABLE_COLUMNS_MAX 16
#define UNITS_TEXT_MAX    32

enum {
	TABLE_NUMBER = 1 << 0, /* to the right */
	TABLE_CUT = 1 << 1,    /* may be cut on a narrow terminal */
	TABLE_RARE = 1 << 2,   /* for those who fill the table: left out where no row has it */
};

struct table_column {
	const char *title;
	unsigned flags;
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	char **cells; /* row by row */
	size_t n_cells;
};

void table_init(struct table *table, const struct table_column *columns, size_t n_columns);
void table_fini(struct table *table);

/* The next cell, from left to right and from top to bottom. */
void table_add(struct table *table, const char *text);

/* Print the titles and the rows, of which there may be none. */
void table_print(const struct table *table);

/* How many columns the terminal has; 0 where standard output is none. */
size_t terminal_columns(void);

/* `1.5 GiB`, `3 d 4 h`. Return buf. */
const char *units_bytes(uint64_t bytes, char buf[UNITS_TEXT_MAX]);
const char *units_seconds(uint64_t seconds, char buf[UNITS_TEXT_MAX]);

#endif
