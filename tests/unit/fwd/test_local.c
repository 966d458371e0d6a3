#include "fwd/local.h"

#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>

static void add(struct local_addrs *local, const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	ck_assert(local_addrs_add(local, &addr));
}

static struct local_addrs own_addresses(void)
{
	struct local_addrs local = {0};

	add(&local, "10.1.0.1");
	add(&local, "192.0.2.1");
	add(&local, "fd00:1::1");
	add(&local, "fe80::1");
	return local;
}

static bool is_local(const char *destination)
{
	struct local_addrs local = own_addresses();
	const char *source = strchr(destination, ':') ? "fd00:9::9" : "10.9.9.9";
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.source = source, .destination = destination});
	bool is = local_match_one(&local, m);

	rte_pktmbuf_free(m);
	return is;
}

START_TEST(each_own_address_is_local_and_its_neighbours_are_not)
{
	ck_assert(is_local("10.1.0.1"));
	ck_assert(is_local("192.0.2.1"));
	ck_assert(!is_local("10.1.0.2"));
	ck_assert(!is_local("192.0.2.0"));
	ck_assert(is_local("fd00:1::1"));
	ck_assert(!is_local("fd00:1::2"));
	ck_assert(!is_local("fd00:2::1"));
}
END_TEST

START_TEST(an_ipv4_address_is_not_taken_for_the_start_of_an_ipv6_one)
{
	struct local_addrs local = {0};
	struct rte_mbuf *m =
		packet_mbuf(&(struct packet_spec){.source = "fd00:9::9", .destination = "2001:db8::"});

	add(&local, "32.1.13.184"); // the bytes 20 01 0d b8
	ck_assert(!local_match_one(&local, m));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_full_table_says_so_in_either_family)
{
	struct local_addrs local = {0};
	struct ip_addr v4 = {.family = IP_V4, .bytes = {10, 0, 0, 1}};
	struct ip_addr v6 = {.family = IP_V6, .bytes = {0xfd}};

	for (unsigned i = 0; i < LOCAL_ADDRS_MAX; i++) {
		v4.bytes[3] = (uint8_t)i;
		v6.bytes[15] = (uint8_t)i;
		ck_assert(local_addrs_add(&local, &v4));
		ck_assert(local_addrs_add(&local, &v6));
	}
	ck_assert(!local_addrs_add(&local, &v4));
	ck_assert(!local_addrs_add(&local, &v6));
}
END_TEST

START_TEST(packets_are_sorted_and_each_burst_keeps_its_order)
{
	const struct local_addrs local = own_addresses();
	const struct packet_spec specs[] = {
		{.destination = "10.2.0.1"},
		{.destination = "10.1.0.1", .protocol = IPPROTO_ESP, .payload_bytes = 40},
		{.destination = "10.1.0.1", .protocol = IPPROTO_ICMP, .source_port = 8},
		{.destination = "10.2.0.1", .protocol = IPPROTO_ESP, .payload_bytes = 40},
		{.source = "fd00:9::9",
			.destination = "fd00:1::1",
			.protocol = IPPROTO_ESP,
			.payload_bytes = 40},
		{.source = "fd00:9::9", .destination = "fd00:1::1"},
		{.source = "fd00:9::9", .destination = "fd00:2::1", .protocol = IPPROTO_TCP},
	};
	struct rte_mbuf *m[RTE_DIM(specs)];
	struct drops drops = {0};
	BURST(burst);
	BURST(esp);
	BURST(host);

	for (unsigned i = 0; i < RTE_DIM(specs); i++)
		burst_add_one(&burst, m[i] = packet_mbuf(&specs[i]));
	local_split(&burst, &local, &esp, &host, &drops);

	ck_assert_uint_eq(burst.n, 3);
	ck_assert_ptr_eq(burst.pkts[0], m[0]);
	ck_assert_ptr_eq(burst.pkts[1], m[3]);
	ck_assert_ptr_eq(burst.pkts[2], m[6]);
	ck_assert_uint_eq(esp.n, 2);
	ck_assert_ptr_eq(esp.pkts[0], m[1]);
	ck_assert_ptr_eq(esp.pkts[1], m[4]);
	ck_assert_uint_eq(host.n, 2);
	ck_assert_ptr_eq(host.pkts[0], m[2]);
	ck_assert_ptr_eq(host.pkts[1], m[5]);
	ck_assert_uint_eq(drops.total, 0);
	rte_pktmbuf_free_bulk(m, RTE_DIM(m));
}
END_TEST

/* As from a link, where such addresses are right; parse_inner_one refuses them, having described the packet.
 */
