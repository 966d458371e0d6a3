#include "ipsec/spd_pairs.h"

#include "support/eal.h"
#include "support/packet.h"

#include <stdlib.h>

/* That its answers are those of a search in order, test_spd.c shows; here is what it takes, and leaves. */
#define RULES_MAX (3 * SPD_PAIRS_TUPLES_MAX * SPD_PAIRS_RULES_MIN)
#define NO_PAIRS  7

static size_t n_rules;
static struct spd_rule rules[RULES_MAX];
static struct selector selectors[RULES_MAX];
static struct ip_range ranges[RULES_MAX][2];
static bool held[RULES_MAX];
static struct spd_pairs *pairs;

static void setup(void)
{
	eal_setup();
	n_rules = 0;
	pairs = NULL;
}

static void teardown(void)
{
	spd_pairs_destroy(pairs);
	eal_teardown();
}

/* The ranges are not the selector's to free. */
static struct selector *rule_add(const char *source, const char *destination)
{
	struct selector *selector = &selectors[n_rules];
	struct ip_range *range = ranges[n_rules];

	ck_assert_uint_lt(n_rules, RULES_MAX);
	ck_assert_int_eq(ip_range_parse(source, &range[0]), 0);
	ck_assert_int_eq(ip_range_parse(destination, &range[1]), 0);
	selector_init(selector);
	selector->sources = &range[0];
	selector->n_sources = 1;
	selector->destinations = &range[1];
	selector->n_destinations = 1;
	rules[n_rules++] = (struct spd_rule){.selector = selector};
	return selector;
}

/* n different ones of the same lengths. */
static void rules_add(size_t n, unsigned destination_bits)
{
	for (size_t i = 0; i < n; i++) {
		char destination[IP_RANGE_TEXT_MAX];

		snprintf(destination, sizeof(destination), "10.%zu.%zu.0/%u", i >> 8, i & UINT8_MAX,
			destination_bits);
		rule_add("192.0.2.0/24", destination);
	}
}

static void build(void)
{
	ck_assert_int_eq(spd_pairs_create(rules, n_rules, SOCKET_ID_ANY, held, &pairs), 0);
}

static size_t count_held(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_rules; i++)
		n += held[i];
	return n;
}

static uint32_t find(const struct packet_spec *spec, uint32_t found)
{
	struct rte_mbuf *m = packet_mbuf(spec);

	spd_pairs_find(pairs, &m, 1, &found);
	rte_pktmbuf_free(m);
	return found;
}

START_TEST(a_few_pairs_of_lengths_are_held_if_there_is_nothing_else)
{
	rule_add("10.1.0.0/24", "10.2.0.0/24");
	rule_add("fd00:1::/64", "fd00:2::/64");
	build();
	ck_assert_uint_eq(count_held(), 2);
	ck_assert_uint_eq(find(&(struct packet_spec){.family = IP_V4}, SPD_PAIRS_NONE), 0);
	ck_assert_uint_eq(find(&(struct packet_spec){.family = IP_V6}, SPD_PAIRS_NONE), 1);
}
END_TEST

/* Each alone, where it would be held if it were a pair. */
START_TEST(what_is_not_one_pair_of_prefixes_is_left)
{
	static const struct {
		const char *source;
		const char *destination;
		size_t n_sources;
		size_t n_destinations;
	} cases[NO_PAIRS] = {
		{"10.1.0.0/24", "10.2.0.1-10.2.0.2", 1, 1}, {"10.1.0.1-10.1.0.2", "10.2.0.0/24", 1, 1},
		{"10.1.0.0/24", "fd00:2::/64", 1, 1}, {"fd00:1::/64", "10.2.0.0/24", 1, 1},
		{"10.1.0.0/24", "10.2.0.0/24", 0, 1}, {"10.1.0.0/24", "10.2.0.0/24", 1, 0},
		{"10.1.0.0/24", "10.2.0.0/24", 2, 1}, /* its ranges are the two */
	};
	struct selector *selector = rule_add(cases[_i].source, cases[_i].destination);

	selector->n_sources = cases[_i].n_sources;
	selector->n_destinations = cases[_i].n_destinations;
	build();
	ck_assert_uint_eq(count_held(), 0);
}
END_TEST

