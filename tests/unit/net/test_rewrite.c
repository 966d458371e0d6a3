#include "net/rewrite.h"

#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

#define RANDOM_UPDATES 1000000

/* The stage on one packet: true if it is kept; else it is in `expired`. */
static bool decrement(struct rte_mbuf *m)
{
	struct drops drops = {0};
	struct burst burst = {.n = 1, .pkts = {m}};
	struct burst expired = {0};

	ttl_decrement(&burst, &expired, &drops);
	ck_assert_uint_eq(burst.n + expired.n, 1);
	ck_assert_uint_eq(drops.total, 0);
	ck_assert_ptr_eq(burst.n ? burst.pkts[0] : expired.pkts[0], m);
	return burst.n == 1;
}

static struct rte_mbuf *packet_with_ttl(uint8_t family, uint8_t ttl)
{
	struct rte_mbuf *m =
		packet_mbuf(&(struct packet_spec){.family = family, .payload_bytes = 4, .ttl = 1});
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	if (family == IP_V6) {
		ip[7] = ttl;
		return m;
	}
	ip[8] = ttl;
	memset(ip + 10, 0, 2);
	pkt_ipv4(m)->hdr_checksum = rte_cpu_to_be_16(packet_checksum(ip, 20, 0));
	return m;
}

static void assert_ipv4_checksum(struct rte_mbuf *m)
{
	ck_assert_uint_eq(packet_checksum(rte_pktmbuf_mtod(m, void *), pkt_of(m)->l4, 0), 0);
}

START_TEST(the_example_of_rfc_1624_comes_out) // section 4
{
	rte_be16_t result = checksum_update(RTE_BE16(0xdd2f), RTE_BE16(0x5555), RTE_BE16(0x3285));

	ck_assert_uint_eq(result, RTE_BE16(0x0000));
}
END_TEST

