#include "ipsec/path_mtu.h"

#include "support/eal.h"
#include "support/sa_pair.h"

#include <stdatomic.h>

#define MIN_IPV4 576
#define SECOND   UINT64_C(1000000000)

static struct crypto_env env;
static struct sa *sa;

static void setup(void)
{
	eal_setup();
	crypto_env_begin(&env, CRYPTO_WAY_BEST);
	sa = sa_of(&env, &(struct sa_spec){0}, false);
	path_mtu_set_link(sa, 1500);
}

static void teardown(void)
{
	sa_destroy(sa);
	crypto_env_end(&env);
	eal_teardown();
}

static void sa_replace(const struct sa_spec *spec)
{
	sa_destroy(sa);
	sa = sa_of(&env, spec, false);
	path_mtu_set_link(sa, 1500);
}

static void assert_path(uint16_t mtu_bytes)
{
	ck_assert_uint_eq(sa->path.mtu_bytes, mtu_bytes);
	ck_assert_uint_eq(sa->inner_mtu, sa_inner_mtu(sa, mtu_bytes));
}

// PMT-5
START_TEST(what_icmp_tells_narrows_the_path_and_ages_back)
{
	assert_path(1500);
	ck_assert(path_mtu_learn(sa, 1400, MIN_IPV4, 600 * SECOND));
	assert_path(1400);
	ck_assert_uint_eq(sa->inner_mtu, 1346);
	ck_assert(!path_mtu_age(sa, 600 * SECOND - 1));
	assert_path(1400);
	ck_assert(path_mtu_age(sa, 600 * SECOND));
	assert_path(1500);
	ck_assert(!path_mtu_age(sa, 601 * SECOND));
}
END_TEST

// PMT-5
START_TEST(icmp_never_widens_the_path)
{
	ck_assert(!path_mtu_learn(sa, 9000, MIN_IPV4, SECOND));
	ck_assert(!path_mtu_learn(sa, 1500, MIN_IPV4, SECOND));
	ck_assert(!sa->path.is_learned);
	ck_assert(path_mtu_learn(sa, 1300, MIN_IPV4, SECOND));
	ck_assert(!path_mtu_learn(sa, 1400, MIN_IPV4, 9 * SECOND));
	assert_path(1300);
	/* What says less than is known does not make it last, either. */
	ck_assert(path_mtu_age(sa, SECOND));
}
END_TEST

// PMT-5
START_TEST(no_icmp_makes_the_path_narrower_than_the_bound)
{
	ck_assert(path_mtu_learn(sa, 68, MIN_IPV4, SECOND));
	assert_path(MIN_IPV4);
	ck_assert(!path_mtu_learn(sa, 67, MIN_IPV4, SECOND));
	assert_path(MIN_IPV4);
}
END_TEST

START_TEST(a_router_that_does_not_say_how_much_it_takes_means_the_least) // RFC 1191 section 5
{
	ck_assert(path_mtu_learn(sa, 0, MIN_IPV4, SECOND));
	assert_path(MIN_IPV4);
}
END_TEST

START_TEST(a_bound_above_the_link_changes_nothing)
{
	ck_assert(!path_mtu_learn(sa, 100, 1500, SECOND));
	ck_assert(!path_mtu_learn(sa, 100, 9000, SECOND));
	assert_path(1500);
}
END_TEST

// PMT-5
START_TEST(each_error_that_says_the_same_prolongs_it)
{
	path_mtu_learn(sa, 1400, MIN_IPV4, 600 * SECOND);
	ck_assert(!path_mtu_learn(sa, 1400, MIN_IPV4, 900 * SECOND));
	ck_assert(!path_mtu_age(sa, 899 * SECOND));
	ck_assert(path_mtu_age(sa, 900 * SECOND));
}
END_TEST

START_TEST(a_new_link_keeps_what_icmp_told_unless_it_is_as_narrow)
{
	path_mtu_learn(sa, 1400, MIN_IPV4, 600 * SECOND);
	path_mtu_set_link(sa, 9000);
	assert_path(1400);
	path_mtu_set_link(sa, 1400);
	assert_path(1400);
	ck_assert(!sa->path.is_learned);
	path_mtu_set_link(sa, 1500);
	assert_path(1500);
}
END_TEST

static struct quote quote_of(const struct sa *of, uint32_t seq)
{
	return (struct quote){.kind = ICMP_KIND_TOO_BIG,
		.mtu_bytes = 1400,
		.flow = {.source = of->source, .destination = of->destination, .protocol = 50},
		.has_df = of->family == IP_V4,
		.ipsec = IPPROTO_ESP,
		.spi = of->spi,
		.seq = seq};
}

