#include "net/icmp_error.h"

#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t gateway_v4[4] = {192, 0, 2, 1};
static const uint8_t gateway_v6[16] = {0xfd, 0, 0, 9, [15] = 1};

static const void *gateway(uint8_t family)
{
	return family == IP_V4 ? (const void *)gateway_v4 : gateway_v6;
}

/* Make the error and check that it succeeds. */
static void make(struct rte_mbuf *m, uint8_t type, uint8_t code, uint16_t mtu)
{
	struct pkt *p = pkt_of(m);

	p->icmp_type = type;
	p->icmp_code = code;
	p->icmp_mtu = mtu;
	ck_assert(icmp_error_make_one(m, gateway(p->family)));
}

/*
 * The error that RFC 792 and RFC 4443 describe, written field by field: the reference for what
 * icmp_error_make_one writes. Returns its length.
 */
static size_t expected_error(uint8_t *out, const uint8_t *packet, size_t length, const uint8_t icmp[8])
{
	bool v4 = packet[0] >> 4 == 4;
	size_t header = v4 ? 20 : 40;
	size_t quote = length < (v4 ? 576u : 1280u) - header - 8 ? length : (v4 ? 576u : 1280u) - header - 8;
	size_t total = header + 8 + quote;

	memset(out, 0, header);
	memcpy(out + header, icmp, 8);
	memcpy(out + header + 8, packet, quote);
	if (v4) {
		static const uint8_t fixed[12] = {0x45, 0xc0, 0, 0, 0, 0, 0x40, 0, 64, IPPROTO_ICMP};

		memcpy(out, fixed, sizeof(fixed));
		out[2] = (uint8_t)(total >> 8);
		out[3] = (uint8_t)total;
		memcpy(out + 12, gateway_v4, 4);
		memcpy(out + 16, packet + 12, 4);
		uint16_t sum = packet_checksum(out, 20, 0);
		out[10] = (uint8_t)(sum >> 8);
		out[11] = (uint8_t)sum;
	} else {
		static const uint8_t fixed[8] = {0x6c, 0, 0, 0, 0, 0, IPPROTO_ICMPV6, 64};

		memcpy(out, fixed, sizeof(fixed));
		out[4] = (uint8_t)((total - 40) >> 8);
		out[5] = (uint8_t)(total - 40);
		memcpy(out + 8, gateway_v6, 16);
		memcpy(out + 24, packet + 8, 16);
	}
	uint16_t sum = packet_l4_checksum(out, header, total, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	out[header + 2] = (uint8_t)(sum >> 8);
	out[header + 3] = (uint8_t)sum;
	return total;
}

/* The error for the packet of the spec is the expected one, byte by byte. */
static void assert_error(const struct packet_spec *spec, const uint8_t icmp[8], uint16_t mtu)
{
	uint8_t packet[PACKET_BYTES_MAX];
	uint8_t expected[PACKET_BYTES_MAX];
	size_t length = expected_error(expected, packet, packet_build(spec, packet), icmp);
	struct rte_mbuf *m = packet_mbuf(spec);

	make(m, icmp[0], icmp[1], mtu);
	ck_assert_uint_eq(m->data_len, length);
	ck_assert_uint_eq(m->pkt_len, length);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), expected, length);
	rte_pktmbuf_free(m);
}

START_TEST(an_ipv4_packet_too_big_is_answered_with_the_mtu_in_the_low_half) // PMT-2
{
	static const uint8_t icmp[8] = {3, 4, 0, 0, 0, 0, 0x05, 0xa6};

	assert_error(&(struct packet_spec){.df = true, .payload_bytes = 1472}, icmp, 1446);
}
END_TEST

START_TEST(an_ipv6_packet_too_big_is_answered_with_the_mtu_in_the_word) // PMT-2
{
	static const uint8_t icmp[8] = {2, 0, 0, 0, 0, 0, 0x05, 0xa6};

	assert_error(&(struct packet_spec){.family = IP_V6, .payload_bytes = 1452}, icmp, 1446);
}
END_TEST