START_TEST(an_updated_checksum_is_the_recomputed_one)
{
	uint8_t header[20];
	unsigned wrong = 0;

	srandom(1624);
	for (size_t i = 0; i < sizeof(header); i++)
		header[i] = (uint8_t)random();
	header[0] = 0x45;
	memset(header + 10, 0, 2);
	rte_be16_t checksum = rte_cpu_to_be_16(packet_checksum(header, sizeof(header), 0));
	for (int i = 0; i < RANDOM_UPDATES; i++) {
		size_t at = 2 * ((size_t)random() % 8 + 1);
		rte_be16_t from;
		rte_be16_t to = (rte_be16_t)(random() % 4 ? random() : random() % 2 * 0xffff);

		at += at >= 10 ? 2 : 0; // not the checksum itself
		memcpy(&from, header + at, 2);
		memcpy(header + at, &to, 2);
		checksum = checksum_update(checksum, from, to);
		wrong += checksum != rte_cpu_to_be_16(packet_checksum(header, sizeof(header), 0));
	}
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(a_forwarded_ipv4_packet_loses_one_of_its_ttl_and_keeps_a_right_checksum) // TUN-2
{
	for (unsigned ttl = 2; ttl <= 255; ttl++) {
		struct rte_mbuf *m = packet_with_ttl(IP_V4, (uint8_t)ttl);

		ck_assert(decrement(m));
		ck_assert_uint_eq(pkt_ipv4(m)->time_to_live, ttl - 1);
		assert_ipv4_checksum(m);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_forwarded_ipv6_packet_loses_one_of_its_hop_limit) // TUN-2
{
	struct rte_mbuf *m = packet_with_ttl(IP_V6, 64);

	ck_assert(decrement(m));
	ck_assert_uint_eq(pkt_ipv6(m)->hop_limits, 63);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_ttl_of_one_or_zero_expires_unchanged_with_time_exceeded) // TUN-2
{
	for (int i = 0; i < 4; i++) {
		uint8_t family = i & 1 ? IP_V6 : IP_V4;
		struct rte_mbuf *m = packet_with_ttl(family, (uint8_t)(i >> 1));
		uint8_t before[64];
		uint16_t length = m->data_len;

		memcpy(before, rte_pktmbuf_mtod(m, void *), length);
		ck_assert(!decrement(m));
		ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), before, length);
		ck_assert_uint_eq(m->data_len, length);
		ck_assert_uint_eq(pkt_of(m)->icmp_type, family == IP_V4 ? 11 : 3);
		ck_assert_uint_eq(pkt_of(m)->icmp_code, 0);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_packet_of_the_gateway_itself_keeps_its_ttl)
{
	struct rte_mbuf *m = packet_with_ttl(IP_V4, 1);

	pkt_of(m)->flags |= PKT_LOCAL;
	ck_assert(decrement(m));
	ck_assert_uint_eq(pkt_ipv4(m)->time_to_live, 1);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_mixed_burst_is_split_in_order)
{
	struct drops drops = {0};
	struct burst burst = {0};
	struct burst expired = {0};
	struct rte_mbuf *all[8];

	for (unsigned i = 0; i < 8; i++) {
		all[i] = packet_with_ttl(i & 2 ? IP_V6 : IP_V4, i & 1 ? 1 : 64);
		burst_add_one(&burst, all[i]);
	}
	ttl_decrement(&burst, &expired, &drops);

	ck_assert_uint_eq(burst.n, 4);
	ck_assert_uint_eq(expired.n, 4);
	for (unsigned i = 0; i < 4; i++) {
		ck_assert_ptr_eq(burst.pkts[i], all[2 * i]);
		ck_assert_ptr_eq(expired.pkts[i], all[2 * i + 1]);
	}
	rte_pktmbuf_free_bulk(all, 8);
}
END_TEST

START_TEST(a_traffic_class_is_read_as_it_was_built)
{
	for (unsigned i = 0; i < 512; i++) {
		struct packet_spec spec = {
			.family = i & 1 ? IP_V6 : IP_V4, .traffic_class = (uint8_t)(i >> 1)};
		struct rte_mbuf *m = packet_mbuf(&spec);

		ck_assert_uint_eq(traffic_class_get_one(m), i >> 1);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_changed_traffic_class_changes_nothing_else)
{
	for (unsigned i = 0; i < 512; i++) {
		struct packet_spec spec = {.family = i & 1 ? IP_V6 : IP_V4, .traffic_class = 0x5a};
		struct packet_spec wanted = {.family = spec.family, .traffic_class = (uint8_t)(i >> 1)};
		struct rte_mbuf *m = packet_mbuf(&spec);
		struct rte_mbuf *expected = packet_mbuf(&wanted);

		traffic_class_set_one(m, wanted.traffic_class);
		ck_assert_mem_eq(
			rte_pktmbuf_mtod(m, void *), rte_pktmbuf_mtod(expected, void *), expected->data_len);
		rte_pktmbuf_free(m);
		rte_pktmbuf_free(expected);
	}
}
END_TEST

START_TEST(a_changed_traffic_class_leaves_the_flow_label)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.family = IP_V6});

	pkt_ipv6(m)->vtc_flow = RTE_BE32(0x600abcde);
	traffic_class_set_one(m, 0xff);
	ck_assert_uint_eq(pkt_ipv6(m)->vtc_flow, RTE_BE32(0x6ffabcde));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(an_untagged_ethernet_header_has_fourteen_bytes)
{
	static const struct rte_ether_addr to = PACKET_MAC_PEER;
	static const struct rte_ether_addr from = PACKET_MAC_OURS;
	static const uint8_t expected[] = {
		0x02, 0x00, 0x5e, 0x00, 0x02, 0xfe, 0x02, 0x00, 0x5e, 0x00, 0x02, 0x01, 0x08, 0x06, 'x'};
	struct rte_mbuf *m = mbuf_of("x", 1);

	ethernet_prepend_one(m, &to, &from, 0, 0x0806);

	ck_assert_uint_eq(m->data_len, sizeof(expected));
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), expected, sizeof(expected));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_tagged_ethernet_header_has_eighteen_bytes)
{
	static const struct rte_ether_addr to = PACKET_MAC_PEER;
	static const struct rte_ether_addr from = PACKET_MAC_OURS;
	static const uint8_t expected[] = {0x02, 0x00, 0x5e, 0x00, 0x02, 0xfe, 0x02, 0x00, 0x5e, 0x00, 0x02,
		0x01, 0x81, 0x00, 0x0f, 0xfe, 0x86, 0xdd, 'x'};
	struct rte_mbuf *m = mbuf_of("x", 1);

	ethernet_prepend_one(m, &to, &from, 4094, 0x86dd);

	ck_assert_uint_eq(m->data_len, sizeof(expected));
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), expected, sizeof(expected));
	rte_pktmbuf_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("net/rewrite");
	TCase *tcase = tcase_create("rewrite");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, the_example_of_rfc_1624_comes_out);
	tcase_add_test(tcase, an_updated_checksum_is_the_recomputed_one);
	tcase_add_test(tcase, a_forwarded_ipv4_packet_loses_one_of_its_ttl_and_keeps_a_right_checksum);
	tcase_add_test(tcase, a_forwarded_ipv6_packet_loses_one_of_its_hop_limit);
	tcase_add_test(tcase, a_ttl_of_one_or_zero_expires_unchanged_with_time_exceeded);
	tcase_add_test(tcase, a_packet_of_the_gateway_itself_keeps_its_ttl);
	tcase_add_test(tcase, a_mixed_burst_is_split_in_order);
	tcase_add_test(tcase, a_traffic_class_is_read_as_it_was_built);
	tcase_add_test(tcase, a_changed_traffic_class_changes_nothing_else);
	tcase_add_test(tcase, a_changed_traffic_class_leaves_the_flow_label);
	tcase_add_test(tcase, an_untagged_ethernet_header_has_fourteen_bytes);
	tcase_add_test(tcase, a_tagged_ethernet_header_has_eighteen_bytes);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