static struct rte_mbuf *packet_mbuf_any(const struct packet_spec *spec)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct rte_mbuf *m = mbuf_of(bytes, packet_build(spec, bytes));

	parse_inner_one(m, bytes[0] >> 4 == 6 ? IP_V6 : IP_V4);
	return m;
}

START_TEST(a_packet_with_a_link_local_address_stays_on_its_link) // SPD-12
{
	const struct local_addrs local = own_addresses();
	const struct packet_spec specs[] = {
		{.source = "fe80::9", .destination = "fd00:2::1"},
		{.source = "fd00:9::9", .destination = "febf::9"},
		{.source = "fe80::9", .destination = "fd00:1::1"}, // ours
		{.source = "fe80::9", .destination = "fe80::1"},   // ours
		{.source = "fec0::9", .destination = "fd00:2::1"}, // RFC 3879: an ordinary prefix
		{.source = "169.254.0.9", .destination = "10.2.0.1"},
		{.source = "10.1.0.9", .destination = "169.254.255.9"},
		{.source = "169.254.0.9", .destination = "10.1.0.1"}, // ours
		{.source = "169.253.255.255", .destination = "169.255.0.0"},
	};
	struct drops drops = {0};
	BURST(burst);
	BURST(esp);
	BURST(host);

	for (unsigned i = 0; i < RTE_DIM(specs); i++)
		burst_add_one(&burst, packet_mbuf_any(&specs[i]));
	local_split(&burst, &local, &esp, &host, &drops);

	ck_assert_uint_eq(burst.n, 2);
	ck_assert_uint_eq(host.n, 3);
	ck_assert_uint_eq(drops.count[0][DROP_in_link_local], 4);
	ck_assert_uint_eq(drops.total, 4);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	rte_pktmbuf_free_bulk(host.pkts, host.n);
}
END_TEST

START_TEST(a_fragment_of_esp_goes_where_esp_goes) // SAL-5
{
	const struct local_addrs local = own_addresses();
	const struct packet_spec specs[] = {
		{.destination = "10.1.0.1",
			.protocol = IPPROTO_ESP,
			.payload_bytes = 40,
			.more_fragments = true},
		{.destination = "10.1.0.1",
			.protocol = IPPROTO_ESP,
			.payload_bytes = 40,
			.fragment_offset_bytes = 1480},
		{.source = "fd00:9::9",
			.destination = "fd00:1::1",
			.protocol = IPPROTO_ESP,
			.payload_bytes = 40,
			.fragment_offset_bytes = 1448},
		{.destination = "10.1.0.1",
			.protocol = IPPROTO_UDP,
			.payload_bytes = 40,
			.fragment_offset_bytes = 1480},
	};
	struct drops drops = {0};
	BURST(burst);
	BURST(esp);
	BURST(host);

	for (unsigned i = 0; i < RTE_DIM(specs); i++)
		burst_add_one(&burst, packet_mbuf(&specs[i]));
	local_split(&burst, &local, &esp, &host, &drops);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(esp.n, 3);
	ck_assert_uint_eq(host.n, 1);
	rte_pktmbuf_free_bulk(esp.pkts, esp.n);
	rte_pktmbuf_free_bulk(host.pkts, host.n);
}
END_TEST

START_TEST(without_a_burst_for_esp_it_is_for_the_host)
{
	const struct local_addrs local = own_addresses();
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){
		.destination = "10.1.0.1", .protocol = IPPROTO_ESP, .payload_bytes = 40});
	struct burst burst = {.n = 1, .pkts = {m}};
	struct drops drops = {0};
	BURST(host);

	local_split(&burst, &local, NULL, &host, &drops);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(host.n, 1);
	ck_assert_ptr_eq(host.pkts[0], m);
	rte_pktmbuf_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fwd/local");
	TCase *tests = tcase_create("local");

	tcase_add_checked_fixture(tests, eal_setup, eal_teardown);
	tcase_add_test(tests, each_own_address_is_local_and_its_neighbours_are_not);
	tcase_add_test(tests, an_ipv4_address_is_not_taken_for_the_start_of_an_ipv6_one);
	tcase_add_test(tests, a_full_table_says_so_in_either_family);
	tcase_add_test(tests, packets_are_sorted_and_each_burst_keeps_its_order);
	tcase_add_test(tests, a_packet_with_a_link_local_address_stays_on_its_link);
	tcase_add_test(tests, a_fragment_of_esp_goes_where_esp_goes);
	tcase_add_test(tests, without_a_burst_for_esp_it_is_for_the_host);
	suite_add_tcase(suite, tests);
	return eal_run_suite(suite);
}
