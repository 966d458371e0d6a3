#include "net/transport.h"

#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <string.h>

#define HEADER_BYTES 24
#define PAYLOAD      "what follows"

/* Parsed, with the payload of UDP replaced by PAYLOAD. `options` are of IPv4, in bytes. */
static struct rte_mbuf *ipv4_packet(uint8_t options)
{
	uint8_t bytes[PACKET_BYTES_MAX] = {0}, spaced[PACKET_BYTES_MAX] = {0};
	size_t length = packet_build(
		&(struct packet_spec){.payload_bytes = sizeof(PAYLOAD), .protocol = IPPROTO_GRE}, bytes);
	struct rte_mbuf *m;

	memcpy(spaced, bytes, 20);
	memset(spaced + 20, 1, options); // no operation (RFC 791 section 3.1)
	memcpy(spaced + 20 + options, PAYLOAD, sizeof(PAYLOAD));
	length += options;
	spaced[0] = (uint8_t)(0x40 | (20 + options) / 4);
	spaced[2] = (uint8_t)(length >> 8);
	spaced[3] = (uint8_t)length;
	memset(spaced + 10, 0, 2);
	rte_be16_t sum = rte_cpu_to_be_16(packet_checksum(spaced, 20 + options, 0));
	memcpy(spaced + 10, &sum, sizeof(sum));
	m = mbuf_of(spaced, length);
	ck_assert(parse_inner_one(m, IP_V4));
	return m;
}

static struct rte_mbuf *ipv6_packet(bool extensions)
{
	uint8_t bytes[PACKET_BYTES_MAX] = {0};
	size_t length = packet_build(
		&(struct packet_spec){
			.family = IP_V6, .payload_bytes = sizeof(PAYLOAD), .protocol = IPPROTO_GRE},
		bytes);
	struct rte_mbuf *m;

	memcpy(bytes + 40, PAYLOAD, sizeof(PAYLOAD));
	if (extensions) {
		length = packet_insert(bytes, length, IPPROTO_DSTOPTS, 16);
		length = packet_insert(bytes, length, IPPROTO_HOPOPTS, 8);
	}
	m = mbuf_of(bytes, length);
	ck_assert(parse_inner_one(m, IP_V6));
	return m;
}

static struct rte_mbuf *packet(int kind)
{
	return kind < 2 ? ipv4_packet(kind == 0 ? 0 : 12) : ipv6_packet(kind == 3);
}

/* The packet as the wire would see it: what parse says of it. */
static void assert_parses(struct rte_mbuf *m, uint8_t protocol, uint16_t bytes)
{
	struct rte_mbuf *copy = mbuf_exact_of(rte_pktmbuf_mtod(m, void *), rte_pktmbuf_data_len(m));

	ck_assert(parse_inner_one(copy, pkt_of(m)->family));
	ck_assert_uint_eq(pkt_of(copy)->protocol, protocol);
	ck_assert_uint_eq(pkt_of(copy)->ip_len, bytes);
	ck_assert_uint_eq(pkt_of(copy)->l4, pkt_of(m)->l4);
	rte_pktmbuf_free(copy);
}

/* TUN-10 */
START_TEST(a_header_goes_behind_the_ip_header_with_its_options)
{
	struct rte_mbuf *m = packet(_i);
	uint16_t bytes = pkt_of(m)->ip_len, l4 = pkt_of(m)->l4;
	uint8_t before = transport_insert_one(m, HEADER_BYTES, IPPROTO_ESP);

	ck_assert_uint_eq(before, IPPROTO_GRE);
	ip_length_set_one(m, bytes + HEADER_BYTES);
	assert_parses(m, IPPROTO_ESP, bytes + HEADER_BYTES);
	ck_assert_mem_eq(rte_pktmbuf_mtod_offset(m, void *, l4 + HEADER_BYTES), PAYLOAD, sizeof(PAYLOAD));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_header_that_is_taken_out_leaves_the_packet_as_it_was)
{
	struct rte_mbuf *m = packet(_i);
	uint16_t bytes = pkt_of(m)->ip_len;
	uint8_t was[PACKET_BYTES_MAX];

	memcpy(was, rte_pktmbuf_mtod(m, void *), bytes);
	transport_insert_one(m, HEADER_BYTES, IPPROTO_ESP);
	ip_length_set_one(m, bytes + HEADER_BYTES);
	transport_remove_one(m, pkt_of(m)->l4, HEADER_BYTES, IPPROTO_GRE);
	ip_length_set_one(m, bytes);

	ck_assert_uint_eq(rte_pktmbuf_data_len(m), bytes);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), was, bytes);
	rte_pktmbuf_free(m);
}
END_TEST

/* TCP and UDP over both versions, and ICMPv6; as many bytes behind the header. */
static struct rte_mbuf *summed(int kind, uint16_t payload_bytes)
{
	static const struct packet_spec specs[] = {
		{.family = IP_V4, .protocol = IPPROTO_TCP},
		{.family = IP_V4, .protocol = IPPROTO_UDP},
		{.family = IP_V6, .protocol = IPPROTO_TCP},
		{.family = IP_V6, .protocol = IPPROTO_UDP},
		{.family = IP_V6, .protocol = IPPROTO_ICMPV6},
	};
	struct packet_spec spec = specs[kind];

	spec.source_port = 1000;
	spec.payload_bytes = payload_bytes;
	if (spec.protocol == IPPROTO_ICMPV6)
		spec.source_port = 128;
	return packet_mbuf(&spec);
}

