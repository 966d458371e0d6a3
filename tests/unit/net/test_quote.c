#include "net/quote.h"

#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <string.h>

static struct ip_addr address(const char *text)
{
	struct ip_addr addr;

	ck_assert_int_eq(ip_addr_parse(text, &addr), 0);
	return addr;
}

/* A parsed ICMP error of the quote's version, from a router to the quote's source. */
static struct rte_mbuf *error_of(
	uint8_t type, uint8_t code, uint32_t word, const uint8_t *quote, size_t length, uint8_t family)
{
	bool v4 = family == IP_V4;

	return packet_mbuf(&(struct packet_spec){.source = v4 ? "203.0.113.9" : "2001:db8:9::9",
		.destination = v4 ? "192.0.2.1" : "2001:db8::1",
		.protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.source_port = type,
		.destination_port = code,
		.icmp_word = word,
		.payload = quote,
		.payload_bytes = (uint16_t)length});
}

static const uint8_t esp_bytes[] = {0x12, 0x34, 0x56, 0x78, 0, 0, 0x01, 0x02};

static struct packet_spec esp_spec(uint8_t family)
{
	return (struct packet_spec){.source = family == IP_V4 ? "192.0.2.1" : "2001:db8::1",
		.destination = family == IP_V4 ? "198.51.100.1" : "2001:db8:1::1",
		.protocol = IPPROTO_ESP,
		.df = true,
		.payload = esp_bytes,
		.payload_bytes = sizeof(esp_bytes)};
}

/* Read the error about that packet, of which the first `length` bytes are quoted; frees it. */
static bool read_error(
	const struct packet_spec *quoted, size_t length, uint8_t type, uint32_t word, struct quote *quote)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t all = packet_build(quoted, bytes);
	uint8_t family = bytes[0] >> 4;
	struct rte_mbuf *m = error_of(
		type, family == IP_V4 && type == 3 ? 4 : 0, word, bytes, RTE_MIN(length, all), family);
	bool is_good = quote_read_one(m, quote);

	rte_pktmbuf_free(m);
	return is_good;
}

START_TEST(a_quote_of_esp_names_the_sa_and_the_mtu) // PMT-5
{
	for (int i = 0; i < 2; i++) {
		uint8_t family = i ? IP_V6 : IP_V4;
		struct packet_spec spec = esp_spec(family);
		struct quote quote;
		struct ip_addr source = address(spec.source), destination = address(spec.destination);

		ck_assert(read_error(&spec, SIZE_MAX, i ? 2 : 3, 1400, &quote));

		ck_assert_int_eq(quote.kind, ICMP_KIND_TOO_BIG);
		ck_assert_uint_eq(quote.mtu_bytes, 1400);
		ck_assert_uint_eq(quote.ipsec, IPPROTO_ESP);
		ck_assert_uint_eq(rte_be_to_cpu_32(quote.spi), 0x12345678);
		ck_assert_uint_eq(quote.seq, 0x102);
		ck_assert_uint_eq(quote.flow.protocol, IPPROTO_ESP);
		ck_assert(ip_addr_equal(&quote.flow.source, &source));
		ck_assert(ip_addr_equal(&quote.flow.destination, &destination));
		ck_assert(quote.has_df == (family == IP_V4));
		ck_assert(!quote.is_fragment && !quote.flow.has_ports);
	}
}
END_TEST

/* The quoted packet is the front with those bytes behind its IP header. */
static void quote_of(uint8_t family, uint8_t protocol, const uint8_t *payload, size_t n, struct quote *quote)
{
	struct packet_spec spec = {.family = family, .protocol = protocol, .payload_bytes = 64};
	size_t header = family == IP_V6 ? 40 : 20;
	uint8_t bytes[PACKET_BYTES_MAX];
	struct rte_mbuf *m;

	packet_build(&spec, bytes);
	memcpy(bytes + header, payload, n);
	m = error_of(family == IP_V6 ? 2 : 3, family == IP_V6 ? 0 : 4, 1400, bytes, header + n, family);
	ck_assert(quote_read_one(m, quote));
	rte_pktmbuf_free(m);
}

