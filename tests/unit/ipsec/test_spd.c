#include "ipsec/spd.h"

#include "ipsec/spd_pairs.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sanitizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <rte_malloc.h>

/* The pairs of prefix lengths of narrow rules: one more than the table of pairs has room for. */
#define LENGTHS_MAX (SPD_PAIRS_TUPLES_MAX + 1)
#define RULES_MAX   (LENGTHS_MAX * SPD_PAIRS_RULES_MIN + 64)
#define RANGES_MAX  2 /* in a list of a random rule */

/* Entries of an SPD, and all that they point to. */
struct rule_set {
	size_t n;
	size_t first, last; /* the entries between these are those that packets are for */
	struct spd_rule rules[RULES_MAX];
	struct selector selectors[RULES_MAX];
};

static struct rule_set set;
static struct spd *spd;
static struct drops drops;
static struct burst errors;
static struct sa_counters counters[2];
static struct sa sas[2];
static const struct sa_tally tally = {.drops = &drops, .worker = 0};

static void set_clear(void)
{
	for (size_t i = 0; i < set.n; i++)
		selector_fini(&set.selectors[i]);
	set.n = set.first = set.last = 0;
}

/* Build the SPD of the set, in place of the one before. */
static void spd_build(void)
{
	struct err err;

	spd_destroy(spd);
	spd = NULL;
	ck_assert_msg(spd_create("test", set.rules, set.n, SOCKET_ID_ANY, &spd, &err) == 0, "spd_create: %s",
		err.text);
}

static void setup(void)
{
	eal_setup();
	memset(&drops, 0, sizeof(drops));
	memset(counters, 0, sizeof(counters));
	errors.n = 0;
	memset(sas, 0, sizeof(sas));
	for (unsigned i = 0; i < 2; i++)
		sas[i].counters = &counters[i];
}

static void teardown(void)
{
	spd_destroy(spd);
	spd = NULL;
	set_clear();
	eal_teardown();
}

/* A new last entry that matches every packet. */
static struct selector *rule_add(enum policy_action action, struct sa *sa)
{
	struct selector *selector = &set.selectors[set.n];

	ck_assert_uint_lt(set.n, RULES_MAX);
	selector_init(selector);
	set.rules[set.n++] = (struct spd_rule){.selector = selector, .action = action, .sa = sa};
	return selector;
}

static void range_append(struct ip_range **ranges, size_t *n_ranges, struct ip_range range)
{
	*ranges = realloc(*ranges, (*n_ranges + 1) * sizeof(range));
	(*ranges)[(*n_ranges)++] = range;
}

static struct ip_range range_of(const char *text)
{
	struct ip_range range;

	ck_assert_int_eq(ip_range_parse(text, &range), 0);
	return range;
}

static void source_add(struct selector *selector, const char *text)
{
	range_append(&selector->sources, &selector->n_sources, range_of(text));
}

static void destination_add(struct selector *selector, const char *text)
{
	range_append(&selector->destinations, &selector->n_destinations, range_of(text));
}

/* The index of the entry that the packet matches, or -1. */
static int find(const struct packet_spec *spec)
{
	struct rte_mbuf *m = packet_mbuf(spec);
	const struct spd_entry *entry;
	int index;

	spd_find(spd, &m, 1, &entry);
	index = entry ? (int)entry->index : -1;
	rte_pktmbuf_free(m);
	return index;
}

static int find_source(const char *source)
{
	return find(&(struct packet_spec){.source = source});
}

static int find_ports(uint8_t protocol, uint16_t source_port, uint16_t destination_port)
{
	return find(&(struct packet_spec){
		.protocol = protocol, .source_port = source_port, .destination_port = destination_port});
}

/* SPD-2 */
START_TEST(the_first_entry_that_matches_wins)
{
	source_add(rule_add(POLICY_BYPASS, NULL), "10.1.0.1");
	source_add(rule_add(POLICY_DISCARD, NULL), "10.1.0.0/24");
	source_add(rule_add(POLICY_BYPASS, NULL), "10.1.0.2");
	rule_add(POLICY_DISCARD, NULL);
	rule_add(POLICY_BYPASS, NULL);
	spd_build();
	ck_assert_int_eq(find_source("10.1.0.1"), 0);
	ck_assert_int_eq(find_source("10.1.0.2"), 1);
	ck_assert_int_eq(find_source("10.1.1.0"), 3);
	ck_assert_int_eq(find_source("fd00::1"), 3);
}
END_TEST

/* SPD-6 */
START_TEST(a_range_that_is_no_prefix_has_exact_edges)
{
	source_add(rule_add(POLICY_BYPASS, NULL), "10.0.0.5-10.0.0.9");
	spd_build();
	ck_assert_int_eq(find_source("10.0.0.4"), -1);
	ck_assert_int_eq(find_source("10.0.0.5"), 0);
	ck_assert_int_eq(find_source("10.0.0.9"), 0);
	ck_assert_int_eq(find_source("10.0.0.10"), -1);
}
END_TEST

