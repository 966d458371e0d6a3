#include "datapath/acquire.h"

#include <check.h>
#include <rte_cycles.h>

#include "net/icmp.h"
#include "support/eal.h"
#include "support/packet.h"

#define N_POLICIES (ACQUIRE_QUEUE + 100)
#define START_TSC  UINT64_C(1000000)

static struct acquire_table *table;
static struct drops drops;
static struct burst refused;

static void setup(void)
{
	struct err err;

	eal_setup();
	drops = (struct drops){0};
	refused = (struct burst){0};
	ck_assert_int_eq(acquire_table_create(N_POLICIES, SOCKET_ID_ANY, &table, &err), 0);
}

static void teardown(void)
{
	rte_pktmbuf_free_bulk(refused.pkts, refused.n);
	acquire_table_destroy(table);
	eal_teardown();
}

static uint64_t seconds(unsigned n)
{
	return n * rte_get_tsc_hz();
}

static void packet_comes(const struct packet_spec *spec, uint32_t policy, uint64_t now_tsc)
{
	struct burst burst = {.n = 1, .pkts = {packet_mbuf(spec)}};

	pkt_of(burst.pkts[0])->policy = policy;
	acquire_burst(&burst, table, now_tsc, &refused, &drops);
	ck_assert_uint_eq(burst.n, 0);
}

static unsigned events(void)
{
	struct acquire acquire;
	unsigned n = 0;

	while (acquire_take(table, &acquire))
		n++;
	return n;
}

// SPD-10
START_TEST(an_event_has_the_policy_and_the_packet_s_selectors)
{
	const struct packet_spec spec = {.family = IP_V6, .source_port = 1000, .destination_port = 53};
	struct acquire acquire;
	struct ip_addr source, destination;

	packet_comes(&spec, 7, START_TSC);

	ck_assert(acquire_take(table, &acquire));
	ip_addr_parse("fd00:1::1", &source);
	ip_addr_parse("fd00:2::1", &destination);
	ck_assert_uint_eq(acquire.policy, 7);
	ck_assert(ip_addr_equal(&acquire.flow.source, &source));
	ck_assert(ip_addr_equal(&acquire.flow.destination, &destination));
	ck_assert_uint_eq(acquire.flow.protocol, 17);
	ck_assert_uint_eq(acquire.flow.source_port, 1000);
	ck_assert_uint_eq(acquire.flow.destination_port, 53);
	ck_assert_uint_eq(drops.count[0][DROP_out_no_sa], 1);
}
END_TEST

// SPD-10
START_TEST(a_policy_is_told_of_once_an_interval_with_the_packets_between)
{
	const struct packet_spec spec = {0};
	uint64_t later = START_TSC + seconds(ACQUIRE_INTERVAL_S);
	struct acquire acquire;

	for (unsigned i = 0; i < 1000; i++)
		packet_comes(&spec, 1, START_TSC + i);
	packet_comes(&spec, 2, START_TSC + 5);
	packet_comes(&spec, 1, later - 1);
	ck_assert_uint_eq(events(), 2);

	packet_comes(&spec, 1, later);
	ck_assert(acquire_take(table, &acquire));
	ck_assert_uint_eq(acquire.policy, 1);
	ck_assert_uint_eq(acquire.suppressed, 1000);

	packet_comes(&spec, 1, later + seconds(ACQUIRE_INTERVAL_S));
	ck_assert(acquire_take(table, &acquire));
	ck_assert_uint_eq(acquire.suppressed, 0);
	ck_assert_uint_eq(drops.count[0][DROP_out_no_sa], 1004);
}
END_TEST

START_TEST(what_finds_the_queue_full_is_told_with_the_policy_s_next_packet)
{
	const struct packet_spec spec = {0};
	struct acquire acquire;

	for (uint32_t policy = 0; policy < N_POLICIES; policy++)
		packet_comes(&spec, policy, START_TSC);
	ck_assert_uint_eq(events(), ACQUIRE_QUEUE - 1);

	packet_comes(&spec, N_POLICIES - 1, START_TSC + 1);
	ck_assert(acquire_take(table, &acquire));
	ck_assert_uint_eq(acquire.policy, N_POLICIES - 1);
	ck_assert_uint_eq(acquire.suppressed, 1);
}
END_TEST

// SPD-10
START_TEST(only_a_policy_that_says_so_has_its_senders_told)
{
	acquire_tell_senders(table, 3);
	packet_comes(&(struct packet_spec){.family = IP_V4}, 3, START_TSC);
	packet_comes(&(struct packet_spec){.family = IP_V6}, 3, START_TSC);
	packet_comes(&(struct packet_spec){.family = IP_V4}, 2, START_TSC);

	ck_assert_uint_eq(refused.n, 2);
	ck_assert_uint_eq(pkt_of(refused.pkts[0])->icmp_type, 3);
	ck_assert_uint_eq(pkt_of(refused.pkts[0])->icmp_code, 13);
	ck_assert_uint_eq(pkt_of(refused.pkts[1])->icmp_type, 1);
	ck_assert_uint_eq(pkt_of(refused.pkts[1])->icmp_code, 1);
	ck_assert_uint_eq(drops.total, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("acquire");
	TCase *tcase = tcase_create("acquire");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_event_has_the_policy_and_the_packet_s_selectors);
	tcase_add_test(tcase, a_policy_is_told_of_once_an_interval_with_the_packets_between);
	tcase_add_test(tcase, what_finds_the_queue_full_is_told_with_the_policy_s_next_packet);
	tcase_add_test(tcase, only_a_policy_that_says_so_has_its_senders_told);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
