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

int main(void)
{
	Suite *suite = suite_create("transport");
	TCase *tcase = tcase_create("transport");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_loop_test(tcase, a_header_goes_behind_the_ip_header_with_its_options, 0, 4);
	tcase_add_loop_test(tcase, a_header_that_is_taken_out_leaves_the_packet_as_it_was, 0, 4);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
