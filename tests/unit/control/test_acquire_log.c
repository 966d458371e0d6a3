#include "control/acquire_log.h"

#include "base/clock.h"
#include "datapath/acquire.h"
#include "model/gateway.h"
#include "support/eal.h"
#include "support/packet.h"

#define N_POLICIES 300

static char name[] = "p";
static struct policy policies[N_POLICIES];
static struct acquire_table *table;
static struct acquire_log acquires;

static void setup(void)
{
	const struct gateway gateway = {.policies = policies, .n_policies = N_POLICIES};
	struct err err;

	eal_setup();
	for (size_t i = 0; i < N_POLICIES; i++)
		policies[i] = (struct policy){.name = name, .direction = POLICY_OUT};
	ck_assert_int_eq(acquire_table_create(N_POLICIES, SOCKET_ID_ANY, &table, &err), 0);
	acquire_log_init(&acquires, &gateway);
}

static void teardown(void)
{
	acquire_log_fini(&acquires);
	acquire_table_destroy(table);
	eal_teardown();
}

/* A packet of every policy. */
static void packets_come(uint64_t now_tsc)
{
	struct burst refused = {0};
	struct drops drops = {0};

	for (uint32_t policy = 0; policy < N_POLICIES; policy++) {
		struct burst burst = {.n = 1, .pkts = {packet_mbuf(&(struct packet_spec){0})}};

		pkt_of(burst.pkts[0])->policy = policy;
		acquire_burst(&burst, table, now_tsc, &refused, &drops);
	}
}

// SPD-10
START_TEST(a_second_has_no_more_than_so_many_lines_and_the_rest_is_counted)
{
	uint64_t now_ns = 5 * CLOCK_NS_PER_S;

	packets_come(1);
	ck_assert_uint_eq(acquire_log_poll(&acquires, table, now_ns), ACQUIRE_LOG_PER_S);
	ck_assert_uint_eq(acquires.unlogged, N_POLICIES - ACQUIRE_LOG_PER_S);

	packets_come(UINT64_MAX / 2);
	ck_assert_uint_eq(acquire_log_poll(&acquires, table, now_ns + CLOCK_NS_PER_S - 1), 0);
	ck_assert_uint_eq(acquires.unlogged, 2 * N_POLICIES - ACQUIRE_LOG_PER_S);
	ck_assert_uint_eq(acquire_log_poll(&acquires, table, now_ns + CLOCK_NS_PER_S), 0);
}
END_TEST

START_TEST(the_next_second_has_lines_again)
{
	packets_come(1);
	acquire_log_poll(&acquires, table, 5 * CLOCK_NS_PER_S);
	packets_come(UINT64_MAX / 2);

	ck_assert_uint_eq(acquire_log_poll(&acquires, table, 6 * CLOCK_NS_PER_S), ACQUIRE_LOG_PER_S);
}
END_TEST

START_TEST(where_no_policy_lacks_its_sa_there_is_nothing_to_log)
{
	ck_assert_uint_eq(acquire_log_poll(&acquires, NULL, CLOCK_NS_PER_S), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("acquire_log");
	TCase *tcase = tcase_create("acquire_log");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_second_has_no_more_than_so_many_lines_and_the_rest_is_counted);
	tcase_add_test(tcase, the_next_second_has_lines_again);
	tcase_add_test(tcase, where_no_policy_lacks_its_sa_there_is_nothing_to_log);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