/* SPD-6: first and last differ in each of the four words of the key. */
START_TEST(an_ipv6_range_has_exact_edges)
{
	source_add(rule_add(POLICY_BYPASS, NULL), "2001:db8::5-2002:1:2:3:4:5:6:7");
	spd_build();
	ck_assert_int_eq(find_source("2001:db8::4"), -1);
	ck_assert_int_eq(find_source("2001:db8::5"), 0);
	ck_assert_int_eq(find_source("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 0);
	ck_assert_int_eq(find_source("2002:1:2:3:4:5:6:7"), 0);
	ck_assert_int_eq(find_source("2002:1:2:3:4:5:6:8"), -1);
	ck_assert_int_eq(find_source("2002:1:2:3:4:6::"), -1);
}
END_TEST

/* SPD-6 */
START_TEST(any_source_of_a_list_goes_with_any_destination)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);

	source_add(selector, "10.1.0.0/24");
	source_add(selector, "10.3.0.7");
	destination_add(selector, "10.2.0.0/24");
	destination_add(selector, "10.4.0.1-10.4.0.2");
	spd_build();
	ck_assert_int_eq(find(&(struct packet_spec){.source = "10.1.0.255", .destination = "10.2.0.0"}), 0);
	ck_assert_int_eq(find(&(struct packet_spec){.source = "10.1.0.255", .destination = "10.4.0.2"}), 0);
	ck_assert_int_eq(find(&(struct packet_spec){.source = "10.3.0.7", .destination = "10.4.0.1"}), 0);
	ck_assert_int_eq(find(&(struct packet_spec){.source = "10.3.0.7", .destination = "10.4.0.3"}), -1);
	ck_assert_int_eq(find(&(struct packet_spec){.source = "10.2.0.0", .destination = "10.1.0.255"}), -1);
}
END_TEST

START_TEST(an_entry_of_one_family_matches_no_packet_of_the_other)
{
	source_add(rule_add(POLICY_BYPASS, NULL), "::/0");
	destination_add(rule_add(POLICY_BYPASS, NULL), "0.0.0.0/0");
	spd_build();
	ck_assert_int_eq(find(&(struct packet_spec){.family = IP_V6}), 0);
	ck_assert_int_eq(find(&(struct packet_spec){.family = IP_V4}), 1);
}
END_TEST

START_TEST(sources_of_one_family_and_destinations_of_the_other_match_nothing)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);

	source_add(selector, "::/0");
	destination_add(selector, "0.0.0.0/0");
	spd_build();
	ck_assert_int_eq(find(&(struct packet_spec){.family = IP_V6}), -1);
	ck_assert_int_eq(find(&(struct packet_spec){.family = IP_V4}), -1);
}
END_TEST

/* SPD-6 */
START_TEST(a_protocol_matches_itself_alone)
{
	rule_add(POLICY_BYPASS, NULL)->protocol = 47;
	rule_add(POLICY_BYPASS, NULL)->protocol = IPPROTO_NUMBER_TCP;
	spd_build();
	ck_assert_int_eq(find(&(struct packet_spec){.protocol = 47}), 0);
	ck_assert_int_eq(find(&(struct packet_spec){.protocol = IPPROTO_TCP}), 1);
	ck_assert_int_eq(find(&(struct packet_spec){.protocol = 46}), -1);
	ck_assert_int_eq(find(&(struct packet_spec){.protocol = 48}), -1);
}
END_TEST

/* SPD-6 */
START_TEST(port_ranges_have_exact_edges)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);

	selector->source_ports = (struct port_range){1000, 2000};
	selector->destination_ports = (struct port_range){80, 80};
	spd_build();
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 1000, 80), 0);
	ck_assert_int_eq(find_ports(IPPROTO_UDP, 2000, 80), 0);
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 999, 80), -1);
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 2001, 80), -1);
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 1000, 79), -1);
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 1000, 81), -1);
}
END_TEST

/* SPD-6 */
START_TEST(icmp_type_and_code_have_exact_edges)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);

	selector->protocol = IPPROTO_NUMBER_ICMP;
	selector->source_ports = (struct port_range){3, 3};
	selector->destination_ports = (struct port_range){4, 13};
	spd_build();
	ck_assert_int_eq(find_ports(IPPROTO_ICMP, 3, 4), 0);
	ck_assert_int_eq(find_ports(IPPROTO_ICMP, 3, 13), 0);
	ck_assert_int_eq(find_ports(IPPROTO_ICMP, 3, 3), -1);
	ck_assert_int_eq(find_ports(IPPROTO_ICMP, 3, 14), -1);
	ck_assert_int_eq(find_ports(IPPROTO_ICMP, 2, 4), -1);
	ck_assert_int_eq(find_ports(IPPROTO_ICMP, 4, 4), -1);
}
END_TEST

/* SPD-8: not even a range of all ports but one, whose value 0 is what a fragment's key has. */
START_TEST(a_later_fragment_matches_no_port)
{
	struct packet_spec fragment = {
		.protocol = IPPROTO_TCP, .fragment_offset_bytes = 8, .payload_bytes = 64};
	struct packet_spec first = {.protocol = IPPROTO_TCP, .more_fragments = true, .payload_bytes = 64};

	rule_add(POLICY_BYPASS, NULL)->destination_ports = (struct port_range){0, SELECTOR_PORT_LAST - 1};
	rule_add(POLICY_BYPASS, NULL)->source_ports = (struct port_range){0, 0};
	spd_build();
	for (uint8_t family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
		fragment.family = first.family = family;
		ck_assert_int_eq(find(&fragment), -1);
		ck_assert_int_eq(find(&first), 0);
	}
	rule_add(POLICY_BYPASS, NULL)->protocol = IPPROTO_NUMBER_TCP;
	spd_build();
	for (uint8_t family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
		fragment.family = family;
		ck_assert_int_eq(find(&fragment), 2);
	}
}
END_TEST