START_TEST(beside_other_entries_few_pairs_are_left)
{
	rule_add("10.1.0.0/24", "10.2.0.1-10.2.0.2");
	rules_add(SPD_PAIRS_RULES_MIN - 1, 24);
	build();
	ck_assert_uint_eq(count_held(), 0);
	spd_pairs_destroy(pairs);
	rule_add("192.0.2.0/24", "10.200.0.0/24");
	build();
	ck_assert_uint_eq(count_held(), SPD_PAIRS_RULES_MIN);
	ck_assert(!held[0]);
}
END_TEST

START_TEST(the_pairs_of_lengths_that_most_entries_have_are_held)
{
	rules_add(SPD_PAIRS_RULES_MIN, 24);
	for (unsigned i = 0; i < SPD_PAIRS_TUPLES_MAX; i++)
		rules_add(SPD_PAIRS_RULES_MIN + 1, 25 + i % 8);
	build();
	ck_assert_uint_eq(count_held(), SPD_PAIRS_TUPLES_MAX * (SPD_PAIRS_RULES_MIN + 1));
	ck_assert(!held[0]);
}
END_TEST

START_TEST(too_many_of_the_same_prefixes_are_left)
{
	for (unsigned i = 0; i <= SPD_PAIRS_SAME_MAX; i++)
		rule_add("10.1.0.0/24", "10.2.0.0/24")->destination_ports =
			(struct port_range){(uint16_t)i, (uint16_t)i};
	build();
	ck_assert_uint_eq(count_held(), SPD_PAIRS_SAME_MAX);
	ck_assert(!held[SPD_PAIRS_SAME_MAX]);
	ck_assert_uint_eq(
		find(&(struct packet_spec){.destination_port = SPD_PAIRS_SAME_MAX - 1}, SPD_PAIRS_NONE),
		SPD_PAIRS_SAME_MAX - 1);
	ck_assert_uint_eq(find(&(struct packet_spec){.destination_port = SPD_PAIRS_SAME_MAX}, SPD_PAIRS_NONE),
		SPD_PAIRS_NONE);
}
END_TEST

START_TEST(what_was_found_before_is_only_lowered)
{
	rule_add("10.3.0.0/24", "10.2.0.0/24");
	rule_add("10.1.0.0/24", "10.2.0.0/24");
	rule_add("10.1.0.0/24", "10.2.0.0/24");
	build();
	ck_assert_uint_eq(find(&(struct packet_spec){.family = IP_V4}, 2), 1);
	ck_assert_uint_eq(find(&(struct packet_spec){.family = IP_V4}, 0), 0);
	ck_assert_uint_eq(find(&(struct packet_spec){.source = "10.4.0.1"}, 5), 5);
}
END_TEST

START_TEST(a_table_of_nothing_finds_nothing)
{
	build();
	ck_assert_uint_eq(find(&(struct packet_spec){.family = IP_V4}, SPD_PAIRS_NONE), SPD_PAIRS_NONE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/spd_pairs");
	TCase *cases = tcase_create("spd_pairs");

	suite_add_tcase(suite, cases);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, a_few_pairs_of_lengths_are_held_if_there_is_nothing_else);
	tcase_add_loop_test(cases, what_is_not_one_pair_of_prefixes_is_left, 0, NO_PAIRS);
	tcase_add_test(cases, beside_other_entries_few_pairs_are_left);
	tcase_add_test(cases, the_pairs_of_lengths_that_most_entries_have_are_held);
	tcase_add_test(cases, too_many_of_the_same_prefixes_are_left);
	tcase_add_test(cases, what_was_found_before_is_only_lowered);
	tcase_add_test(cases, a_table_of_nothing_finds_nothing);
	return eal_run_suite(suite);
}
