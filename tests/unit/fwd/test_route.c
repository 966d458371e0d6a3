#include "fwd/route.h"

#include "fwd/route_few.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sanitizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_lpm.h>
#include <rte_lpm6.h>
#include <rte_random.h>

#define SOCKET 0

/* Random tables: prefixes nest within a few bytes, so that most lookups have several candidates. */
#define RANDOM_NEXT_HOPS 100
#define RANDOM_BURSTS    ASAN_ROUNDS(3000) /* for a table of many routes */
#define RANDOM_TABLES    25                /* of few routes */
#define RANDOM_FEW_LOOKS 30                /* bursts for each */

static struct route route(const char *to, uint8_t port, const char *via)
{
	struct route r = {.via = {.port = port, .mtu_bytes = 1500}};

	ck_assert_int_eq(ip_prefix_parse(to, &r.to), 0);
	if (via)
		ck_assert_int_eq(ip_addr_parse(via, &r.via.gateway), 0);
	return r;
}

static struct route_table *table_of(const struct route *routes, size_t n)
{
	struct route_table *table = NULL;
	struct err err;

	ck_assert_int_eq(route_table_create("test", routes, n, SOCKET, &table, &err), 0);
	return table;
}

static const struct next_hop *find(const struct route_table *table, const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	return route_find(table, &addr);
}

/* What the table must agree with: every route is looked at, and the longest that matches counts. */
static const struct route *oracle(const struct route *routes, size_t n, const struct ip_addr *destination)
{
	const struct route *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (ip_prefix_contains(&routes[i].to, destination) &&
			(!best || routes[i].to.length_bits >= best->to.length_bits))
			best = &routes[i];
	return best;
}

static bool same_hop(const struct next_hop *a, const struct next_hop *b)
{
	return a->port == b->port && a->mtu_bytes == b->mtu_bytes && ip_addr_equal(&a->gateway, &b->gateway);
}

/* Few values in each byte, so that addresses meet prefixes. */
static struct ip_addr random_address(uint8_t family)
{
	struct ip_addr addr = {.family = family};

	for (size_t i = 0; i < ip_family_bytes(family); i++)
		addr.bytes[i] = (uint8_t)(rte_rand_max(3) * 85);
	if (rte_rand_max(4) == 0)
		addr.bytes[ip_family_bytes(family) - 1] = (uint8_t)rte_rand();
	return addr;
}

static void random_routes(struct route *routes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t family = i % 2 ? IP_V6 : IP_V4;
		unsigned hop = (unsigned)rte_rand_max(RANDOM_NEXT_HOPS);

		routes[i] = (struct route){
			.to = {random_address(family), (uint8_t)(1 + rte_rand_max(ip_family_bits(family)))},
			.via = {.port = (uint8_t)(hop % 32),
				.mtu_bytes = 1500,
				.gateway = {.family = family, .bytes = {10, 0, 0, (uint8_t)hop}}},
		};
	}
}

static void set_destination(struct rte_mbuf *m, const struct ip_addr *addr)
{
	memcpy((void *)(uintptr_t)pkt_destination(m), addr->bytes, ip_family_bytes(addr->family));
}

/* Assertions are too slow for each of so many packets. */
static bool like_oracle(const struct route_table *table, const struct route *routes, size_t n,
	const struct ip_addr *destination, bool kept, struct rte_mbuf *m)
{
	const struct route *want = oracle(routes, n, destination);
	const struct next_hop *found = route_find(table, destination);

	if (!want)
		return !kept && !found;
	return kept && found && same_hop(found, &want->via) &&
	       same_hop(route_next_hop(table, pkt_of(m)->next_hop), &want->via) &&
	       pkt_of(m)->port_out == want->via.port;
}

/*
 * One burst of both families mixed, compared packet by packet. References keep dropped packets for the test.
 */