/* SPD-6, FRG-2: what can't be seen is for OPAQUE, what can be is not. */
START_TEST(opaque_matches_what_can_not_be_seen)
{
	struct packet_spec fragment = {
		.protocol = IPPROTO_TCP, .fragment_offset_bytes = 8, .payload_bytes = 64};
	struct packet_spec first = {.protocol = IPPROTO_TCP, .more_fragments = true, .payload_bytes = 64};

	rule_add(POLICY_BYPASS, NULL)->protocol = SELECTOR_PROTOCOL_OPAQUE;
	rule_add(POLICY_BYPASS, NULL)->protocol = IPPROTO_DSTOPTS;
	rule_add(POLICY_BYPASS, NULL)->destination_ports = (struct port_range)SELECTOR_PORTS_OPAQUE;
	rule_add(POLICY_BYPASS, NULL);
	spd_build();
	ck_assert(spd_reads_opaque(spd) && !spd_reads_ports(spd));
	for (uint8_t family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
		fragment.family = first.family = family;
		ck_assert_int_eq(find(&fragment), 2);
		ck_assert_int_eq(find(&first), 3);
	}
	/* The fragment header says that destination options come next, and they are elsewhere. */
	fragment.protocol = IPPROTO_DSTOPTS;
	ck_assert_int_eq(find(&fragment), 0);
	/* To IPv4 it is a number like any. */
	fragment.family = IP_V4;
	ck_assert_int_eq(find(&fragment), 1);
}
END_TEST

/* SPD-6 */
START_TEST(mobility_header_types_have_exact_edges)
{
	static const uint8_t header[8] = {59};
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);
	uint8_t bytes[8];

	selector->protocol = IPPROTO_NUMBER_MH;
	selector->source_ports = (struct port_range){5, 7};
	spd_build();
	memcpy(bytes, header, sizeof(bytes));
	for (int type = 0; type <= UINT8_MAX; type++) {
		bytes[2] = (uint8_t)type;
		ck_assert_int_eq(find(&(struct packet_spec){.family = IP_V6,
					 .protocol = IPPROTO_MH,
					 .payload = bytes,
					 .payload_bytes = sizeof(bytes)}),
			type >= 5 && type <= 7 ? 0 : -1);
	}
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 5, 0), -1);
}
END_TEST

/* SPD-8 */
START_TEST(a_packet_without_ports_matches_no_port)
{
	rule_add(POLICY_BYPASS, NULL)->source_ports = (struct port_range){0, 0};
	spd_build();
	ck_assert_int_eq(find(&(struct packet_spec){.protocol = IPPROTO_ESP, .payload_bytes = 40}), -1);
	ck_assert_int_eq(find_ports(IPPROTO_TCP, 0, 0), 0);
}
END_TEST

START_TEST(a_selector_with_too_many_prefixes_is_refused)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);
	struct err err;

	/*
	 * 19 * 254 sources times as many destinations are 23 million pairs, and 2^32 bytes have room for 20.
	 */
	for (unsigned i = 0; i < 19; i++) {
		source_add(selector, "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
		destination_add(selector, "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
	}
	ck_assert_int_eq(spd_create("big", set.rules, set.n, SOCKET_ID_ANY, &spd, &err), -E2BIG);
	ck_assert_ptr_nonnull(strstr(err.text, "23290276"));
	ck_assert_ptr_null(spd);
}
END_TEST

START_TEST(two_spds_of_one_name_are_refused)
{
	struct spd *other = NULL;
	struct err err;

	rule_add(POLICY_BYPASS, NULL);
	spd_build();
	ck_assert_int_eq(spd_create("test", set.rules, set.n, SOCKET_ID_ANY, &other, &err), -EEXIST);
	ck_assert_ptr_null(other);
	ck_assert_int_eq(find_source("10.0.0.1"), 0);
}
END_TEST

/*
 * The SPD against selector_match, which is the definition, tried on one entry after the other.
 * Addresses come from a few small blocks, so that random entries overlap and random packets hit them.
 */
#define SETS         ASAN_ROUNDS(40)
#define BURSTS       440 /* for each set, 26,144 packets */
#define RANDOM_RULES 24
#define NARROW_RULES 12
#define BLOCKS       4
#define SET_KINDS    3

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 16) % limit);
}

/* The bits that vary are in two words of an IPv6 key. */
static struct ip_addr random_addr(uint8_t family)
{
	struct ip_addr addr = {.family = family};
	uint8_t block = (uint8_t)random_below(BLOCKS);

	if (family == IP_V4)
		memcpy(addr.bytes, (uint8_t[]){10, 0, block}, 3);
	else
		memcpy(addr.bytes, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, block}, 8);
	addr.bytes[ip_family_bytes(family) - 1] = (uint8_t)random_below(256);
	return addr;
}

/* A range of any two addresses of a block, which is rarely a prefix; at times of two blocks. */
static struct ip_range random_span(uint8_t family)
{
	struct ip_addr a = random_addr(family), b = random_addr(family);

	if (random_below(8))
		memcpy(b.bytes, a.bytes, ip_family_bytes(family) - 1);
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) <= 0 ? (struct ip_range){a, b}
							      : (struct ip_range){b, a};
}

/* A prefix of any length or of a long one, a span, or a single address. */
static struct ip_range random_range(uint8_t family)
{
	struct ip_prefix prefix = {.addr = random_addr(family)};
	unsigned bits = ip_family_bits(family);
	uint32_t dice = random_below(8);