START_TEST(an_expired_packet_is_answered_with_time_exceeded) // TUN-2
{
	static const uint8_t v4[8] = {11};
	static const uint8_t v6[8] = {3};

	assert_error(&(struct packet_spec){.ttl = 1, .payload_bytes = 33}, v4, 0);
	assert_error(&(struct packet_spec){.family = IP_V6, .ttl = 1, .payload_bytes = 33}, v6, 0);
}
END_TEST

START_TEST(only_too_big_tells_an_mtu)
{
	static const uint8_t v4[8] = {3, 13};
	static const uint8_t v6[8] = {1, 1};

	assert_error(&(struct packet_spec){0}, v4, 1400);
	assert_error(&(struct packet_spec){.family = IP_V6}, v6, 1400);
}
END_TEST

START_TEST(an_error_of_any_length_has_a_right_checksum_and_is_no_longer_than_its_limit)
{
	for (uint16_t bytes = 0; bytes < 1400; bytes++) {
		static const uint8_t v4[8] = {11};
		static const uint8_t v6[8] = {3};

		assert_error(&(struct packet_spec){.payload_bytes = bytes}, v4, 0);
		assert_error(&(struct packet_spec){.family = IP_V6, .payload_bytes = bytes}, v6, 0);
	}
}
END_TEST

START_TEST(the_longest_errors_have_576_and_1280_bytes)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4, .payload_bytes = 1400};
		struct rte_mbuf *m = packet_mbuf(&spec);

		make(m, i ? 3 : 11, 0, 0);
		ck_assert_uint_eq(m->data_len, i ? 1280 : 576);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(the_error_is_described_as_a_packet_of_the_gateway)
{
	struct sa *sa = (struct sa *)&gateway_v4;

	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.family = i ? IP_V6 : IP_V4});

		pkt_of(m)->port_in = 7;
		pkt_of(m)->sa = sa;
		pkt_of(m)->flags |= PKT_DECAPSULATED;
		make(m, 1, 4, 0);
		struct pkt expected = {.flags = PKT_LOCAL | PKT_HAS_PORTS | PKT_DECAPSULATED,
			.port_in = 7,
			.family = i ? IP_V6 : IP_V4,
			.protocol = i ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			.l4 = i ? 40 : 20,
			.ip_len = m->data_len,
			.source_port = 1,
			.destination_port = 4,
			.sa = sa};
		ck_assert_mem_eq(pkt_of(m), &expected, sizeof(expected));
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(what_the_gateway_makes_is_parsed_as_it_is_described)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4, .payload_bytes = 900};
		struct rte_mbuf *m = packet_mbuf(&spec);

		make(m, i ? 3 : 11, 0, 0);
		struct pkt described = *pkt_of(m);
		ck_assert(parse_inner_one(m, spec.family));
		described.flags &= ~PKT_LOCAL;
		ck_assert_mem_eq(pkt_of(m), &described, sizeof(described));
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(without_headroom_there_is_no_error_and_no_change)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4, .payload_bytes = 1400};
		struct rte_mbuf *m = packet_mbuf(&spec);
		uint16_t needed = i ? 48 : 28;
		uint16_t excess = rte_pktmbuf_headroom(m) - needed + 1;
		uint16_t length = m->data_len;

		memmove(rte_pktmbuf_mtod(m, char *) - excess, rte_pktmbuf_mtod(m, char *), length);
		m->data_off = needed - 1;
		struct pkt before = *pkt_of(m);
		ck_assert(!icmp_error_make_one(m, gateway(spec.family)));
		ck_assert_mem_eq(pkt_of(m), &before, sizeof(before));
		ck_assert_uint_eq(m->data_len, length);
		rte_pktmbuf_free(m);
	}
}
END_TEST

/* icmp_error_allowed_one on the packet of the spec. */
static bool allowed(const struct packet_spec *spec)
{
	struct rte_mbuf *m = packet_mbuf(spec);
	bool result = icmp_error_allowed_one(m);

	rte_pktmbuf_free(m);
	return result;
}

