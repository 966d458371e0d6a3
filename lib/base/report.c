#include "base/report.h"
#include "base/array.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_init(struct report *report)
{
	*report = (struct report){0};
}

void report_fini(struct report *report)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		free(report->findings[i].path);
		free(report->findings[i].text);
	}
	free(report->findings);
	report_init(report);
}

static void report_add_list(struct report *report, unsigned line, unsigned column, const char *path,
	const char *format, va_list args)
{
	struct finding *finding;
	char *text;

	if (report->n_findings == REPORT_FINDINGS_MAX) {
		report->n_more++;
		return;
	}
	if (vasprintf(&text, format, args) < 0)
		abort();
	finding = array_append(&report->findings, &report->n_findings);
	*finding = (struct finding){.path = xstrdup(path), .text = text, .line = line, .column = column};
}

void report_add(struct report *report, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_add_list(report, 0, 0, path, format, args);
	va_end(args);
}

void report_add_at(
	struct report *report, unsigned line, unsigned column, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_add_list(report, line, column, path, format, args);
	va_end(args);
}

/* An insertion sort keeps the order of equals, and findings are few. */
void report_sort(struct report *report)
{
	for (size_t i = 1; i < report->n_findings; i++) {
		struct finding moved = report->findings[i];
		size_t at = i;

		for (; at > 0; at--) {
			const struct finding *before = &report->findings[at - 1];

			if (before->line < moved.line ||
				(before->line == moved.line && before->column <= moved.column))
				break;
			report->findings[at] = *before;
		}
		report->findings[at] = moved;
	}
}
