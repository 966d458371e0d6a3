#include "host_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"

static const char *const names[HOST_STATES] = {
	[HOST_OK] = "ok",
	[HOST_ADVICE] = "advice",
	[HOST_LACKS] = "lacks",
	[HOST_UNKNOWN] = "unknown",
};

const char *host_state_name(enum host_state state)
{
	return names[state];
}

struct host_finding *host_report_add(
	struct host_report *report, const char *check, enum host_state state, const char *format, ...)
{
	struct host_finding *finding = array_append(&report->findings, &report->n_findings);
	va_list args;

	finding->check = check;
	finding->state = state;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	return finding;
}

void host_report_cure(struct host_finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->cure, sizeof(finding->cure), format, args);
	va_end(args);
}

void host_report_fini(struct host_report *report)
{
	free(report->findings);
	*report = (struct host_report){.findings = NULL};
}