static void lookup_burst_like_oracle(
	const struct route_table *table, const struct route *routes, size_t n, struct rte_mbuf **m)
{
	struct ip_addr destinations[BURST_MAX];
	const uint16_t size = (uint16_t)(1 + rte_rand_max(BURST_MAX));
	struct burst burst = {.n = size};
	struct drops drops = {0};
	uint16_t kept = 0, right = 0;

	for (uint16_t i = 0; i < size; i++) {
		destinations[i] = random_address(pkt_of(m[i])->family);
		set_destination(m[i], &destinations[i]);
		rte_mbuf_refcnt_set(m[i], 2);
		burst.pkts[i] = m[i];
	}
	route_lookup(&burst, table, &drops);
	for (uint16_t i = 0; i < size; i++) {
		bool is_kept = kept < burst.n && burst.pkts[kept] == m[i];

		right += like_oracle(table, routes, n, &destinations[i], is_kept, m[i]);
		kept += is_kept;
	}
	ck_assert_uint_eq(right, size);
	ck_assert_uint_eq(kept, burst.n);
	ck_assert_uint_eq(drops.count[0][DROP_no_route], size - kept);
}

/* A table of so many random routes of each family, bursts of which are held against the linear search. */
static void random_table_like_oracle(unsigned n_each, unsigned n_bursts)
{
	struct route *routes = calloc(2 * n_each, sizeof(*routes));
	struct rte_mbuf *m[BURST_MAX];
	struct route_table *table;

	random_routes(routes, 2 * n_each);
	table = table_of(routes, 2 * n_each);
	for (unsigned i = 0; i < BURST_MAX; i++)
		m[i] = packet_mbuf(&(struct packet_spec){.family = rte_rand_max(2) ? IP_V6 : IP_V4});
	for (unsigned i = 0; i < n_bursts; i++)
		lookup_burst_like_oracle(table, routes, 2 * n_each, m);
	for (unsigned i = 0; i < BURST_MAX; i++) {
		rte_mbuf_refcnt_set(m[i], 1);
		rte_pktmbuf_free(m[i]);
	}
	route_table_destroy(table);
	free(routes);
}

START_TEST(random_lookups_of_many_routes_agree_with_a_linear_search)
{
	random_table_like_oracle(ROUTE_FEW_MAX + 1, RANDOM_BURSTS);
	random_table_like_oracle(60, RANDOM_BURSTS);
}
END_TEST

START_TEST(random_lookups_of_few_routes_agree_with_a_linear_search)
{
	for (unsigned i = 0; i < RANDOM_TABLES; i++)
		for (unsigned n_each = 1; n_each <= ROUTE_FEW_MAX; n_each++)
			random_table_like_oracle(n_each, RANDOM_FEW_LOOKS);
}
END_TEST

/* So many routes to hosts, the last to the address that ends in n. */
static struct route_table *table_of_hosts(const char *name, unsigned n_ipv4, unsigned n_ipv6)
{
	struct route routes[2 * (ROUTE_FEW_MAX + 2)];
	struct route_table *table = NULL;
	struct err err;

	for (unsigned i = 0; i < n_ipv4; i++) {
		routes[i] = route("10.0.0.0/32", 1, NULL);
		routes[i].to.addr.bytes[3] = (uint8_t)(i + 1);
	}
	for (unsigned i = 0; i < n_ipv6; i++) {
		routes[n_ipv4 + i] = route("fd00::/128", 2, NULL);
		routes[n_ipv4 + i].to.addr.bytes[15] = (uint8_t)(i + 1);
	}
	ck_assert_int_eq(route_table_create(name, routes, n_ipv4 + n_ipv6, SOCKET, &table, &err), 0);
	return table;
}

