#include "datapath/host.h"

#include <rte_cycles.h>

#include <check.h>

#include "support/eal.h"

START_TEST(a_limit_lets_a_burst_through_and_then_its_rate)
{
	struct host_limit limit = {0};
	uint64_t second = rte_get_tsc_hz();
	uint64_t now = 10 * second;
	unsigned taken = 0;

	while (host_limit_take(&limit, now))
		taken++;
	ck_assert_uint_eq(taken, HOST_ICMP_AT_ONCE);

	/* A second later, in steps of a millisecond: HOST_ICMP_PER_SECOND and no more. */
	for (unsigned ms = 1; ms <= 1000; ms++)
		while (host_limit_take(&limit, now + ms * (second / 1000)))
			taken++;
	ck_assert_uint_ge(taken, HOST_ICMP_AT_ONCE + HOST_ICMP_PER_SECOND * 99 / 100);
	ck_assert_uint_le(taken, HOST_ICMP_AT_ONCE + HOST_ICMP_PER_SECOND);
}
END_TEST

START_TEST(a_long_silence_earns_no_more_than_a_burst)
{
	struct host_limit limit = {0};
	uint64_t now = 10 * rte_get_tsc_hz();
	unsigned taken = 0;

	while (host_limit_take(&limit, now))
		;
	while (host_limit_take(&limit, now + 100 * rte_get_tsc_hz()))
		taken++;
	ck_assert_uint_eq(taken, HOST_ICMP_AT_ONCE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host");
	TCase *tcase = tcase_create("host");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_test(tcase, a_limit_lets_a_burst_through_and_then_its_rate);
	tcase_add_test(tcase, a_long_silence_earns_no_more_than_a_burst);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