static bool is_plausible(uint32_t seq)
{
	struct quote quote = quote_of(sa, seq);

	return path_mtu_quote_is_plausible(sa, &quote);
}

// PMT-5
START_TEST(only_numbers_that_were_sent_lately_are_plausible)
{
	ck_assert(!is_plausible(0) && !is_plausible(1)); /* nothing was sent */
	atomic_store(&sa->seq.next, 11);
	ck_assert(!is_plausible(0) && is_plausible(1) && is_plausible(10) && !is_plausible(11));
	ck_assert(!is_plausible(UINT32_MAX));
	atomic_store(&sa->seq.next, PATH_MTU_QUOTE_PKTS_MAX + 1001);
	ck_assert(!is_plausible(1000) && is_plausible(1001));
}
END_TEST

// PMT-5
START_TEST(with_esn_the_low_half_of_the_number_is_compared)
{
	sa_replace(&(struct sa_spec){.esn = true});
	atomic_store(&sa->seq.next, (UINT64_C(7) << 32) + 3);
	ck_assert(is_plausible(2) && is_plausible(0) && is_plausible(UINT32_MAX) && !is_plausible(3));
}
END_TEST

START_TEST(a_quote_from_another_source_or_of_no_ipsec_is_not_plausible)
{
	struct quote quote;

	atomic_store(&sa->seq.next, 11);
	quote = quote_of(sa, 5);
	quote.flow.source.bytes[3] ^= 1;
	ck_assert(!path_mtu_quote_is_plausible(sa, &quote));
	quote = quote_of(sa, 5);
	quote.ipsec = 0;
	ck_assert(!path_mtu_quote_is_plausible(sa, &quote));
}
END_TEST

// PMT-5: a router cuts what has no DF, and says nothing.
START_TEST(too_big_makes_no_sense_for_a_packet_without_df)
{
	struct quote quote;

	atomic_store(&sa->seq.next, 11);
	quote = quote_of(sa, 5);
	quote.has_df = false;
	ck_assert(!path_mtu_quote_is_plausible(sa, &quote));
	quote.kind = ICMP_KIND_UNREACHABLE;
	ck_assert(path_mtu_quote_is_plausible(sa, &quote));
	sa_replace(&(struct sa_spec){.df = SA_DF_CLEAR});
	atomic_store(&sa->seq.next, 11);
	ck_assert(!is_plausible(5));
	sa_replace(&(struct sa_spec){.df = SA_DF_COPY});
	atomic_store(&sa->seq.next, 11);
	ck_assert(is_plausible(5));
}
END_TEST

// PMT-5, RFC 8201 section 4
START_TEST(an_ipv6_router_that_takes_less_than_1280_is_not_believed)
{
	struct quote quote;

	sa_replace(&(struct sa_spec){.outer = IP_V6});
	atomic_store(&sa->seq.next, 11);
	quote = quote_of(sa, 5);
	quote.mtu_bytes = 1279;
	ck_assert(!path_mtu_quote_is_plausible(sa, &quote));
	quote.mtu_bytes = 1280;
	ck_assert(path_mtu_quote_is_plausible(sa, &quote));
	path_mtu_learn(sa, 1280, 1280, SECOND);
	assert_path(1280);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("path_mtu");
	TCase *tcase = tcase_create("path_mtu");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_icmp_tells_narrows_the_path_and_ages_back);
	tcase_add_test(tcase, icmp_never_widens_the_path);
	tcase_add_test(tcase, no_icmp_makes_the_path_narrower_than_the_bound);
	tcase_add_test(tcase, a_router_that_does_not_say_how_much_it_takes_means_the_least);
	tcase_add_test(tcase, a_bound_above_the_link_changes_nothing);
	tcase_add_test(tcase, each_error_that_says_the_same_prolongs_it);
	tcase_add_test(tcase, a_new_link_keeps_what_icmp_told_unless_it_is_as_narrow);
	tcase_add_test(tcase, only_numbers_that_were_sent_lately_are_plausible);
	tcase_add_test(tcase, with_esn_the_low_half_of_the_number_is_compared);
	tcase_add_test(tcase, a_quote_from_another_source_or_of_no_ipsec_is_not_plausible);
	tcase_add_test(tcase, too_big_makes_no_sense_for_a_packet_without_df);
	tcase_add_test(tcase, an_ipv6_router_that_takes_less_than_1280_is_not_believed);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