START_TEST(an_ordinary_packet_may_be_answered)
{
	ck_assert(allowed(&(struct packet_spec){.protocol = IPPROTO_UDP}));
	ck_assert(allowed(&(struct packet_spec){.protocol = IPPROTO_TCP}));
	ck_assert(allowed(&(struct packet_spec){.protocol = IPPROTO_ESP, .payload_bytes = 40}));
	ck_assert(allowed(&(struct packet_spec){.family = IP_V6}));
	ck_assert(allowed(&(struct packet_spec){.more_fragments = true, .payload_bytes = 16}));
	ck_assert(
		allowed(&(struct packet_spec){.family = IP_V6, .more_fragments = true, .payload_bytes = 16}));
}
END_TEST

START_TEST(an_icmp_error_is_never_answered) // ICM-3
{
	for (uint16_t type = 0; type < 256; type++) {
		static const uint8_t answered[] = {0, 8, 9, 10, 13, 14, 15, 16, 17, 18};
		struct packet_spec v4 = {.protocol = IPPROTO_ICMP, .source_port = type};
		bool query = memchr(answered, type, sizeof(answered)) != NULL;

		if (type != 1 && type != 2 && type != 6 && type != 7) // not assigned, or not in use
			ck_assert_int_eq(allowed(&v4), query);
	}
	for (uint16_t type = 0; type < 256; type++) {
		struct packet_spec v6 = {.family = IP_V6,
			.protocol = IPPROTO_ICMPV6,
			.source_port = type,
			.payload_bytes = 16};

		if (type < 133 || type > 137) // neighbour discovery is never forwarded
			ck_assert_int_eq(allowed(&v6), type >= 128);
	}
}
END_TEST

START_TEST(a_redirect_is_never_answered) // RFC 4443 section 2.4(e.2)
{
	struct rte_mbuf *m = packet_mbuf(
		&(struct packet_spec){.family = IP_V6, .protocol = IPPROTO_ICMPV6, .source_port = 128});

	pkt_of(m)->source_port = 137;
	ck_assert(!icmp_error_allowed_one(m));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_later_fragment_is_never_answered) // ICM-3
{
	ck_assert(!allowed(&(struct packet_spec){.fragment_offset_bytes = 8, .payload_bytes = 16}));
	ck_assert(!allowed(
		&(struct packet_spec){.family = IP_V6, .fragment_offset_bytes = 8, .payload_bytes = 16}));
}
END_TEST

START_TEST(a_packet_of_the_gateway_itself_is_never_answered)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){0});

	pkt_of(m)->flags |= PKT_LOCAL;
	ck_assert(!icmp_error_allowed_one(m));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(an_address_that_is_no_single_host_is_never_answered) // ICM-3
{
	static const struct packet_spec specs[] = {
		{.source = "10.0.0.1", .destination = "224.0.0.5"},
		{.source = "10.0.0.1", .destination = "255.255.255.255"},
		{.source = "224.0.0.5", .destination = "10.0.0.1"},
		{.source = "0.0.0.0", .destination = "10.0.0.1"},
		{.source = "127.0.0.1", .destination = "10.0.0.1"},
		{.source = "fd00::1", .destination = "ff02::1"},
		{.source = "::", .destination = "fd00::1"},
		{.source = "ff02::1", .destination = "fd00::1"},
	};

	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		uint8_t bytes[PACKET_BYTES_MAX];
		struct rte_mbuf *m = mbuf_of(bytes, packet_build(&specs[i], bytes));

		// Parsing refuses it, having described it; the answer must not depend on that.
		ck_assert(!parse_inner_one(m, bytes[0] >> 4));
		ck_assert(!icmp_error_allowed_one(m));
		rte_pktmbuf_free(m);
	}
}
END_TEST

static struct packet_spec echo_request(uint8_t family)
{
	return (struct packet_spec){.family = family,
		.protocol = family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.source_port = family == IP_V4 ? 8 : 128,
		.payload_bytes = 57,
		.ttl = 1,
		.traffic_class = 0xbb};
}

