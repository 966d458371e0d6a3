#include "datapath/stats.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

static struct worker workers[2];
static const struct worker *const pointers[] = {&workers[0], &workers[1]};
static struct control_counters control;

static void setup(void)
{
	memset(workers, 0, sizeof(workers));
	memset(&control, 0, sizeof(control));
}

static void count_drops(struct drops *drops, uint8_t port, enum drop_reason reason, uint64_t n)
{
	drops->total += n;
	drops->count[port][reason] += n;
}

START_TEST(counters_of_all_workers_and_of_control_are_summed)
{
	struct stats stats;

	workers[0].counters.rx_packets[0] = 10;
	workers[1].counters.rx_packets[0] = 5;
	workers[1].counters.rx_packets[1] = 7;
	workers[0].tx.ports[1].packets = 12;
	count_drops(&workers[0].drops, 0, DROP_in_icv, 3);
	count_drops(&workers[1].drops, 1, DROP_in_icv, 2);
	count_drops(&control.drops, 1, DROP_nd_bad, 1);
	workers[1].counters.generated = 1;
	workers[1].counters.answered = 1;
	control.generated = 2;
	control.consumed = 4;
	control.held = 2;
	stats_collect(pointers, 2, &control, 2, &stats);

	ck_assert_uint_eq(stats.rx_packets[0], 15);
	ck_assert_uint_eq(stats.rx_total, 22);
	ck_assert_uint_eq(stats.tx_total, 12);
	ck_assert_uint_eq(stats.drops[DROP_in_icv], 5);
	ck_assert_uint_eq(stats.port_drops[0], 3);
	ck_assert_uint_eq(stats.port_drops[1], 3);
	ck_assert_uint_eq(stats.generated, 3);
	ck_assert_uint_eq(stats.consumed, 5);
	ck_assert_uint_eq(stats.held, 2);
	ck_assert(stats_balanced(&stats));
}
END_TEST

START_TEST(a_packet_that_is_nowhere_unbalances_them)
{
	struct stats stats;

	workers[0].counters.rx_packets[0] = 1;
	stats_collect(pointers, 2, &control, 2, &stats);

	ck_assert(!stats_balanced(&stats));
}
END_TEST

START_TEST(the_table_names_what_happened_and_nothing_else)
{
	const char *const names[] = {"lan", "wan"};
	struct stats stats;
	size_t length;
	char *text;
	FILE *file = open_memstream(&text, &length);

	workers[0].counters.rx_packets[1] = 2;
	count_drops(&workers[0].drops, 1, DROP_in_replay, 2);
	stats_collect(pointers, 2, &control, 2, &stats);
	stats_print(file, &stats, names, NULL, 0);
	fclose(file);

	ck_assert_ptr_nonnull(strstr(text, "lan"));
	ck_assert_ptr_nonnull(strstr(text, "in_replay"));
	ck_assert_ptr_nonnull(strstr(text, drop_text(DROP_in_replay)));
	ck_assert_ptr_null(strstr(text, "in_icv"));
	ck_assert_ptr_nonnull(strstr(text,
		"total: received=2 generated=0 sent=0 dropped=2 consumed=0 held=0 to_host=0 from_host=0\n"));
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tcase = tcase_create("stats");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, counters_of_all_workers_and_of_control_are_summed);
	tcase_add_test(tcase, a_packet_that_is_nowhere_unbalances_them);
	tcase_add_test(tcase, the_table_names_what_happened_and_nothing_else);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
