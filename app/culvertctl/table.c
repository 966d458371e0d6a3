#include "table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/array.h"

#define GAP           2
#define CUT_WIDTH_MIN 12
#define CUT_MARK      ".."

void table_init(struct table *table, const struct table_column *columns, size_t n_columns)
{
	*table = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_fini(struct table *table)
{
	names_free(table->cells, table->n_cells);
	table->cells = NULL;
	table->n_cells = 0;
}

void table_add(struct table *table, const char *text)
{
	*array_append(&table->cells, &table->n_cells) = xstrdup(text);
}

size_t terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
		return 0;
	return size.ws_col;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t total_of(const size_t *widths, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += widths[i] + GAP;
	return total - GAP;
}

/* Take from the widest column that may be cut until the row fits, or none is left. */
static void widths_fit(const struct table *table, size_t *widths, size_t room)
{
	while (room > 0 && total_of(widths, table->n_columns) > room) {
		size_t *widest = NULL;

		for (size_t i = 0; i < table->n_columns; i++)
			if ((table->columns[i].flags & TABLE_CUT) && widths[i] > CUT_WIDTH_MIN &&
				(!widest || widths[i] > *widest))
				widest = &widths[i];
		if (!widest)
			return;
		(*widest)--;
	}
}

static void cell_print(const struct table *table, size_t column, const char *text, size_t width)
{
	bool is_last = column + 1 == table->n_columns;
	size_t length = strlen(text);

	if (table->columns[column].flags & TABLE_NUMBER)
		printf("%*s", (int)width, text);
	else if (length > width)
		printf("%.*s" CUT_MARK, (int)(width - strlen(CUT_MARK)), text);
	else
		printf("%-*s", is_last ? 0 : (int)width, text);
	if (is_last)
		putchar('\n');
	else
		printf("%*s", GAP, "");
}

void table_print(const struct table *table)
{
	size_t widths[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = strlen(table->columns[i].title);
	for (size_t i = 0; i < table->n_cells; i++)
		widths[i % table->n_columns] = larger(widths[i % table->n_columns], strlen(table->cells[i]));
	widths_fit(table, widths, terminal_columns());
	for (size_t i = 0; i < table->n_columns; i++)
		cell_print(table, i, table->columns[i].title, widths[i]);
	for (size_t i = 0; i < table->n_cells; i++)
		cell_print(table, i % table->n_columns, table->cells[i], widths[i % table->n_columns]);
}

const char *units_bytes(uint64_t bytes, char buf[UNITS_TEXT_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	size_t i = 0;

	for (; value >= 1024 && i + 1 < sizeof(units) / sizeof(units[0]); i++)
		value /= 1024;
	snprintf(buf, UNITS_TEXT_MAX, i == 0 ? "%.0f %s" : "%.1f %s", value, units[i]);
	return buf;
}

const char *units_seconds(uint64_t seconds, char buf[UNITS_TEXT_MAX])
{
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(buf, UNITS_TEXT_MAX, "%llu s", s);
	else if (s < 3600)
		snprintf(buf, UNITS_TEXT_MAX, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, UNITS_TEXT_MAX, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(buf, UNITS_TEXT_MAX, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return buf;
}