START_TEST(a_quote_of_ah_or_of_esp_in_udp_names_the_sa) // PMT-5
{
	/* Next header (none), length, reserved; SPI; number; an ICV of 12 bytes. */
	static const uint8_t ah[24] = {59, 4, 0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 1, 2};
	static const uint8_t udp[16] = {
		0x11, 0x94, 0x11, 0x94, 0, 64, 0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 1, 2};

	for (int i = 0; i < 2; i++) {
		struct quote quote;

		quote_of(i ? IP_V6 : IP_V4, IPPROTO_AH, ah, sizeof(ah), &quote);
		ck_assert_uint_eq(quote.ipsec, IPPROTO_AH);
		ck_assert_uint_eq(rte_be_to_cpu_32(quote.spi), 0x12345678);
		ck_assert_uint_eq(quote.seq, 0x102);
		quote_of(i ? IP_V6 : IP_V4, IPPROTO_UDP, udp, sizeof(udp), &quote);
		ck_assert(quote.ipsec == IPPROTO_ESP && quote.in_udp);
		ck_assert_uint_eq(rte_be_to_cpu_32(quote.spi), 0x12345678);
		ck_assert_uint_eq(quote.seq, 0x102);
		quote_of(i ? IP_V6 : IP_V4, IPPROTO_UDP, udp, sizeof(udp) - 1, &quote);
		ck_assert(!quote.ipsec && !quote.in_udp);
	}
}
END_TEST

START_TEST(of_ipv4s_word_only_the_low_half_is_the_mtu) // RFC 1191 section 4
{
	struct packet_spec spec = esp_spec(IP_V4);
	struct quote quote;

	ck_assert(read_error(&spec, SIZE_MAX, 3, 0xdead0578, &quote));
	ck_assert_uint_eq(quote.mtu_bytes, 0x578);
	spec = esp_spec(IP_V6);
	ck_assert(read_error(&spec, SIZE_MAX, 2, 0xdead0578, &quote));
	ck_assert_uint_eq(quote.mtu_bytes, 0xdead0578);
}
END_TEST

/* Whatever is cut off, nothing behind the end is read, and what is not there is not told. */
START_TEST(a_quote_that_is_cut_short_tells_what_is_there)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = esp_spec(i ? IP_V6 : IP_V4);
		size_t header = i ? 40 : 20;

		for (size_t length = 0; length <= header + sizeof(esp_bytes); length++) {
			struct quote quote;
			bool is_good = read_error(&spec, length, i ? 2 : 3, 1400, &quote);

			ck_assert_msg(is_good == (length >= header), "length=%zu", length);
			ck_assert((quote.ipsec == IPPROTO_ESP) == (length == header + sizeof(esp_bytes)));
		}
	}
}
END_TEST

START_TEST(ports_are_read_from_the_first_four_bytes) // ICM-2
{
	struct packet_spec spec = {.source_port = 5000, .destination_port = 53, .payload_bytes = 30};
	struct quote quote;

	for (int i = 0; i < 2; i++) {
		size_t header = i ? 40 : 20;

		spec.family = i ? IP_V6 : IP_V4;
		ck_assert(read_error(&spec, header + 4, i ? 1 : 11, 0, &quote));
		ck_assert_int_eq(quote.kind, i ? ICMP_KIND_UNREACHABLE : ICMP_KIND_TIME_EXCEEDED);
		ck_assert(quote.flow.has_ports);
		ck_assert_uint_eq(quote.flow.source_port, 5000);
		ck_assert_uint_eq(quote.flow.destination_port, 53);
		ck_assert(read_error(&spec, header + 3, i ? 1 : 11, 0, &quote));
		ck_assert(!quote.flow.has_ports);
	}
}
END_TEST