	if (dice < 3)
		return random_span(family);
	if (dice == 3)
		prefix.length_bits = (uint8_t)random_below(bits + 1);
	else
		prefix.length_bits = (uint8_t)(bits - random_below(dice == 4 ? 1 : 9));
	return ip_prefix_range(&prefix);
}

/* 0, 44 and 60 hide the protocol of an IPv6 packet. */
static uint8_t random_protocol(void)
{
	static const uint8_t protocols[] = {
		IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_MH, 0, 44, 50, 60, 255};

	return protocols[random_below(sizeof(protocols))];
}

static struct port_range random_ports(void)
{
	static const struct port_range usual[] = {{0, SELECTOR_PORT_LAST}, {0, SELECTOR_PORT_LAST},
		{0, SELECTOR_PORT_LAST}, {1, SELECTOR_PORT_LAST}, {0, SELECTOR_PORT_LAST - 1}, {0, 0}, {3, 3},
		{255, 256}, {1024, SELECTOR_PORT_LAST}, {SELECTOR_PORT_LAST, SELECTOR_PORT_LAST}};
	uint16_t a = (uint16_t)random_below(SELECTOR_PORT_LAST + 1);
	uint16_t b = (uint16_t)random_below(SELECTOR_PORT_LAST + 1);

	if (random_below(4) == 0)
		return (struct port_range){RTE_MIN(a, b), RTE_MAX(a, b)};
	if (random_below(6) == 0)
		return (struct port_range)SELECTOR_PORTS_OPAQUE;
	return usual[random_below(sizeof(usual) / sizeof(usual[0]))];
}

/* All of a selector but its addresses. */
static void random_rest(struct selector *selector)
{
	if (random_below(3))
		selector->protocol = random_below(8) ? random_protocol() : SELECTOR_PROTOCOL_OPAQUE;
	selector->source_ports = random_ports();
	selector->destination_ports = random_ports();
}

static void random_list(struct ip_range **ranges, size_t *n_ranges, uint8_t family)
{
	uint32_t n = random_below(RANGES_MAX + 1);

	for (uint32_t i = 0; i < n; i++)
		range_append(
			ranges, n_ranges, random_range(random_below(8) ? family : IP_V4 + IP_V6 - family));
}

static void random_rule_add(void)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);
	uint8_t family = random_below(2) ? IP_V4 : IP_V6;

	random_list(&selector->sources, &selector->n_sources, family);
	random_list(&selector->destinations, &selector->n_destinations, family);
	random_rest(selector);
}

/* A pair of prefix lengths. */
struct lengths {
	uint8_t family;
	uint8_t source_bits;
	uint8_t destination_bits;
};

static const struct lengths narrow_lengths[LENGTHS_MAX] = {{IP_V4, 24, 24}, {IP_V6, 64, 64}, {IP_V4, 32, 32},
	{IP_V6, 128, 128}, {IP_V4, 0, 25}, {IP_V6, 0, 120}, {IP_V4, 22, 30}, {IP_V6, 62, 126},
	{IP_V4, 31, 22}};

static struct ip_range cut(struct ip_addr addr, uint8_t bits)
{
	struct ip_prefix prefix = {addr, bits};

	return ip_prefix_range(&prefix);
}

static struct selector *pair_add(struct ip_range source, struct ip_range destination)
{
	struct selector *selector = rule_add(POLICY_BYPASS, NULL);

	range_append(&selector->sources, &selector->n_sources, source);
	range_append(&selector->destinations, &selector->n_destinations, destination);
	return selector;
}

static struct selector *narrow_add(
	const struct lengths *lengths, struct ip_addr source, struct ip_addr destination)
{
	return pair_add(cut(source, lengths->source_bits), cut(destination, lengths->destination_bits));
}

/*
 * So many as make a tuple of the table of pairs, for destinations that no random packet has: none that is
 * next to a prefix of random addresses, as 2001:db9:: is.
 */
static void fillers_add(const struct lengths *lengths)
{
	for (unsigned i = 0; i < SPD_PAIRS_RULES_MIN; i++) {
		struct ip_addr destination = {.family = lengths->family};
		uint8_t high = (uint8_t)(i >> 6), low = (uint8_t)(i << 2);

		if (lengths->family == IP_V4)
			memcpy(destination.bytes, (uint8_t[]){172, high, low, 0}, 4);
		else
			memcpy(destination.bytes, (uint8_t[]){0x20, 1, 0x0d, 0xb9, 1, 0, high, low}, 8);
		narrow_add(lengths, random_addr(lengths->family), destination);
	}
}

static void random_narrow(struct selector *selector)
{
	if (random_below(2))
		selector->protocol = random_below(8) ? random_protocol() : SELECTOR_PROTOCOL_OPAQUE;
	if (random_below(2))
		selector->source_ports = random_ports();
	if (random_below(2))
		selector->destination_ports = random_ports();
}

/* Of one of the first n pairs of lengths. */
static void random_narrow_add(uint32_t n)
{
	const struct lengths *lengths = &narrow_lengths[random_below(n)];

	random_narrow(narrow_add(lengths, random_addr(lengths->family), random_addr(lengths->family)));
}

/* The prefixes are those of that narrow entry. */
static void random_same_add(const struct selector *same)
{
	random_narrow(pair_add(same->sources[0], same->destinations[0]));
}

/* Entries of all kinds, too few for the table of pairs. */
static void wide_set_make(void)
{
	for (unsigned i = 0; i < RANDOM_RULES; i++)
		random_rule_add();
	set.last = set.n;
}

