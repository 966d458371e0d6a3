#include "control/metrics_text.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

static const struct metrics_family packets = {
	"x_packets", METRICS_COUNTER, "packets", "Packets \\ of\nthe \"port\"."};
static const struct metrics_family about = {"x", METRICS_INFO, NULL, "What it is."};
static struct metrics_text text;

static void teardown(void)
{
	metrics_text_fini(&text);
}

static void ck_text(const char *expected)
{
	ck_assert_uint_eq(text.length, strlen(expected));
	ck_assert_int_eq(memcmp(text.bytes, expected, text.length), 0);
}

START_TEST(what_a_label_may_not_hold_is_escaped)
{
	text.format = METRICS_PROMETHEUS;
	text.family = &packets;
	metrics_text_put(&text, 1, {"port", "a\"b\\c\nd"}, {"none", NULL}, {"empty", ""});

	ck_text("x_packets_total{port=\"a\\\"b\\\\c\\nd\",empty=\"\"} 1\n");
}
END_TEST

START_TEST(each_format_has_its_own_head_of_a_family)
{
	text.format = METRICS_PROMETHEUS;
	metrics_text_family(&text, &packets);
	ck_text("# TYPE x_packets_total counter\n# HELP x_packets_total Packets \\\\ of\\nthe \"port\".\n");

	metrics_text_fini(&text);
	text.format = METRICS_OPENMETRICS;
	metrics_text_family(&text, &packets);
	ck_text("# TYPE x_packets counter\n# UNIT x_packets packets\n"
		"# HELP x_packets Packets \\\\ of\\nthe \\\"port\\\".\n");
}
END_TEST

START_TEST(information_is_a_gauge_to_prometheus)
{
	text.format = METRICS_PROMETHEUS;
	metrics_text_family(&text, &about);
	metrics_text_sample(&text, NULL, 0, 1);
	ck_text("# TYPE x_info gauge\n# HELP x_info What it is.\nx_info 1\n");

	metrics_text_fini(&text);
	text.format = METRICS_OPENMETRICS;
	metrics_text_family(&text, &about);
	metrics_text_sample(&text, NULL, 0, 1);
	ck_text("# TYPE x info\n# HELP x What it is.\nx_info 1\n");
}
END_TEST

START_TEST(only_openmetrics_has_an_end)
{
	text.format = METRICS_PROMETHEUS;
	metrics_text_end(&text);
	ck_assert_uint_eq(text.length, 0);
	text.format = METRICS_OPENMETRICS;
	metrics_text_end(&text);
	ck_text("# EOF\n");
}
END_TEST

START_TEST(numbers_are_whole_up_to_the_largest_and_seconds_have_thousandths)
{
	text.format = METRICS_PROMETHEUS;
	text.family = &packets;
	metrics_text_sample(&text, NULL, 0, UINT64_MAX);
	metrics_text_sample_ms(&text, NULL, 0, 12034);

	ck_text("x_packets_total 18446744073709551615\nx_packets_total 12.034\n");
}
END_TEST

/* However long it gets. */
START_TEST(it_grows)
{
	char *label = malloc(100001);

	memset(label, '"', 100000);
	label[100000] = '\0';
	text.format = METRICS_PROMETHEUS;
	text.family = &packets;
	for (unsigned i = 0; i < 10; i++)
		metrics_text_put(&text, i, {"x", label});
	free(label);

	ck_assert_uint_eq(text.length, 10 * (strlen("x_packets_total{x=\"\"} 0\n") + 200000));
	ck_assert_int_eq(memcmp(text.bytes + text.length - 5, "\"} 9\n", 5), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("metrics_text");
	TCase *tcase = tcase_create("all");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, what_a_label_may_not_hold_is_escaped);
	tcase_add_test(tcase, each_format_has_its_own_head_of_a_family);
	tcase_add_test(tcase, information_is_a_gauge_to_prometheus);
	tcase_add_test(tcase, only_openmetrics_has_an_end);
	tcase_add_test(tcase, numbers_are_whole_up_to_the_largest_and_seconds_have_thousandths);
	tcase_add_test(tcase, it_grows);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