/* NAT-8: by which the flow of an echo is known. */
START_TEST(a_quote_of_an_echo_has_its_identifier)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.source = i ? "2001:db8::1" : "192.0.2.1",
			.destination = i ? "2001:db8:1::1" : "198.51.100.1",
			.protocol = i ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			.source_port = i ? 128 : 8,
			.icmp_word = 0x12345678};
		size_t id_end = (i ? 40 : 20) + 6;
		struct quote quote;

		ck_assert(read_error(&spec, SIZE_MAX, i ? 2 : 3, 1400, &quote));
		ck_assert_uint_eq(rte_be_to_cpu_16(quote.echo_id), 0x1234);
		ck_assert(read_error(&spec, id_end, i ? 2 : 3, 1400, &quote));
		ck_assert_uint_eq(rte_be_to_cpu_16(quote.echo_id), 0x1234);
		ck_assert(read_error(&spec, id_end - 1, i ? 2 : 3, 1400, &quote));
		ck_assert_uint_eq(quote.echo_id, 0);
	}
}
END_TEST

START_TEST(a_later_fragment_shows_neither_ports_nor_an_spi)
{
	for (int i = 0; i < 4; i++) {
		struct packet_spec spec = {.family = i % 2 ? IP_V6 : IP_V4,
			.protocol = i < 2 ? IPPROTO_UDP : IPPROTO_ESP,
			.payload_bytes = 64};
		struct quote first, later;

		spec.more_fragments = true;
		ck_assert(read_error(&spec, SIZE_MAX, i % 2 ? 3 : 11, 0, &first));
		spec.fragment_offset_bytes = 8;
		ck_assert(read_error(&spec, SIZE_MAX, i % 2 ? 3 : 11, 0, &later));

		ck_assert(first.is_fragment && later.is_fragment);
		ck_assert(first.flow.has_ports == (i < 2) && !first.in_udp == (i >= 2) && first.ipsec);
		ck_assert(!later.flow.has_ports && !later.ipsec);
		ck_assert_uint_eq(later.flow.protocol, spec.protocol);
	}
}
END_TEST

