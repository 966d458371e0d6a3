#include "run.h"

#include "base/addr.h"

#include <errno.h>
#include <string.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr parsed;

	ck_assert_msg(ip_addr_parse(text, &parsed) == 0, "%s", text);
	return parsed;
}

static struct ip_range range(const char *text)
{
	struct ip_range parsed;

	ck_assert_msg(ip_range_parse(text, &parsed) == 0, "%s", text);
	return parsed;
}

START_TEST(an_address_of_either_family_is_read_and_written_back)
{
	static const char *const texts[] = {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1",
		"2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::ffff:192.0.2.1"};
	char buf[IP_ADDR_TEXT_MAX];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ip_addr parsed = addr(texts[i]);

		ck_assert_str_eq(ip_addr_format(&parsed, buf), texts[i]);
		ck_assert_uint_eq(parsed.family, strchr(texts[i], ':') ? IP_V6 : IP_V4);
	}
}
END_TEST

START_TEST(what_is_no_address_is_refused_and_leaves_the_result_alone)
{
	static const char *const texts[] = {"", "1", "192.0.2", "192.0.2.256", "192.0.2.1 ", " 192.0.2.1",
		"192.0.2.01", "fe80::1%eth0", ":::", "1:2:3:4:5:6:7:8:9", "0x7f000001", "192.0.2.1/24",
		"host"};
	struct ip_addr out = {.family = 42};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_msg(ip_addr_parse(texts[i], &out) == -EINVAL, "%s", texts[i]);
		ck_assert_uint_eq(out.family, 42);
	}
}
END_TEST

START_TEST(an_ipv4_address_has_zeros_behind_it)
{
	struct ip_addr v4 = addr("1.2.3.4"), none = {0};
	static const uint8_t bytes[16] = {1, 2, 3, 4};
	char buf[IP_ADDR_TEXT_MAX];

	ck_assert_mem_eq(v4.bytes, bytes, sizeof(bytes));
	ck_assert_str_eq(ip_addr_format(&none, buf), "none");
}
END_TEST

START_TEST(addresses_of_two_families_are_not_equal)
{
	struct ip_addr v4 = addr("0.0.0.0"), v6 = addr("::");

	ck_assert(!ip_addr_equal(&v4, &v6));
	ck_assert(ip_addr_equal(&v4, &v4));
}
END_TEST

START_TEST(multicast_addresses_are_known)
{
	struct ip_addr addresses[] = {addr("224.0.0.0"), addr("239.255.255.255"), addr("ff02::1"),
		addr("223.255.255.255"), addr("240.0.0.0"), addr("fe80::1"), addr("e000::")};

	for (size_t i = 0; i < 7; i++)
		ck_assert_msg(ip_addr_is_multicast(&addresses[i]) == (i < 3), "%zu", i);
}
END_TEST

START_TEST(a_prefix_keeps_its_host_bits_and_a_host_has_all_bits)
{
	struct ip_prefix prefix;

	ck_assert_int_eq(ip_prefix_parse("192.0.2.1/24", &prefix), 0);
	ck_assert_uint_eq(prefix.length_bits, 24);
	ck_assert_uint_eq(prefix.addr.bytes[3], 1);
	ck_assert_int_eq(ip_prefix_parse("192.0.2.1", &prefix), 0);
	ck_assert_uint_eq(prefix.length_bits, 32);
	ck_assert_int_eq(ip_prefix_parse("::/0", &prefix), 0);
	ck_assert_uint_eq(prefix.length_bits, 0);
	ck_assert_int_eq(ip_prefix_parse("::1", &prefix), 0);
	ck_assert_uint_eq(prefix.length_bits, 128);
}
END_TEST

START_TEST(what_is_no_prefix_is_refused)
{
	static const char *const texts[] = {"192.0.2.0/", "192.0.2.0/33", "::/129", "192.0.2.0/-1",
		"192.0.2.0/+1", "192.0.2.0/ 1", "192.0.2.0/24x", "192.0.2.0/024", "/24",
		"192.0.2.0/99999999999999999999", "192.0.2.0/4294967320",
		"1111111111111111111111111111111111111111111111111111/8"};
	struct ip_prefix out = {.length_bits = 42};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_msg(ip_prefix_parse(texts[i], &out) == -EINVAL, "%s", texts[i]);
		ck_assert_uint_eq(out.length_bits, 42);
	}
}
END_TEST