START_TEST(an_echo_request_becomes_its_reply)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec request = echo_request(i ? IP_V6 : IP_V4);
		struct packet_spec reply = request;
		uint8_t expected[PACKET_BYTES_MAX];
		struct rte_mbuf *m = packet_mbuf(&request);

		reply.source = i ? "fd00:2::1" : "10.2.0.1";
		reply.destination = i ? "fd00:1::1" : "10.1.0.1";
		reply.source_port = i ? 129 : 0;
		reply.ttl = ICMP_ERROR_TTL;
		reply.traffic_class = 0xb8; // the DSCP, without ECN
		reply.df = true;
		size_t length = packet_build(&reply, expected);
		pkt_of(m)->port_in = 4;
		ck_assert(icmp_echo_reply_one(m));

		ck_assert_uint_eq(m->data_len, length);
		ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), expected, length);
		ck_assert_uint_eq(pkt_of(m)->flags, PKT_LOCAL | PKT_HAS_PORTS);
		ck_assert_uint_eq(pkt_of(m)->port_in, 4);
		ck_assert_uint_eq(pkt_of(m)->source_port, reply.source_port);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_reply_leaves_out_extension_headers)
{
	struct packet_spec request = echo_request(IP_V6);
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t length = packet_insert(bytes, packet_build(&request, bytes), IPPROTO_DSTOPTS, 24);
	struct rte_mbuf *m = mbuf_of(bytes, length);

	ck_assert(parse_inner_one(m, IP_V6));
	ck_assert(icmp_echo_reply_one(m));
	ck_assert_uint_eq(m->data_len, length - 24);
	ck_assert_uint_eq(pkt_of(m)->l4, 40);
	ck_assert_uint_eq(pkt_ipv6(m)->proto, IPPROTO_ICMPV6);
	ck_assert_uint_eq(
		packet_l4_checksum(rte_pktmbuf_mtod(m, uint8_t *), 40, m->data_len, IPPROTO_ICMPV6), 0);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_reply_leaves_out_options)
{
	struct packet_spec request = echo_request(IP_V4);
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t length = packet_build(&request, bytes);

	memmove(bytes + 28, bytes + 20, length - 20);
	memset(bytes + 20, 1, 8); // no-operation options
	bytes[0] = 0x47;
	bytes[3] = (uint8_t)(length + 8);
	memset(bytes + 10, 0, 2);
	uint16_t sum = packet_checksum(bytes, 28, 0);
	bytes[10] = (uint8_t)(sum >> 8);
	bytes[11] = (uint8_t)sum;
	struct rte_mbuf *m = mbuf_of(bytes, length + 8);
	ck_assert(parse_inner_one(m, IP_V4));
	ck_assert(icmp_echo_reply_one(m));
	ck_assert_uint_eq(m->data_len, length);
	ck_assert_uint_eq(pkt_ipv4(m)->version_ihl, 0x45);
	ck_assert_mem_eq(rte_pktmbuf_mtod_offset(m, uint8_t *, 24), bytes + 32, length - 24);
	ck_assert(parse_inner_one(m, IP_V4));
	rte_pktmbuf_free(m);
}
END_TEST

/* The packet is no echo request: it must stay as it is. */
static void assert_no_reply(struct rte_mbuf *m)
{
	uint8_t before[PACKET_BYTES_MAX];
	struct pkt described = *pkt_of(m);
	uint16_t length = m->data_len;

	memcpy(before, rte_pktmbuf_mtod(m, void *), length);
	ck_assert(!icmp_echo_reply_one(m));
	ck_assert_uint_eq(m->data_len, length);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), before, length);
	ck_assert_mem_eq(pkt_of(m), &described, sizeof(described));
	rte_pktmbuf_free(m);
}

START_TEST(an_echo_request_with_any_bit_wrong_is_not_answered)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec request = echo_request(i ? IP_V6 : IP_V4);
		size_t l4 = i ? 40 : 20;

		for (size_t bit = 0; bit < 65 * 8; bit++) {
			struct rte_mbuf *m = packet_mbuf(&request);

			rte_pktmbuf_mtod(m, uint8_t *)[l4 + bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_no_reply(m);
		}
	}
}
END_TEST

