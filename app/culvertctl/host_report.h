/*
 * What check-host found: for each thing it looked at a sentence, and the command that mends it.
 *
 * Filled by the checks in host_*.c, printed by check_host.c. The caller owns the struct: host_report_fini
 * frees the findings.
 */
#ifndef CULVERT_CULVERTCTL_HOST_REPORT_H
#define CULVERT_CULVERTCTL_HOST_REPORT_H

#include <stddef.h>

#define HOST_TEXT_MAX 1024

enum host_state {
	HOST_OK,
	HOST_ADVICE,  /* it works, and would be faster or steadier with this */
	HOST_LACKS,   /* a gateway with hardware ports won't run without */
	HOST_UNKNOWN, /* the machine does not tell */
	HOST_STATES,
};

struct host_finding {
	const char *check; /* a static name */
	enum host_state state;
	char text[HOST_TEXT_MAX];
	char cure[HOST_TEXT_MAX]; /* a command, or what to do where no command does; "" if nothing is to do */
};

struct host_report {
	struct host_finding *findings;
	size_t n_findings;
};

/* Add a finding; its cure, which host_report_cure sets, is empty. */
struct host_finding *host_report_add(struct host_report *report, const char *check, enum host_state state,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
void host_report_cure(struct host_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void host_report_fini(struct host_report *report);

/* `ok`, `advice`, `lacks`, `unknown`. */
const char *host_state_name(enum host_state state);

#endif
