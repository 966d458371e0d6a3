#include "net/drop.h"

#include "support/eal.h"

#include <string.h>

static struct rte_mbuf *packet_from_port(uint8_t port)
{
	struct rte_mbuf *m = mbuf_of("x", 1);

	pkt_of(m)->port_in = port;
	return m;
}

START_TEST(a_reason_has_the_name_of_its_constant)
{
	ck_assert_str_eq(drop_name(DROP_eth_type), "eth_type");
	ck_assert_str_eq(drop_name(DROP_in_tmpl_mismatch), "in_tmpl_mismatch");
	ck_assert_str_eq(drop_name(DROP_shutdown), "shutdown");
}
END_TEST

START_TEST(a_reason_has_the_name_that_linux_gives_it)
{
	ck_assert_str_eq(drop_xfrm_name(DROP_in_no_sa), "InNoStates");
	ck_assert_str_eq(drop_xfrm_name(DROP_in_tmpl_mismatch), "InTmplMismatch");
	ck_assert_str_eq(drop_xfrm_name(DROP_tx_full), "-");
}
END_TEST

START_TEST(every_reason_has_a_name_of_its_own_and_a_sentence)
{
	for (int i = 0; i < DROP_COUNT; i++) {
		ck_assert_uint_gt(strlen(drop_text((enum drop_reason)i)), 20);
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(drop_name((enum drop_reason)i), drop_name((enum drop_reason)j));
	}
}
END_TEST

START_TEST(a_drop_is_counted_by_port_and_reason_and_frees_the_packet)
{
	struct drops drops = {0};

	drop_one(&drops, packet_from_port(3), DROP_no_route);
	drop_one(&drops, packet_from_port(PKT_PORT_SELF), DROP_no_route);

	ck_assert_uint_eq(drops.total, 2);
	ck_assert_uint_eq(drops.count[3][DROP_no_route], 1);
	ck_assert_uint_eq(drops.count[PKT_PORT_SELF][DROP_no_route], 1);
	ck_assert_uint_eq(rte_mempool_in_use_count(eal_pool()), 0);
}
END_TEST

START_TEST(a_counted_packet_that_lives_on_is_not_freed)
{
	struct drops drops = {0};
	struct rte_mbuf *m = packet_from_port(1);

	drop_count_one(&drops, m, DROP_ttl_expired);

	ck_assert_uint_eq(drops.count[1][DROP_ttl_expired], 1);
	ck_assert_uint_eq(rte_mempool_in_use_count(eal_pool()), 1);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_dropped_burst_is_empty_and_counted_packet_by_packet)
{
	struct drops drops = {0};
	struct burst burst = {0};

	for (uint8_t i = 0; i < 10; i++)
		burst_add_one(&burst, packet_from_port(i % 2));
	drop_burst(&drops, &burst, DROP_shutdown);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(drops.total, 10);
	ck_assert_uint_eq(drops.count[0][DROP_shutdown], 5);
	ck_assert_uint_eq(drops.count[1][DROP_shutdown], 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net/drop");
	TCase *tcase = tcase_create("drop");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_test(tcase, a_reason_has_the_name_of_its_constant);
	tcase_add_test(tcase, a_reason_has_the_name_that_linux_gives_it);
	tcase_add_test(tcase, every_reason_has_a_name_of_its_own_and_a_sentence);
	tcase_add_test(tcase, a_drop_is_counted_by_port_and_reason_and_frees_the_packet);
	tcase_add_test(tcase, a_counted_packet_that_lives_on_is_not_freed);
	tcase_add_test(tcase, a_dropped_burst_is_empty_and_counted_packet_by_packet);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