/* Wide and narrow entries in turn, with up to one tuple more than there can be, before or after them. */
static void mixed_set_make(void)
{
	uint32_t n_lengths = 1 + random_below(LENGTHS_MAX);
	bool fillers_first = random_below(2);

	for (uint32_t i = 0; fillers_first && i < n_lengths; i++)
		fillers_add(&narrow_lengths[i]);
	set.first = set.n;
	for (unsigned i = 0; i < RANDOM_RULES; i++) {
		random_narrow_add(n_lengths);
		if (random_below(3) == 0)
			random_same_add(&set.selectors[set.n - 1]);
		if (random_below(2))
			random_rule_add();
	}
	set.last = set.n;
	for (uint32_t i = 0; !fillers_first && i < n_lengths; i++)
		fillers_add(&narrow_lengths[i]);
}

/* Narrow entries alone, and so many of the same prefixes that rte_acl gets some after all. */
static void narrow_set_make(void)
{
	for (unsigned i = 0; i < NARROW_RULES; i++)
		random_narrow_add(SPD_PAIRS_ALONE_MAX);
	for (unsigned i = 0; i < NARROW_RULES; i++)
		random_same_add(&set.selectors[0]);
	set.last = set.n;
}

/* The neighbour of an address: one higher, or one lower; it may wrap. */
static void addr_step(struct ip_addr *addr, bool up)
{
	for (size_t i = ip_family_bytes(addr->family); i-- > 0;) {
		addr->bytes[i] = (uint8_t)(up ? addr->bytes[i] + 1 : addr->bytes[i] - 1);
		if (addr->bytes[i] != (up ? 0 : UINT8_MAX))
			return;
	}
}

/* An address at one of the edges of a list, inside or outside by one, or any. */
static struct ip_addr addr_near(const struct ip_range *ranges, size_t n_ranges, uint8_t family)
{
	const struct ip_range *range = n_ranges ? &ranges[random_below((uint32_t)n_ranges)] : NULL;
	uint32_t dice = random_below(6);
	struct ip_addr addr;

	if (!range || range->first.family != family || dice >= 4)
		return random_addr(family);
	addr = dice & 1 ? range->first : range->last;
	if (dice & 2)
		addr_step(&addr, random_below(2));
	return addr;
}

static uint16_t port_near(struct port_range range)
{
	uint16_t edge = random_below(2) ? range.first : range.last;

	switch (random_below(4)) {
	case 0:
		return (uint16_t)random_below(SELECTOR_PORT_LAST + 1);
	case 1:
		return edge;
	default:
		return (uint16_t)(edge + random_below(3) - 1);
	}
}

/* Make the packet one that is near an entry of the set. */
static void packet_randomise(struct rte_mbuf *m)
{
	const struct selector *near =
		&set.selectors[set.first + random_below((uint32_t)(set.last - set.first))];
	uint8_t family = random_below(2) ? IP_V4 : IP_V6;
	struct ip_addr source, destination;
	struct pkt *p = pkt_of(m);

	if (near->n_sources)
		family = near->sources[0].first.family;
	source = addr_near(near->sources, near->n_sources, family);
	destination = addr_near(near->destinations, near->n_destinations, family);
	*p = (struct pkt){
		.family = family,
		.flags = random_below(5) ? PKT_HAS_PORTS : PKT_FRAGMENT | PKT_LATER_FRAGMENT,
		.protocol =
			near->protocol >= 0 && random_below(8) ? (uint8_t)near->protocol : random_protocol(),
	};
	if (p->flags & PKT_HAS_PORTS) {
		p->source_port = port_near(near->source_ports);
		p->destination_port = port_near(near->destination_ports);
	}
	if (family == IP_V4) {
		memcpy(&pkt_ipv4(m)->src_addr, source.bytes, 4);
		memcpy(&pkt_ipv4(m)->dst_addr, destination.bytes, 4);
	} else {
		memcpy(pkt_ipv6(m)->src_addr, source.bytes, 16);
		memcpy(pkt_ipv6(m)->dst_addr, destination.bytes, 16);
	}
}

static int linear_search(struct rte_mbuf *m)
{
	struct flow flow = pkt_flow(m);

	for (size_t i = set.first; i < set.last; i++)
		if (selector_match(&set.selectors[i], &flow))
			return (int)i;
	return -1;
}

/* Compare one mixed burst of n packets; returns how many matched some entry. */
static unsigned compare_burst(struct rte_mbuf **pkts, uint16_t n)
{
	const struct spd_entry *entries[BURST_MAX];
	unsigned n_matched = 0;

	for (uint16_t i = 0; i < n; i++)
		packet_randomise(pkts[i]);
	spd_find(spd, pkts, n, entries);
	for (uint16_t i = 0; i < n; i++) {
		int found = entries[i] ? (int)entries[i]->index : -1;
		int expected = linear_search(pkts[i]);

		if (found != expected)
			ck_abort_msg("entry %d found, %d expected (seed state %lu)", found, expected,
				random_state);
		n_matched += found >= 0;
	}
	return n_matched;
}