/* Another source address, as of a NAT, in which no word is what it was. */
static void translate(struct rte_mbuf *m)
{
	if (pkt_of(m)->family == IP_V4)
		memset(&pkt_ipv4(m)->src_addr, 0x5c, sizeof(pkt_ipv4(m)->src_addr));
	else
		memset(&pkt_ipv6(m)->src_addr, 0x5c, sizeof(pkt_ipv6(m)->src_addr));
}

static uint16_t error_of(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	return packet_l4_checksum(rte_pktmbuf_mtod(m, const uint8_t *), p->l4, p->ip_len, p->protocol);
}

static uint8_t *udp_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, uint8_t *, pkt_of(m)->l4);
}

// NAT-7: odd and even lengths
START_TEST(a_checksum_is_made_right_for_other_addresses)
{
	for (uint16_t bytes = 0; bytes < 40; bytes++) {
		struct rte_mbuf *m = summed(_i, bytes);
		struct rte_mbuf *exact = mbuf_exact_of(rte_pktmbuf_mtod(m, void *), pkt_of(m)->ip_len);

		*pkt_of(exact) = *pkt_of(m);
		translate(exact);
		ck_assert_uint_ne(error_of(exact), 0);
		transport_checksum_set_one(exact);

		ck_assert_uint_eq(error_of(exact), 0);
		rte_pktmbuf_free(m);
		rte_pktmbuf_free(exact);
	}
}
END_TEST

/* The packet as transport_checksum_set_one must leave it. */
static void assert_untouched(struct rte_mbuf *m)
{
	uint8_t was[PACKET_BYTES_MAX];

	translate(m);
	memcpy(was, rte_pktmbuf_mtod(m, void *), pkt_of(m)->ip_len);
	transport_checksum_set_one(m);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), was, pkt_of(m)->ip_len);
	rte_pktmbuf_free(m);
}

// NAT-7
START_TEST(what_has_no_checksum_gets_none)
{
	for (int kind = 1; kind <= 3; kind += 2) {
		struct rte_mbuf *m = summed(kind, 9);

		memset(udp_of(m) + 6, 0, 2);
		assert_untouched(m);
	}
	assert_untouched(packet(0));
	assert_untouched(packet_mbuf(
		&(struct packet_spec){.protocol = IPPROTO_ICMP, .source_port = 8, .payload_bytes = 9}));
}
END_TEST

// NAT-7, SAL-7: a length of UDP that can't be, a header that is cut off, a part of a packet
START_TEST(what_is_not_whole_stays_as_it_is)
{
	static const uint16_t wrong_bytes[] = {0, 7, 8 + 9 + 1, 0xffff};

	for (size_t i = 0; i < RTE_DIM(wrong_bytes); i++) {
		struct rte_mbuf *m = summed(1, 9);

		udp_of(m)[4] = (uint8_t)(wrong_bytes[i] >> 8);
		udp_of(m)[5] = (uint8_t)wrong_bytes[i];
		assert_untouched(m);
	}
	for (int kind = 0; kind < 5; kind++) {
		struct rte_mbuf *m = summed(kind, 0), *part = summed(kind, 9);
		uint16_t least = pkt_of(m)->protocol == IPPROTO_TCP   ? 18
				 : pkt_of(m)->protocol == IPPROTO_UDP ? 8
								      : 4;
		struct rte_mbuf *cut =
			mbuf_exact_of(rte_pktmbuf_mtod(m, void *), (size_t)pkt_of(m)->l4 + least - 1);

		*pkt_of(cut) = *pkt_of(m);
		pkt_of(cut)->ip_len = pkt_of(m)->l4 + least - 1;
		assert_untouched(cut);
		rte_pktmbuf_free(m);
		pkt_of(part)->flags |= PKT_FRAGMENT;
		assert_untouched(part);
	}
}
END_TEST

// NAT-7: what lies behind UDP's own end is none of it
START_TEST(the_checksum_of_udp_covers_what_its_length_says)
{
	struct rte_mbuf *m = summed(1, 9);

	udp_of(m)[5] = 8 + 5;
	transport_checksum_set_one(m);

	ck_assert_uint_eq(
		packet_l4_checksum(rte_pktmbuf_mtod(m, const uint8_t *), 20, 20 + 8 + 5, IPPROTO_UDP), 0);
	rte_pktmbuf_free(m);
}
END_TEST

// NAT-7: RFC 768
START_TEST(a_checksum_of_udp_that_is_zero_is_written_as_ones)
{
	struct rte_mbuf *m = summed(3, 2);
	uint8_t *udp = udp_of(m);

	/* The checksum's own value in the payload makes the sum of all the rest complete. */
	memset(udp + 8, 0, 2);
	transport_checksum_set_one(m);
	memcpy(udp + 8, udp + 6, 2);
	transport_checksum_set_one(m);

	ck_assert_uint_eq(udp[6], 0xff);
	ck_assert_uint_eq(udp[7], 0xff);
	rte_pktmbuf_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("transport");
	TCase *tcase = tcase_create("transport");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_loop_test(tcase, a_header_goes_behind_the_ip_header_with_its_options, 0, 4);
	tcase_add_loop_test(tcase, a_header_that_is_taken_out_leaves_the_packet_as_it_was, 0, 4);
	tcase_add_loop_test(tcase, a_checksum_is_made_right_for_other_addresses, 0, 5);
	tcase_add_test(tcase, what_has_no_checksum_gets_none);
	tcase_add_test(tcase, what_is_not_whole_stays_as_it_is);
	tcase_add_test(tcase, the_checksum_of_udp_covers_what_its_length_says);
	tcase_add_test(tcase, a_checksum_of_udp_that_is_zero_is_written_as_ones);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