START_TEST(only_a_family_of_many_routes_takes_a_large_table)
{
	for (unsigned ipv4 = ROUTE_FEW_MAX; ipv4 <= ROUTE_FEW_MAX + 1; ipv4++)
		for (unsigned ipv6 = ROUTE_FEW_MAX; ipv6 <= ROUTE_FEW_MAX + 1; ipv6++) {
			struct route_table *table = table_of_hosts("hosts", ipv4, ipv6);

			ck_assert_int_eq(rte_lpm_find_existing("hosts_v4") != NULL, ipv4 > ROUTE_FEW_MAX);
			ck_assert_int_eq(rte_lpm6_find_existing("hosts_v6") != NULL, ipv6 > ROUTE_FEW_MAX);
			ck_assert_uint_eq(find(table, "10.0.0.1")->port, 1);
			ck_assert_uint_eq(find(table, "10.0.0.8")->port, 1);
			ck_assert_uint_eq(find(table, "fd00::1")->port, 2);
			ck_assert_uint_eq(find(table, "fd00::8")->port, 2);
			ck_assert_ptr_null(find(table, "10.0.0.10"));
			ck_assert_ptr_null(find(table, "fd00::a"));
			route_table_destroy(table);
		}
}
END_TEST

START_TEST(the_longest_prefix_counts_at_both_of_its_edges)
{
	const struct route routes[] = {
		route("10.0.0.0/8", 1, NULL),
		route("10.1.2.0/25", 2, NULL),
		route("10.1.2.3/32", 3, NULL),
		route("fd00::/8", 4, NULL),
		route("fd00:1::/64", 5, NULL),
		route("fd00:1::1/128", 6, NULL),
	};
	struct route_table *table = table_of(routes, RTE_DIM(routes));

	ck_assert_uint_eq(find(table, "10.1.1.255")->port, 1);
	ck_assert_uint_eq(find(table, "10.1.2.0")->port, 2);
	ck_assert_uint_eq(find(table, "10.1.2.3")->port, 3);
	ck_assert_uint_eq(find(table, "10.1.2.127")->port, 2);
	ck_assert_uint_eq(find(table, "10.1.2.128")->port, 1);
	ck_assert_ptr_null(find(table, "11.0.0.0"));
	ck_assert_uint_eq(find(table, "fd00:1::1")->port, 6);
	ck_assert_uint_eq(find(table, "fd00:1::2")->port, 5);
	ck_assert_uint_eq(find(table, "fd00:1:0:1::")->port, 4);
	ck_assert_ptr_null(find(table, "fe00::"));
	route_table_destroy(table);
}
END_TEST

START_TEST(a_default_route_takes_what_no_other_takes)
{
	const struct route routes[] = {
		route("0.0.0.0/0", 1, "192.0.2.254"),
		route("10.1.0.0/16", 2, NULL),
		route("::/0", 3, "fe80::1"),
	};
	struct route_table *table = table_of(routes, RTE_DIM(routes));

	ck_assert_uint_eq(find(table, "10.1.0.1")->port, 2);
	ck_assert_uint_eq(find(table, "10.2.0.1")->port, 1);
	ck_assert_uint_eq(find(table, "10.2.0.1")->gateway.bytes[3], 254);
	ck_assert_uint_eq(find(table, "0.0.0.0")->port, 1);
	ck_assert_uint_eq(find(table, "255.255.255.255")->port, 1);
	ck_assert_uint_eq(find(table, "2001:db8::1")->port, 3);
	route_table_destroy(table);
}
END_TEST

START_TEST(a_table_without_routes_drops_every_packet_as_no_route)
{
	struct route_table *table = table_of(NULL, 0);
	struct drops drops = {0};
	BURST(burst);

	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.family = IP_V4}));
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.family = IP_V6}));
	route_lookup(&burst, table, &drops);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(drops.count[0][DROP_no_route], 2);
	route_table_destroy(table);
}
END_TEST

START_TEST(host_bits_of_a_route_are_ignored)
{
	const struct route routes[] = {route("10.1.0.1/24", 1, NULL), route("fd00:1::1/64", 2, NULL)};
	struct route_table *table = table_of(routes, RTE_DIM(routes));

	ck_assert_uint_eq(find(table, "10.1.0.200")->port, 1);
	ck_assert_uint_eq(find(table, "fd00:1::200")->port, 2);
	route_table_destroy(table);
}
END_TEST