/* SPD-2, SPD-6, SPD-8 */
START_TEST(the_spd_agrees_with_a_search_in_order)
{
	static void (*const makers[SET_KINDS])(void) = {wide_set_make, mixed_set_make, narrow_set_make};
	static const uint8_t blank[sizeof(struct rte_ipv6_hdr)];
	struct rte_mbuf *pkts[BURST_MAX];
	unsigned n_matched = 0, n_packets = 0;

	random_state = 88172645463325252u;
	for (uint16_t i = 0; i < BURST_MAX; i++)
		pkts[i] = mbuf_of(blank, sizeof(blank));
	for (unsigned i = 0; i < SETS; i++) {
		set_clear();
		makers[_i]();
		spd_build();
		for (unsigned j = 0; j < BURSTS; j++) {
			/* Each length of a burst too, for the classifier has another loop for few packets. */
			uint16_t n = (uint16_t)(j < BURST_MAX ? j + 1 : BURST_MAX);

			n_matched += compare_burst(pkts, n);
			n_packets += n;
		}
	}
	for (uint16_t i = 0; i < BURST_MAX; i++)
		rte_pktmbuf_free(pkts[i]);
	/* Neither answer is rare, or the comparison would say little. */
	ck_assert_uint_gt(n_packets, SETS * 25000);
	ck_assert_uint_gt(n_matched, n_packets / 4);
	ck_assert_uint_lt(n_matched, n_packets / 4 * 3);
}
END_TEST

/*
 * The stages. One entry of each action: 10.1.0.1 PROTECT, 10.1.0.2 BYPASS, 10.1.0.3 DISCARD, the rest none.
 */
static const char *const stage_sources[] = {"10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"};

enum {
	PACKET_PROTECT,
	PACKET_BYPASS,
	PACKET_DISCARD,
	PACKET_UNMATCHED,
	PACKETS,
};

static struct burst stage_start(void)
{
	struct burst burst = {0};

	source_add(rule_add(POLICY_PROTECT, &sas[0]), stage_sources[PACKET_PROTECT]);
	source_add(rule_add(POLICY_BYPASS, NULL), stage_sources[PACKET_BYPASS]);
	source_add(rule_add(POLICY_DISCARD, NULL), stage_sources[PACKET_DISCARD]);
	spd_build();
	for (unsigned i = 0; i < PACKETS; i++)
		burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.source = stage_sources[i]}));
	return burst;
}

static void burst_free(struct burst *burst)
{
	for (uint16_t i = 0; i < burst->n; i++)
		rte_pktmbuf_free(burst->pkts[i]);
	burst->n = 0;
}

static uint64_t dropped(enum drop_reason reason)
{
	return drops.count[0][reason];
}

static void entry_apply(struct pkt *p, const struct spd_entry *entry)
{
	p->policy_sa = entry ? entry->sa : NULL;
	p->policy = entry ? entry->index : 0;
	p->action = entry ? entry->action : SPD_NO_POLICY;
}

/* What the flow cache does for the stages. */
static void entries_find(struct burst *burst)
{
	const struct spd_entry *entries[BURST_MAX];

	spd_find(spd, burst->pkts, burst->n, entries);
	for (uint16_t i = 0; i < burst->n; i++)
		entry_apply(pkt_of(burst->pkts[i]), entries[i]);
}

/* SPD-1, SPD-3 */
START_TEST(outbound_packets_go_the_way_of_their_policy)
{
	struct burst burst = stage_start();
	struct burst protect = {0}, no_sa = {0};
	struct rte_mbuf *to_protect = burst.pkts[PACKET_PROTECT];
	struct rte_mbuf *to_bypass = burst.pkts[PACKET_BYPASS];

	entries_find(&burst);
	spd_out(&burst, &protect, &no_sa, &errors, &drops);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_ptr_eq(burst.pkts[0], to_bypass);
	ck_assert_uint_eq(pkt_of(to_bypass)->policy, 1);
	ck_assert_uint_eq(protect.n, 1);
	ck_assert_ptr_eq(protect.pkts[0], to_protect);
	ck_assert_ptr_eq(pkt_of(to_protect)->sa, &sas[0]);
	ck_assert_uint_eq(dropped(DROP_out_policy_block), 1);
	ck_assert_uint_eq(dropped(DROP_out_no_policy), 1);
	ck_assert_uint_eq(drops.total, 2);
	burst_free(&burst);
	burst_free(&protect);
}
END_TEST

/* SPD-1, SPD-3, SPD-4 */
START_TEST(a_packet_in_clear_that_a_policy_protects_is_dropped)
{
	struct burst burst = stage_start();
	struct rte_mbuf *to_bypass = burst.pkts[PACKET_BYPASS];

	entries_find(&burst);
	spd_in_clear(&burst, &drops);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_ptr_eq(burst.pkts[0], to_bypass);
	ck_assert_uint_eq(dropped(DROP_in_tmpl_mismatch), 1);
	ck_assert_uint_eq(dropped(DROP_in_policy_block), 1);
	ck_assert_uint_eq(dropped(DROP_in_no_policy), 1);
	ck_assert_uint_eq(drops.total, 3);
	burst_free(&burst);
}
END_TEST

/* SPD-4 holds for the gateway's own addresses too. */
START_TEST(a_packet_to_the_gateway_is_kept_where_no_policy_matches)
{
	struct burst burst = stage_start();
	struct rte_mbuf *to_bypass = burst.pkts[PACKET_BYPASS];
	struct rte_mbuf *unmatched = burst.pkts[PACKET_UNMATCHED];

	entries_find(&burst);
	spd_in_host(&burst, &drops);
	ck_assert_uint_eq(burst.n, 2);
	ck_assert_ptr_eq(burst.pkts[0], to_bypass);
	ck_assert_ptr_eq(burst.pkts[1], unmatched);
	ck_assert_uint_eq(dropped(DROP_in_tmpl_mismatch), 1);
	ck_assert_uint_eq(dropped(DROP_in_policy_block), 1);
	ck_assert_uint_eq(drops.total, 2);
	burst_free(&burst);
}
END_TEST

