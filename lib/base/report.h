/*
 * A report collects findings about a configuration, so that an operator sees all of them at once.
 *
 * Called by control code. Each finding names the object by its path in the configuration, as
 * `sas.hq-out.replay_window` or `policies[2].sas[0]`; config/ knows where in the file that is.
 * The caller owns the struct: report_init, and report_fini to free the findings.
 * Limits: it keeps REPORT_FINDINGS_MAX findings and counts the rest.
 */
#ifndef CULVERT_BASE_REPORT_H
#define CULVERT_BASE_REPORT_H

#include <stddef.h>

/* More than anyone reads; a hostile file must not fill the memory with them. */
#define REPORT_FINDINGS_MAX 1000

struct finding {
	char *path;      /* the object's path, "" for the whole file; owned by the report */
	char *text;      /* what is wrong, and what was meant; owned by the report */
	unsigned line;   /* from 1; 0 while it isn't known */
	unsigned column; /* from 1 */
};

struct report {
	struct finding *findings;
	size_t n_findings;
	size_t n_more; /* findings past REPORT_FINDINGS_MAX, which are counted only */
};

void report_init(struct report *report);
void report_fini(struct report *report);

/* Add a finding. Memory that runs out ends the program: there is nothing left to report with. */
void report_add(struct report *report, const char *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void report_add_at(struct report *report, unsigned line, unsigned column, const char *path,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* How many findings were added, those that are not kept among them. */
static inline size_t report_total(const struct report *report)
{
	return report->n_findings + report->n_more;
}

/* Order the findings by line and column, as a compiler does; those of one place keep their order. */
void report_sort(struct report *report);

#endif