START_TEST(of_two_routes_to_one_prefix_the_later_counts)
{
	const struct route routes[] = {
		route("10.1.0.0/16", 1, NULL),
		route("10.1.0.0/16", 2, NULL),
		route("::/0", 1, NULL),
		route("::/0", 3, NULL),
	};
	struct route_table *table = table_of(routes, RTE_DIM(routes));

	ck_assert_uint_eq(find(table, "10.1.0.1")->port, 2);
	ck_assert_uint_eq(find(table, "fd00::1")->port, 3);
	route_table_destroy(table);
}
END_TEST

START_TEST(deep_prefixes_without_a_byte_in_common_find_room)
{
	enum { N = 3000 };
	struct route *routes = calloc(2 * N, sizeof(*routes));
	struct route_table *table;

	for (unsigned i = 0; i < N; i++) {
		routes[2 * i] = route("10.0.0.0/32", 1, NULL);
		routes[2 * i].to.addr.bytes[1] = (uint8_t)(i >> 8);
		routes[2 * i].to.addr.bytes[2] = (uint8_t)i;
		routes[2 * i + 1] = route("fd00::/128", 2, NULL);
		routes[2 * i + 1].to.addr.bytes[1] = (uint8_t)(i >> 8);
		routes[2 * i + 1].to.addr.bytes[2] = (uint8_t)i;
	}
	table = table_of(routes, 2 * N);
	ck_assert_uint_eq(find(table, "10.11.183.0")->port, 1); // 11 * 256 + 183 is the last one
	ck_assert_ptr_null(find(table, "10.11.184.0"));
	ck_assert_ptr_null(find(table, "10.11.183.1"));
	ck_assert_uint_eq(find(table, "fd0b:b700::")->port, 2);
	ck_assert_ptr_null(find(table, "fd0b:b700::1"));
	route_table_destroy(table);
	free(routes);
}
END_TEST

START_TEST(one_next_hop_too_many_is_refused)
{
	size_t n = ROUTE_NEXT_HOPS_MAX + 1;
	struct route *routes = calloc(n, sizeof(*routes));
	struct route_table *table = NULL;
	struct err err;

	for (size_t i = 0; i < n; i++) {
		routes[i].to = (struct ip_prefix){{.family = IP_V4, .bytes = {10}}, 24};
		routes[i].via.gateway = (struct ip_addr){
			.family = IP_V4, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
	}
	ck_assert_int_eq(route_table_create("many", routes, n, SOCKET, &table, &err), -E2BIG);
	ck_assert_ptr_nonnull(strstr(err.text, "65535"));
	ck_assert_ptr_null(table);
	free(routes);
}
END_TEST

START_TEST(two_tables_with_the_longest_names_live_side_by_side)
{
	enum { N = ROUTE_FEW_MAX + 1 }; // few routes need no name
	struct route_table *a = table_of_hosts("a-name-of-20-chars-1", N, N);
	struct route_table *b =
		table_of_hosts("a-name-of-20-chars-2", N + 1, 1); // there is no memory for a fourth

	ck_assert_ptr_null(find(a, "10.0.0.10"));
	ck_assert_uint_eq(find(b, "10.0.0.10")->port, 1);
	ck_assert_uint_eq(find(a, "fd00::1")->port, 2);
	route_table_destroy(a);
	ck_assert_uint_eq(find(b, "10.0.0.1")->port, 1);
	ck_assert_uint_eq(find(b, "fd00::1")->port, 2);
	route_table_destroy(b);
}
END_TEST

/* A packet of so many bytes, routed out of a port with an MTU of 1500. */
static struct rte_mbuf *routed_packet(
	const struct route_table *table, struct packet_spec spec, uint16_t bytes)
{
	uint16_t header = spec.family == IP_V6 ? 48 : 28;
	struct burst burst = {.n = 1};
	struct drops drops = {0};

	spec.payload_bytes = bytes - header;
	burst.pkts[0] = packet_mbuf(&spec);
	route_lookup(&burst, table, &drops);
	ck_assert_uint_eq(burst.n, 1);
	return burst.pkts[0];
}

START_TEST(only_packets_longer_than_the_mtu_are_too_big) // PMT-2
{
	const struct route routes[] = {route("0.0.0.0/0", 1, NULL), route("::/0", 1, NULL)};
	struct route_table *table = table_of(routes, RTE_DIM(routes));
	struct drops drops = {0};
	BURST(burst);
	BURST(oversize);
	BURST(too_big);

	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.df = true}, 1500));
	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.df = true}, 1501));
	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.family = IP_V6}, 1500));
	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.family = IP_V6}, 1501));
	route_mtu(&burst, table, &oversize, &too_big, &drops);

	ck_assert_uint_eq(burst.n, 2);
	ck_assert_uint_eq(too_big.n, 2);
	ck_assert_uint_eq(drops.total, 0);
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_type, 3); // RFC 1191: unreachable, needs DF cleared
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_code, 4);
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_mtu, 1500);
	ck_assert_uint_eq(pkt_of(too_big.pkts[1])->icmp_type, 2); // RFC 4443 section 3.2
	ck_assert_uint_eq(pkt_of(too_big.pkts[1])->icmp_code, 0);
	ck_assert_uint_eq(pkt_of(too_big.pkts[1])->icmp_mtu, 1500);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	rte_pktmbuf_free_bulk(too_big.pkts, too_big.n);
	route_table_destroy(table);
}
END_TEST