/* SPD-5: out of the right SA. BYPASS is not what an SA may carry. */
START_TEST(a_packet_out_of_the_policys_own_sa_is_kept)
{
	struct burst burst = stage_start();
	struct rte_mbuf *protected = burst.pkts[PACKET_PROTECT];

	for (uint16_t i = 0; i < burst.n; i++)
		pkt_of(burst.pkts[i])->sa = &sas[0];
	entries_find(&burst);
	spd_in_selector(&burst, NULL, &errors, &tally);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_ptr_eq(burst.pkts[0], protected);
	ck_assert_uint_eq(dropped(DROP_in_selector), 3);
	ck_assert_uint_eq(counters[0].drops[SA_DROP_in_selector], 3);
	ck_assert_uint_eq(drops.total, 3);
	burst_free(&burst);
}
END_TEST

/* SPD-5 */
START_TEST(a_packet_out_of_another_sa_is_dropped)
{
	struct burst burst = stage_start();

	for (uint16_t i = 0; i < burst.n; i++)
		pkt_of(burst.pkts[i])->sa = &sas[1];
	entries_find(&burst);
	spd_in_selector(&burst, NULL, &errors, &tally);
	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(dropped(DROP_in_selector), 4);
	ck_assert_uint_eq(counters[1].drops[SA_DROP_in_selector], 4);
	ck_assert_uint_eq(counters[0].drops[SA_DROP_in_selector], 0);
	ck_assert_uint_eq(drops.total, 4);
}
END_TEST

/* SPD-5, SPD-11: an alternative of the packet's own policy is as good as its SA, and that of another is not.
 */
START_TEST(a_packet_out_of_an_alternative_of_its_policy_is_kept)
{
	for (uint32_t policy = 0; policy < 4; policy++) {
		struct burst burst = stage_start();
		struct alternatives *alternatives = NULL;
		struct err err;

		ck_assert_int_eq(alternatives_create(4, 1, SOCKET_ID_ANY, &alternatives, &err), 0);
		alternatives_add(alternatives, policy, &(struct alternative){.sa = &sas[1]});
		for (uint16_t i = 0; i < burst.n; i++)
			pkt_of(burst.pkts[i])->sa = &sas[1];
		entries_find(&burst);
		uint32_t protects = pkt_of(burst.pkts[PACKET_PROTECT])->policy;
		spd_in_selector(&burst, alternatives, &errors, &tally);
		ck_assert_uint_eq(burst.n, policy == protects);
		burst_free(&burst);
		alternatives_destroy(alternatives);
	}
}
END_TEST

/*
 * RFC 4301 section 4.4.1: an earlier policy takes its packets away from a later one, also for the SA's check.
 */
START_TEST(a_policy_for_part_of_anothers_packets_has_its_own_sa)
{
	struct burst burst = {0};

	source_add(rule_add(POLICY_PROTECT, &sas[1]), "10.1.0.1");
	source_add(rule_add(POLICY_PROTECT, &sas[0]), "10.1.0.0/24");
	spd_build();
	for (unsigned i = 0; i < 2; i++) {
		burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.source = stage_sources[i]}));
		pkt_of(burst.pkts[i])->sa = &sas[0];
	}
	entries_find(&burst);
	spd_in_selector(&burst, NULL, &errors, &tally);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->policy, 1);
	ck_assert_uint_eq(dropped(DROP_in_selector), 1);
	burst_free(&burst);
}
END_TEST

static struct burst burst_of_both_families(void)
{
	struct burst burst = {0};

	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.family = IP_V4}));
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.family = IP_V6}));
	return burst;
}

/* SPD-3 */
START_TEST(an_empty_spd_lets_nothing_through)
{
	struct burst burst = burst_of_both_families();
	struct burst protect = {0}, no_sa = {0};

	spd_build();
	entries_find(&burst);
	spd_out(&burst, &protect, &no_sa, &errors, &drops);
	ck_assert_uint_eq(burst.n + protect.n, 0);
	ck_assert_uint_eq(dropped(DROP_out_no_policy), 2);
	burst = burst_of_both_families();
	entries_find(&burst);
	spd_in_clear(&burst, &drops);
	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(dropped(DROP_in_no_policy), 2);
	burst = burst_of_both_families();
	pkt_of(burst.pkts[0])->sa = pkt_of(burst.pkts[1])->sa = &sas[0];
	entries_find(&burst);
	spd_in_selector(&burst, NULL, &errors, &tally);
	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(dropped(DROP_in_selector), 2);
}
END_TEST

static struct burst burst_of_icmp(uint8_t type, const char *source)
{
	struct burst burst = {0};

	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.source = source,
				      .protocol = IPPROTO_ICMP,
				      .source_port = type,
				      .payload_bytes = 28}));
	pkt_of(burst.pkts[0])->sa = &sas[0];
	return burst;
}

