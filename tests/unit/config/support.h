/*
 * What the suites of config share: load a text, and see the report as the operator sees it.
 */
#ifndef CULVERT_TESTS_UNIT_CONFIG_SUPPORT_H
#define CULVERT_TESTS_UNIT_CONFIG_SUPPORT_H

#include "config/load.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The printed report, without the file's name in front of each line; the caller frees it. */
static inline char *report_text(const struct report *report)
{
	char *text = NULL, *at;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	config_report_print(out, "", report);
	fclose(out);
	/* Each line begins with the file's name, which is empty, and a colon. */
	for (at = text; *at; at = strchr(at, '\n') + 1)
		memmove(at, at + 1, strlen(at));
	return text;
}

/* Load text and return the printed report: "" if it is good. The caller owns both. */
static inline char *load_text(const char *text, struct gateway *gateway)
{
	struct report report;
	char *printed;
	int rc;

	report_init(&report);
	rc = config_load_text(text, strlen(text), "/nonexistent", gateway, &report);
	ck_assert_int_eq(rc, report.n_findings > 0 ? -EINVAL : 0);
	printed = report_text(&report);
	report_fini(&report);
	return printed;
}

static inline int suite_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