START_TEST(extension_headers_are_skipped_and_where_they_are_cut_off_nothing_is_told)
{
	struct packet_spec spec = esp_spec(IP_V6);
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t length = packet_build(&spec, bytes);
	struct quote quote;

	length = packet_insert(bytes, length, IPPROTO_DSTOPTS, 24);
	length = packet_insert(bytes, length, IPPROTO_HOPOPTS, 8);
	for (size_t cut = 40; cut <= length; cut++) {
		struct rte_mbuf *m = error_of(2, 0, 1400, bytes, cut, IP_V6);
		bool is_good = quote_read_one(m, &quote);

		ck_assert_msg(is_good == (cut >= 40 + 8 + 24), "cut=%zu", cut);
		ck_assert((quote.ipsec == IPPROTO_ESP) == (cut == length));
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(what_is_no_error_or_of_a_wrong_checksum_is_not_read)
{
	static const struct {
		uint8_t family, type, code;
		enum icmp_kind kind;
	} cases[] = {
		{IP_V4, 3, 1, ICMP_KIND_UNREACHABLE},
		{IP_V4, 3, 4, ICMP_KIND_TOO_BIG},
		{IP_V4, 11, 1, ICMP_KIND_TIME_EXCEEDED},
		{IP_V4, 12, 0, ICMP_KIND_PARAMETER_PROBLEM},
		{IP_V4, 4, 0, ICMP_KIND_NONE},
		{IP_V4, 5, 0, ICMP_KIND_NONE},
		{IP_V4, 8, 0, ICMP_KIND_NONE},
		{IP_V6, 1, 4, ICMP_KIND_UNREACHABLE},
		{IP_V6, 2, 0, ICMP_KIND_TOO_BIG},
		{IP_V6, 3, 0, ICMP_KIND_TIME_EXCEEDED},
		{IP_V6, 4, 2, ICMP_KIND_PARAMETER_PROBLEM},
		{IP_V6, 11, 0, ICMP_KIND_NONE},
		{IP_V6, 128, 0, ICMP_KIND_NONE},
	};
	uint8_t bytes[PACKET_BYTES_MAX];

	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct packet_spec spec = esp_spec(cases[i].family);
		size_t length = packet_build(&spec, bytes);
		struct rte_mbuf *m =
			error_of(cases[i].type, cases[i].code, 1400, bytes, length, cases[i].family);
		struct quote quote;

		ck_assert_int_eq(icmp_kind_one(m), cases[i].kind);
		ck_assert(quote_read_one(m, &quote) == (cases[i].kind != ICMP_KIND_NONE));
		*rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len - 1) ^= 1;
		ck_assert(!quote_read_one(m, &quote));
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_quote_of_the_other_version_is_not_read)
{
	uint8_t bytes[PACKET_BYTES_MAX];

	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = esp_spec(i ? IP_V4 : IP_V6);
		size_t length = packet_build(&spec, bytes);
		struct rte_mbuf *m = error_of(i ? 2 : 3, i ? 0 : 4, 1400, bytes, length, i ? IP_V6 : IP_V4);
		struct quote quote;

		ck_assert(!quote_read_one(m, &quote));
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_fragment_of_an_error_is_none)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.protocol = IPPROTO_ICMP,
		.source_port = 3,
		.destination_port = 4,
		.payload_bytes = 64,
		.more_fragments = true});

	ck_assert_int_eq(icmp_kind_one(m), ICMP_KIND_NONE);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(the_answering_flow_has_ends_ports_and_echo_the_other_way_round) // ICM-2
{
	struct flow flow = {.source = address("10.1.0.1"),
		.destination = address("10.2.0.1"),
		.protocol = IPPROTO_UDP,
		.has_ports = true,
		.source_port = 5000,
		.destination_port = 53};
	struct flow reversed = flow_reversed(&flow);

	ck_assert(ip_addr_equal(&reversed.source, &flow.destination));
	ck_assert(ip_addr_equal(&reversed.destination, &flow.source));
	ck_assert_uint_eq(reversed.source_port, 53);
	ck_assert_uint_eq(reversed.destination_port, 5000);
	ck_assert(reversed.has_ports && reversed.protocol == IPPROTO_UDP);
	static const uint8_t echoes[][3] = {{IPPROTO_ICMP, 8, 0}, {IPPROTO_ICMP, 0, 8},
		{IPPROTO_ICMPV6, 128, 129}, {IPPROTO_ICMPV6, 129, 128}, {IPPROTO_ICMP, 13, 13}};
	for (size_t i = 0; i < RTE_DIM(echoes); i++) {
		flow.protocol = echoes[i][0];
		flow.source_port = echoes[i][1];
		flow.destination_port = 5;
		reversed = flow_reversed(&flow);
		ck_assert_uint_eq(reversed.source_port, echoes[i][2]);
		ck_assert_uint_eq(reversed.destination_port, 5);
	}
	/* A mobility header has a type and nothing else. */
	flow.protocol = IPPROTO_MH;
	flow.source_port = 6;
	flow.destination_port = 0;
	reversed = flow_reversed(&flow);
	ck_assert(reversed.source_port == 6 && reversed.destination_port == 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quote");
	TCase *tcase = tcase_create("quote");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_test(tcase, a_quote_of_esp_names_the_sa_and_the_mtu);
	tcase_add_test(tcase, a_quote_of_ah_or_of_esp_in_udp_names_the_sa);
	tcase_add_test(tcase, of_ipv4s_word_only_the_low_half_is_the_mtu);
	tcase_add_test(tcase, a_quote_that_is_cut_short_tells_what_is_there);
	tcase_add_test(tcase, ports_are_read_from_the_first_four_bytes);
	tcase_add_test(tcase, a_later_fragment_shows_neither_ports_nor_an_spi);
	tcase_add_test(tcase, extension_headers_are_skipped_and_where_they_are_cut_off_nothing_is_told);
	tcase_add_test(tcase, what_is_no_error_or_of_a_wrong_checksum_is_not_read);
	tcase_add_test(tcase, a_quote_of_the_other_version_is_not_read);
	tcase_add_test(tcase, a_fragment_of_an_error_is_none);
	tcase_add_test(tcase, a_quote_of_an_echo_has_its_identifier);
	tcase_add_test(tcase, the_answering_flow_has_ends_ports_and_echo_the_other_way_round);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
