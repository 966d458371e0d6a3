#include "run.h"

#include "base/report.h"

START_TEST(a_finding_keeps_its_path_text_and_place)
{
	struct report report;

	report_init(&report);
	report_add(&report, "ports", "no port %d", 7);
	report_add_at(&report, 3, 9, "sas.x", "%s", "bad");
	ck_assert_uint_eq(report_total(&report), 2);
	ck_assert_str_eq(report.findings[0].path, "ports");
	ck_assert_str_eq(report.findings[0].text, "no port 7");
	ck_assert_uint_eq(report.findings[0].line, 0);
	ck_assert_uint_eq(report.findings[1].line, 3);
	ck_assert_uint_eq(report.findings[1].column, 9);
	report_fini(&report);
	ck_assert_uint_eq(report_total(&report), 0);
	ck_assert_ptr_null(report.findings);
}
END_TEST

START_TEST(findings_are_sorted_by_line_and_column_and_keep_their_order_else)
{
	static const char *const order[] = {"whole", "a", "b", "c", "d", "e"};
	struct report report;

	report_init(&report);
	report_add_at(&report, 9, 1, "", "e");
	report_add_at(&report, 2, 7, "", "b");
	report_add_at(&report, 2, 7, "", "c");
	report_add_at(&report, 2, 3, "", "a");
	report_add(&report, "", "whole");
	report_add_at(&report, 3, 1, "", "d");
	report_sort(&report);
	for (size_t i = 0; i < 6; i++)
		ck_assert_str_eq(report.findings[i].text, order[i]);
	report_fini(&report);
}
END_TEST

START_TEST(findings_past_the_limit_are_counted_and_not_kept)
{
	struct report report;

	report_init(&report);
	for (unsigned i = 0; i < REPORT_FINDINGS_MAX + 5; i++)
		report_add(&report, "", "%u", i);
	ck_assert_uint_eq(report.n_findings, REPORT_FINDINGS_MAX);
	ck_assert_uint_eq(report.n_more, 5);
	ck_assert_uint_eq(report_total(&report), REPORT_FINDINGS_MAX + 5);
	ck_assert_str_eq(report.findings[REPORT_FINDINGS_MAX - 1].text, "999");
	report_fini(&report);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base/report");
	TCase *tcase = tcase_create("report");

	tcase_add_test(tcase, a_finding_keeps_its_path_text_and_place);
	tcase_add_test(tcase, findings_are_sorted_by_line_and_column_and_keep_their_order_else);
	tcase_add_test(tcase, findings_past_the_limit_are_counted_and_not_kept);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