/* ICM-2: errors alone, and only where no policy has said what is to become of them. */
START_TEST(icmp_errors_without_a_policy_are_set_aside)
{
	struct burst protect = {0}, no_sa = {0};

	source_add(rule_add(POLICY_DISCARD, NULL), "10.9.0.0/24");
	source_add(rule_add(POLICY_PROTECT, &sas[1]), "10.8.0.0/24");
	spd_build();
	for (int i = 0; i < 3; i++) {
		struct burst out = burst_of_icmp(i == 0 ? 8 : 11, i == 1 ? "10.9.0.1" : "10.1.0.1");
		struct burst in = burst_of_icmp(i == 0 ? 8 : 11, i == 1 ? "10.9.0.1" : "10.8.0.1");

		entries_find(&out);
		spd_out(&out, &protect, &no_sa, &errors, &drops);
		ck_assert_uint_eq(errors.n, i == 2);
		entries_find(&in);
		spd_in_selector(&in, NULL, &errors, &tally);
		ck_assert_uint_eq(errors.n, i == 2 ? 2 : 0);
		ck_assert_uint_eq(out.n + in.n + protect.n, 0);
	}
	ck_assert_uint_eq(dropped(DROP_in_selector), 2);
	ck_assert_uint_eq(dropped(DROP_out_no_policy), 1);
	ck_assert_uint_eq(dropped(DROP_out_policy_block), 1);
	burst_free(&errors);
}
END_TEST

START_TEST(an_entry_says_whether_it_takes_icmp_errors) // ICM-2
{
	rule_add(POLICY_PROTECT, &sas[0]);
	set.rules[0].icmp_errors = true;
	rule_add(POLICY_PROTECT, &sas[1]);
	spd_build();
	ck_assert(spd_takes_icmp_errors(spd, 0));
	ck_assert(!spd_takes_icmp_errors(spd, 1));
}
END_TEST

/* SPD-10 */
START_TEST(a_packet_to_protect_without_an_sa_is_parted_from_the_others)
{
	struct burst burst = stage_start();
	struct burst protect = {0}, no_sa = {0};
	struct rte_mbuf *to_protect = burst.pkts[PACKET_PROTECT];

	entries_find(&burst);
	pkt_of(to_protect)->policy_sa = NULL;
	spd_out(&burst, &protect, &no_sa, &errors, &drops);
	ck_assert_uint_eq(protect.n, 0);
	ck_assert_uint_eq(no_sa.n, 1);
	ck_assert_ptr_eq(no_sa.pkts[0], to_protect);
	burst_free(&no_sa);
	burst_free(&burst);
}
END_TEST

START_TEST(an_empty_burst_stays_empty)
{
	struct burst burst = stage_start();
	struct burst protect = {0}, no_sa = {0};

	burst_free(&burst);
	spd_out(&burst, &protect, &no_sa, &errors, &drops);
	spd_in_clear(&burst, &drops);
	spd_in_host(&burst, &drops);
	spd_in_selector(&burst, NULL, &errors, &tally);
	ck_assert_uint_eq(burst.n + protect.n, 0);
	ck_assert_uint_eq(drops.total, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/spd");
	TCase *cases = tcase_create("spd");

	suite_add_tcase(suite, cases);
	tcase_set_timeout(cases, 120);
	tcase_add_checked_fixture(cases, setup, teardown);
	tcase_add_test(cases, the_first_entry_that_matches_wins);
	tcase_add_test(cases, a_range_that_is_no_prefix_has_exact_edges);
	tcase_add_test(cases, an_ipv6_range_has_exact_edges);
	tcase_add_test(cases, any_source_of_a_list_goes_with_any_destination);
	tcase_add_test(cases, an_entry_of_one_family_matches_no_packet_of_the_other);
	tcase_add_test(cases, sources_of_one_family_and_destinations_of_the_other_match_nothing);
	tcase_add_test(cases, a_protocol_matches_itself_alone);
	tcase_add_test(cases, port_ranges_have_exact_edges);
	tcase_add_test(cases, icmp_type_and_code_have_exact_edges);
	tcase_add_test(cases, a_later_fragment_matches_no_port);
	tcase_add_test(cases, opaque_matches_what_can_not_be_seen);
	tcase_add_test(cases, mobility_header_types_have_exact_edges);
	tcase_add_test(cases, a_packet_without_ports_matches_no_port);
	tcase_add_test(cases, a_selector_with_too_many_prefixes_is_refused);
	tcase_add_test(cases, two_spds_of_one_name_are_refused);
	tcase_add_loop_test(cases, the_spd_agrees_with_a_search_in_order, 0, SET_KINDS);
	tcase_add_test(cases, outbound_packets_go_the_way_of_their_policy);
	tcase_add_test(cases, a_packet_in_clear_that_a_policy_protects_is_dropped);
	tcase_add_test(cases, a_packet_to_the_gateway_is_kept_where_no_policy_matches);
	tcase_add_test(cases, a_packet_out_of_the_policys_own_sa_is_kept);
	tcase_add_test(cases, a_packet_out_of_another_sa_is_dropped);
	tcase_add_test(cases, a_packet_out_of_an_alternative_of_its_policy_is_kept);
	tcase_add_test(cases, a_policy_for_part_of_anothers_packets_has_its_own_sa);
	tcase_add_test(cases, an_empty_spd_lets_nothing_through);
	tcase_add_test(cases, icmp_errors_without_a_policy_are_set_aside);
	tcase_add_test(cases, an_entry_says_whether_it_takes_icmp_errors);
	tcase_add_test(cases, a_packet_to_protect_without_an_sa_is_parted_from_the_others);
	tcase_add_test(cases, an_empty_burst_stays_empty);
	return eal_run_suite(suite);
}