START_TEST(what_is_no_whole_echo_request_is_not_answered)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = echo_request(i ? IP_V6 : IP_V4);

		spec.source_port = i ? 129 : 0; // a reply
		assert_no_reply(packet_mbuf(&spec));
		spec = echo_request(spec.family);
		spec.destination_port = 1; // a code that no request has
		assert_no_reply(packet_mbuf(&spec));
		spec = echo_request(spec.family);
		spec.more_fragments = true;
		assert_no_reply(packet_mbuf(&spec));
		spec = (struct packet_spec){.family = spec.family, .source_port = i ? 128 : 8};
		assert_no_reply(packet_mbuf(&spec)); // UDP from the port of that number
	}
}
END_TEST

START_TEST(an_echo_request_without_identifier_and_sequence_is_not_answered)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	// Protocol 1 with four bytes of payload: type 8, code 0 and the right checksum, and no more.
	size_t length =
		packet_build(&(struct packet_spec){.protocol = IPPROTO_GRE, .payload_bytes = 4}, bytes);
	static const uint8_t icmp[4] = {8, 0, 0xf7, 0xff};

	memcpy(bytes + 20, icmp, 4);
	bytes[9] = IPPROTO_ICMP;
	memset(bytes + 10, 0, 2);
	uint16_t sum = packet_checksum(bytes, 20, 0);
	bytes[10] = (uint8_t)(sum >> 8);
	bytes[11] = (uint8_t)sum;
	struct rte_mbuf *m = mbuf_of(bytes, length);
	ck_assert(parse_inner_one(m, IP_V4));
	assert_no_reply(m);
}
END_TEST

static TCase *error_tests(void)
{
	TCase *tcase = tcase_create("errors");

	tcase_add_test(tcase, an_ipv4_packet_too_big_is_answered_with_the_mtu_in_the_low_half);
	tcase_add_test(tcase, an_ipv6_packet_too_big_is_answered_with_the_mtu_in_the_word);
	tcase_add_test(tcase, an_expired_packet_is_answered_with_time_exceeded);
	tcase_add_test(tcase, only_too_big_tells_an_mtu);
	tcase_add_test(tcase, an_error_of_any_length_has_a_right_checksum_and_is_no_longer_than_its_limit);
	tcase_add_test(tcase, the_longest_errors_have_576_and_1280_bytes);
	tcase_add_test(tcase, the_error_is_described_as_a_packet_of_the_gateway);
	tcase_add_test(tcase, what_the_gateway_makes_is_parsed_as_it_is_described);
	tcase_add_test(tcase, without_headroom_there_is_no_error_and_no_change);
	return tcase;
}

static TCase *allowed_tests(void)
{
	TCase *tcase = tcase_create("allowed");

	tcase_add_test(tcase, an_ordinary_packet_may_be_answered);
	tcase_add_test(tcase, an_icmp_error_is_never_answered);
	tcase_add_test(tcase, a_redirect_is_never_answered);
	tcase_add_test(tcase, a_later_fragment_is_never_answered);
	tcase_add_test(tcase, a_packet_of_the_gateway_itself_is_never_answered);
	tcase_add_test(tcase, an_address_that_is_no_single_host_is_never_answered);
	return tcase;
}

static TCase *echo_tests(void)
{
	TCase *tcase = tcase_create("echo");

	tcase_add_test(tcase, an_echo_request_becomes_its_reply);
	tcase_add_test(tcase, a_reply_leaves_out_extension_headers);
	tcase_add_test(tcase, a_reply_leaves_out_options);
	tcase_add_test(tcase, an_echo_request_with_any_bit_wrong_is_not_answered);
	tcase_add_test(tcase, what_is_no_whole_echo_request_is_not_answered);
	tcase_add_test(tcase, an_echo_request_without_identifier_and_sequence_is_not_answered);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("net/icmp_error");
	TCase *tcases[] = {error_tests(), allowed_tests(), echo_tests()};

	for (size_t i = 0; i < sizeof(tcases) / sizeof(*tcases); i++) {
		tcase_add_checked_fixture(tcases[i], eal_setup, eal_teardown);
		tcase_set_timeout(tcases[i], 60);
		suite_add_tcase(suite, tcases[i]);
	}
	return eal_run_suite(suite);
}