START_TEST(a_range_is_an_address_a_prefix_or_two_ends)
{
	char buf[IP_RANGE_TEXT_MAX];
	struct ip_range parsed = range("10.1.0.0/16");

	ck_assert_uint_eq(parsed.last.bytes[3], 255);
	ck_assert_str_eq(ip_range_format(&parsed, buf), "10.1.0.0/16");
	parsed = range("10.0.0.1-10.0.0.9");
	ck_assert_str_eq(ip_range_format(&parsed, buf), "10.0.0.1-10.0.0.9");
	parsed = range("10.0.0.0-10.0.0.255");
	ck_assert_str_eq(ip_range_format(&parsed, buf), "10.0.0.0/24");
	parsed = range("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	ck_assert_str_eq(ip_range_format(&parsed, buf), "::/0");
	parsed = range("fd00::1");
	ck_assert_str_eq(ip_range_format(&parsed, buf), "fd00::1/128");
}
END_TEST

START_TEST(what_is_no_range_is_refused)
{
	static const char *const texts[] = {"10.0.0.1/24", "10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1",
		"10.0.0.1-", "-10.0.0.1", "10.0.0.1-10.0.0.2-10.0.0.3", "10.0.0.0/24-10.0.1.0/24", "any"};
	struct ip_range out;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(ip_range_parse(texts[i], &out) == -EINVAL, "%s", texts[i]);
}
END_TEST

START_TEST(a_mac_address_is_read_and_written_back)
{
	struct mac_addr mac;
	char buf[MAC_ADDR_TEXT_MAX];

	ck_assert_int_eq(mac_addr_parse("02:00:5E:aB:01:fe", &mac), 0);
	ck_assert_str_eq(mac_addr_format(&mac, buf), "02:00:5e:ab:01:fe");
}
END_TEST

START_TEST(what_is_no_mac_address_is_refused_and_leaves_the_result_alone)
{
	static const char *const texts[] = {"", "02:00:5e:00:02", "02:00:5e:00:02:fe:01", "02-00-5e-00-02-fe",
		"+2:00:5e:00:02:fe", "-2:00:5e:00:02:fe", " 2:00:5e:00:02:fe", "0x:00:5e:00:02:fe",
		"02:00:5e:00:02:fg", "02:00:5e:00:02:f ", "02:00:5e:00:0:2fe"};
	struct mac_addr out = {{42}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert_msg(mac_addr_parse(texts[i], &out) == -EINVAL, "%s", texts[i]);
		ck_assert_uint_eq(out.bytes[0], 42);
	}
}
END_TEST

START_TEST(a_prefix_contains_its_addresses_and_no_other)
{
	static const struct {
		const char *prefix, *addr;
		bool inside;
	} cases[] = {
		{"10.1.2.3/8", "10.0.0.0", true},
		{"10.1.2.3/8", "10.255.255.255", true},
		{"10.1.2.3/8", "11.0.0.0", false},
		{"10.1.2.3/8", "9.255.255.255", false},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"0.0.0.0/0", "::", false},
		{"::/0", "0.0.0.0", false},
		{"10.0.0.7/31", "10.0.0.6", true},
		{"10.0.0.7/31", "10.0.0.8", false},
		{"2001:db8::/33", "2001:db8:7fff:ffff::", true},
		{"2001:db8::/33", "2001:db8:8000::", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_prefix prefix;
		struct ip_addr inner = addr(cases[i].addr);

		ck_assert_int_eq(ip_prefix_parse(cases[i].prefix, &prefix), 0);
		ck_assert_msg(ip_prefix_contains(&prefix, &inner) == cases[i].inside, "%zu", i);
	}
}
END_TEST

static void assert_cover(const char *text, size_t n, const char *const *prefixes)
{
	struct ip_prefix out[IP_RANGE_PREFIXES_MAX];
	struct ip_range covered = range(text);

	ck_assert_uint_eq(ip_range_prefixes(&covered, out), n);
	for (size_t i = 0; i < n; i++) {
		struct ip_range part = ip_prefix_range(&out[i]);
		char buf[IP_RANGE_TEXT_MAX];

		ck_assert_str_eq(ip_range_format(&part, buf), prefixes[i]);
	}
}

START_TEST(a_range_is_covered_by_rising_prefixes)
{
	assert_cover("10.0.0.1-10.0.0.8", 4,
		(const char *[]){"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/32"});
	assert_cover("0.0.0.0-255.255.255.255", 1, (const char *[]){"0.0.0.0/0"});
	assert_cover("255.255.255.255", 1, (const char *[]){"255.255.255.255/32"});
	assert_cover("fd00::ffff-fd00::1:0", 2, (const char *[]){"fd00::ffff/128", "fd00::1:0/128"});
}
END_TEST

START_TEST(a_range_that_is_one_prefix_has_its_length)
{
	static const struct {
		const char *text;
		int bits;
	} cases[] = {{"0.0.0.0/0", 0}, {"10.0.0.0/9", 9}, {"10.0.0.0/16", 16}, {"10.0.0.6/31", 31},
		{"10.0.0.7", 32}, {"::/0", 0}, {"fd00::/62", 62}, {"fd00::1", 128}, {"10.0.0.1-10.0.0.2", -1},
		{"10.0.0.0-10.0.0.2", -1}, {"10.0.0.1-10.0.1.0", -1}, {"10.0.0.0-10.0.1.254", -1},
		{"10.0.0.128-10.0.1.127", -1}, {"10.0.0.128-10.0.1.255", -1}, {"fd00::-fd00::1:fffe", -1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_range of = range(cases[i].text);

		ck_assert_int_eq(ip_range_prefix_length(&of), cases[i].bits);
	}
}
END_TEST
START_TEST(the_worst_range_takes_as_many_prefixes_as_there_is_room)
{
	struct ip_prefix out[IP_RANGE_PREFIXES_MAX];
	struct ip_range v4 = range("0.0.0.1-255.255.255.254");
	struct ip_range v6 = range("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");

	ck_assert_uint_eq(ip_range_prefixes(&v4, out), 62);
	ck_assert_uint_eq(ip_range_prefixes(&v6, out), IP_RANGE_PREFIXES_MAX);
}
END_TEST

#define SMALL_BITS 8
#define SMALL      (1u << SMALL_BITS)

/* The address that ends in `low`, of either family, in a block of 256 that a random byte places. */
static struct ip_addr small_addr(uint8_t family, uint8_t block, unsigned low)
{
	struct ip_addr made = {.family = family};

	made.bytes[0] = block;
	made.bytes[ip_family_bytes(family) - 1] = (uint8_t)low;
	return made;
}

/*
 * The fewest aligned blocks that make up [first, last], found without cleverness: fewest[i] for the part from
 * first to i, from each block that may end there.
 */
static size_t fewest_blocks(unsigned first, unsigned last)
{
	size_t fewest[SMALL + 1];

	fewest[first] = 0;
	for (unsigned end = first + 1; end <= last + 1; end++) {
		fewest[end] = SIZE_MAX;
		for (unsigned size = 1; size <= end - first; size *= 2)
			if ((end - size) % size == 0 && fewest[end - size] + 1 < fewest[end])
				fewest[end] = fewest[end - size] + 1;
	}
	return fewest[last + 1];
}

/* Each address is in exactly one prefix of the cover if it is in the range, and in none if it is not. */
static void assert_exact(
	const struct ip_range *covered, const struct ip_prefix *prefixes, size_t n, uint8_t block)
{
	size_t wrong = 0;

	for (unsigned low = 0; low < SMALL; low++) {
		struct ip_addr each = small_addr(covered->first.family, block, low);
		size_t hits = 0;

		for (size_t i = 0; i < n; i++)
			hits += ip_prefix_contains(&prefixes[i], &each);
		wrong += hits != ip_range_contains(covered, &each);
	}
	/* One assertion, not 256: each costs a system call. */
	ck_assert_uint_eq(wrong, 0);
}

START_TEST(the_cover_of_random_ranges_is_exact_and_the_smallest)
{
	srandom(1);
	for (unsigned i = 0; i < 2000; i++) {
		unsigned a = (unsigned)random() % SMALL, b = (unsigned)random() % SMALL;
		uint8_t family = random() % 2 ? IP_V4 : IP_V6, block = (uint8_t)random();
		struct ip_range covered = {
			small_addr(family, block, a < b ? a : b), small_addr(family, block, a < b ? b : a)};
		struct ip_prefix prefixes[IP_RANGE_PREFIXES_MAX];
		size_t n = ip_range_prefixes(&covered, prefixes);

		ck_assert_uint_eq(n, fewest_blocks(a < b ? a : b, a < b ? b : a));
		assert_exact(&covered, prefixes, n, block);
		ck_assert_int_eq(
			ip_range_prefix_length(&covered), n == 1 ? (int)prefixes[0].length_bits : -1);
	}
}
END_TEST

static struct ip_addr random_addr(uint8_t family)
{
	struct ip_addr made = {.family = family};

	for (size_t i = 0; i < ip_family_bytes(family); i++)
		made.bytes[i] = (uint8_t)random();
	return made;
}

/* Add one; the last address of the family becomes the first. */
static void increment(struct ip_addr *next)
{
	for (size_t i = ip_family_bytes(next->family); i-- > 0;)
		if (++next->bytes[i] != 0)
			return;
}

START_TEST(the_cover_of_random_wide_ranges_joins_without_gap_from_first_to_last)
{
	srandom(2);
	for (unsigned i = 0; i < 500; i++) {
		uint8_t family = random() % 2 ? IP_V4 : IP_V6;
		struct ip_addr a = random_addr(family), b = random_addr(family), next;
		bool rising = memcmp(a.bytes, b.bytes, sizeof(a.bytes)) <= 0;
		struct ip_range covered = {rising ? a : b, rising ? b : a};
		struct ip_prefix prefixes[IP_RANGE_PREFIXES_MAX];
		size_t n = ip_range_prefixes(&covered, prefixes);

		size_t gaps = 0;

		next = covered.first;
		for (size_t j = 0; j < n; j++) {
			struct ip_range part = ip_prefix_range(&prefixes[j]);

			gaps += !ip_addr_equal(&part.first, &next);
			gaps += j == n - 1 && !ip_addr_equal(&part.last, &covered.last);
			next = part.last;
			increment(&next);
		}
		ck_assert_uint_eq(gaps, 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base/addr");
	TCase *tcase = tcase_create("addr");

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, an_address_of_either_family_is_read_and_written_back);
	tcase_add_test(tcase, what_is_no_address_is_refused_and_leaves_the_result_alone);
	tcase_add_test(tcase, an_ipv4_address_has_zeros_behind_it);
	tcase_add_test(tcase, addresses_of_two_families_are_not_equal);
	tcase_add_test(tcase, multicast_addresses_are_known);
	tcase_add_test(tcase, a_prefix_keeps_its_host_bits_and_a_host_has_all_bits);
	tcase_add_test(tcase, what_is_no_prefix_is_refused);
	tcase_add_test(tcase, a_range_is_an_address_a_prefix_or_two_ends);
	tcase_add_test(tcase, what_is_no_range_is_refused);
	tcase_add_test(tcase, a_mac_address_is_read_and_written_back);
	tcase_add_test(tcase, what_is_no_mac_address_is_refused_and_leaves_the_result_alone);
	tcase_add_test(tcase, a_prefix_contains_its_addresses_and_no_other);
	tcase_add_test(tcase, a_range_is_covered_by_rising_prefixes);
	tcase_add_test(tcase, a_range_that_is_one_prefix_has_its_length);
	tcase_add_test(tcase, the_worst_range_takes_as_many_prefixes_as_there_is_room);
	tcase_add_test(tcase, the_cover_of_random_ranges_is_exact_and_the_smallest);
	tcase_add_test(tcase, the_cover_of_random_wide_ranges_joins_without_gap_from_first_to_last);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