START_TEST(what_may_be_cut_is_cut_when_too_big) // PMT-3
{
	const struct route routes[] = {route("0.0.0.0/0", 1, NULL), route("::/0", 1, NULL)};
	struct route_table *table = table_of(routes, RTE_DIM(routes));
	struct drops drops = {0};
	BURST(burst);
	BURST(oversize);
	BURST(too_big);

	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.df = false}, 1501));
	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.df = true}, 1501));
	burst_add_one(&burst, routed_packet(table, (struct packet_spec){.family = IP_V6}, 1501));
	pkt_of(burst.pkts[1])->flags |= PKT_LOCAL;
	pkt_of(burst.pkts[2])->flags |= PKT_LOCAL;
	route_mtu(&burst, table, &oversize, &too_big, &drops);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(too_big.n, 0);
	ck_assert_uint_eq(drops.total, 0);
	ck_assert_uint_eq(oversize.n, 3);
	ck_assert_uint_eq(pkt_of(oversize.pkts[2])->icmp_mtu, 1500);
	rte_pktmbuf_free_bulk(oversize.pkts, oversize.n);
	route_table_destroy(table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fwd/route");
	TCase *tests = tcase_create("route");

	tcase_add_checked_fixture(tests, eal_setup, eal_teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, random_lookups_of_many_routes_agree_with_a_linear_search);
	tcase_add_test(tests, random_lookups_of_few_routes_agree_with_a_linear_search);
	tcase_add_test(tests, only_a_family_of_many_routes_takes_a_large_table);
	tcase_add_test(tests, the_longest_prefix_counts_at_both_of_its_edges);
	tcase_add_test(tests, a_default_route_takes_what_no_other_takes);
	tcase_add_test(tests, a_table_without_routes_drops_every_packet_as_no_route);
	tcase_add_test(tests, host_bits_of_a_route_are_ignored);
	tcase_add_test(tests, of_two_routes_to_one_prefix_the_later_counts);
	tcase_add_test(tests, deep_prefixes_without_a_byte_in_common_find_room);
	tcase_add_test(tests, one_next_hop_too_many_is_refused);
	tcase_add_test(tests, two_tables_with_the_longest_names_live_side_by_side);
	tcase_add_test(tests, only_packets_longer_than_the_mtu_are_too_big);
	tcase_add_test(tests, what_may_be_cut_is_cut_when_too_big);
	suite_add_tcase(suite, tests);
	return eal_run_suite(suite);
}
