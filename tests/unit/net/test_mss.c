#include "net/mss.h"

#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define TCP_BYTES   20
#define SYN         0x02
#define ACK         0x10
#define OPTIONS_MAX 40
/* The MTU of a tunnel by AES-GCM over IPv4 on a link of 1500, and what a segment may be then. */
#define GCM_MTU    1446
#define GCM_MSS_V4 1406
#define GCM_MSS_V6 1386

/* A TCP packet with these options, padded with zero to words. */
struct segment {
	uint8_t family;
	uint8_t flags;
	size_t extension_bytes; /* of a header in front of TCP, IPv6 alone; 0: none */
	uint8_t extension;      /* its protocol */
	size_t n_options;
	uint8_t options[OPTIONS_MAX];
};

#define MSS(value)   2, 4, (value) >> 8, (value)&0xff
#define OPTIONS(...) .n_options = sizeof((uint8_t[]){__VA_ARGS__}), .options = {__VA_ARGS__}

static void put_be16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Its bytes; *l4 is where TCP begins. */
static size_t segment_build(const struct segment *segment, uint8_t *bytes, size_t *l4)
{
	size_t option_bytes = (segment->n_options + 3) & ~(size_t)3;
	struct packet_spec spec = {.family = segment->family,
		.protocol = IPPROTO_TCP,
		.source_port = 40000,
		.destination_port = 80,
		.payload_bytes = (uint16_t)option_bytes};
	size_t length = packet_build(&spec, bytes);
	size_t header = segment->family == IP_V6 ? 40 : 20;
	uint8_t *tcp = bytes + header;

	tcp[12] = (uint8_t)((TCP_BYTES + option_bytes) / 4 << 4);
	tcp[13] = segment->flags ? segment->flags : SYN;
	memset(tcp + TCP_BYTES, 0, option_bytes);
	memcpy(tcp + TCP_BYTES, segment->options, segment->n_options);
	put_be16(tcp + 16, 0);
	put_be16(tcp + 16, packet_l4_checksum(bytes, header, length, IPPROTO_TCP));
	if (segment->extension_bytes > 0)
		length = packet_insert(bytes, length, segment->extension, segment->extension_bytes);
	*l4 = header + segment->extension_bytes;
	return length;
}

/* Zero if TCP's checksum is right. */
static uint16_t tcp_checksum(const uint8_t *bytes, size_t l4, size_t length)
{
	uint8_t plain[PACKET_BYTES_MAX];
	size_t header = bytes[0] >> 4 == 6 ? 40 : 20;

	memcpy(plain, bytes, header);
	memcpy(plain + header, bytes + l4, length - l4);
	return packet_l4_checksum(plain, header, header + length - l4, IPPROTO_TCP);
}

/* The packet as mss_clamp_one leaves it, if parse sees a SYN in it. */
static void clamped(const struct segment *segment, uint16_t mtu_bytes, struct segment *out)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t l4, length = segment_build(segment, bytes, &l4);
	struct rte_mbuf *m = mbuf_exact_of(bytes, length);
	const uint8_t *after;

	ck_assert(parse_inner_one(m, segment->family));
	if (pkt_of(m)->flags & PKT_TCP_SYN)
		mss_clamp_one(m, mtu_bytes);
	after = rte_pktmbuf_mtod(m, const uint8_t *);
	*out = *segment;
	memcpy(out->options, after + l4 + TCP_BYTES, segment->n_options);
	ck_assert_uint_eq(tcp_checksum(after, l4, length), 0);
	/* Nothing but options and checksum changed. */
	ck_assert_mem_eq(after, bytes, l4 + 16);
	ck_assert_mem_eq(after + l4 + 18, bytes + l4 + 18, 2);
	rte_pktmbuf_free(m);
}

static void assert_clamped(const struct segment *before, const struct segment *expected)
{
	struct segment after;

	clamped(before, GCM_MTU, &after);
	ck_assert_mem_eq(after.options, expected->options, expected->n_options);
}

static void assert_left_alone(const struct segment *segment)
{
	assert_clamped(segment, segment);
}

// PMT-6
START_TEST(the_mss_of_a_syn_is_lowered_to_what_the_tunnel_carries)
{
	assert_clamped(&(struct segment){.family = IP_V4, OPTIONS(MSS(1460))},
		&(struct segment){OPTIONS(MSS(GCM_MSS_V4))});
	assert_clamped(&(struct segment){.family = IP_V6, OPTIONS(MSS(1440))},
		&(struct segment){OPTIONS(MSS(GCM_MSS_V6))});
}
END_TEST

// PMT-6
START_TEST(the_answer_to_a_syn_is_lowered_too)
{
	assert_clamped(&(struct segment){.family = IP_V4, .flags = SYN | ACK, OPTIONS(MSS(8960))},
		&(struct segment){OPTIONS(MSS(GCM_MSS_V4))});
}
END_TEST

// PMT-6
START_TEST(an_mss_that_fits_is_never_raised)
{
	assert_left_alone(&(struct segment){.family = IP_V4, OPTIONS(MSS(GCM_MSS_V4))});
	assert_left_alone(&(struct segment){.family = IP_V4, OPTIONS(MSS(1))});
	assert_left_alone(&(struct segment){.family = IP_V6, OPTIONS(MSS(0))});
}
END_TEST

START_TEST(an_mss_is_not_lowered_below_what_silence_means)
{
	struct segment syn = {.family = IP_V4, OPTIONS(MSS(1460))};
	struct segment after;

	for (uint16_t mtu = 0; mtu <= 576; mtu++) {
		clamped(&syn, mtu, &after);
		ck_assert_uint_eq(after.options[2] << 8 | after.options[3], MSS_MIN);
	}
}
END_TEST

/* The checksum's words are even, the options are not: every offset, with values of every kind before. */
START_TEST(the_checksum_is_right_at_every_offset)
{
	srandom(1071);
	for (unsigned round = 0; round < 20000; round++) {
		struct segment before = {.family = round % 2 ? IP_V4 : IP_V6, .n_options = OPTIONS_MAX};
		unsigned at = (unsigned)random() % (OPTIONS_MAX - 3);
		uint16_t mss = (uint16_t)random();
		struct segment after;

		memset(before.options, 1, at);
		memcpy(before.options + at, (uint8_t[]){MSS(mss)}, 4);
		clamped(&before, GCM_MTU, &after);
		uint16_t limit = before.family == IP_V4 ? GCM_MSS_V4 : GCM_MSS_V6;
		ck_assert_uint_eq(
			after.options[at + 2] << 8 | after.options[at + 3], mss < limit ? mss : limit);
	}
}
END_TEST

START_TEST(a_wrong_checksum_stays_wrong)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t l4;
	size_t length = segment_build(&(struct segment){.family = IP_V4, OPTIONS(MSS(1460))}, bytes, &l4);

	bytes[l4 + 16] ^= 0x20;
	struct rte_mbuf *m = mbuf_exact_of(bytes, length);
	ck_assert(parse_inner_one(m, IP_V4));
	mss_clamp_one(m, GCM_MTU);
	const uint8_t *after = rte_pktmbuf_mtod(m, const uint8_t *);
	ck_assert_uint_eq(after[l4 + 22] << 8 | after[l4 + 23], GCM_MSS_V4);
	ck_assert_uint_ne(tcp_checksum(after, l4, length), 0);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(every_mss_option_of_a_syn_is_lowered)
{
	assert_clamped(&(struct segment){.family = IP_V4, OPTIONS(MSS(1460), 1, MSS(9000))},
		&(struct segment){OPTIONS(MSS(GCM_MSS_V4), 1, MSS(GCM_MSS_V4))});
}
END_TEST

/* What Linux sends: MSS, SACK permitted, timestamps, window scale. */
START_TEST(other_options_stay)
{
	assert_clamped(&(struct segment){.family = IP_V4,
			       OPTIONS(4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7, MSS(1460))},
		&(struct segment){OPTIONS(4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 3, 3, 7, MSS(GCM_MSS_V4))});
}
END_TEST

START_TEST(an_mss_behind_extension_headers_is_found)
{
	assert_clamped(&(struct segment){.family = IP_V6,
			       .extension = IPPROTO_DSTOPTS,
			       .extension_bytes = 24,
			       OPTIONS(MSS(1440))},
		&(struct segment){OPTIONS(MSS(GCM_MSS_V6))});
}
END_TEST

START_TEST(an_mss_behind_ipv4_options_is_found)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t l4;
	size_t length = segment_build(&(struct segment){.family = IP_V4, OPTIONS(MSS(1460))}, bytes, &l4);

	memmove(bytes + 24, bytes + 20, length - 20);
	memcpy(bytes + 20, (uint8_t[]){0x94, 4, 0, 0}, 4); /* router alert, RFC 2113 */
	bytes[0] = 0x46;
	put_be16(bytes + 2, (uint16_t)(length + 4));
	put_be16(bytes + 10, 0);
	put_be16(bytes + 10, packet_checksum(bytes, 24, 0));
	struct rte_mbuf *m = mbuf_exact_of(bytes, length + 4);
	ck_assert(parse_inner_one(m, IP_V4));
	ck_assert(pkt_of(m)->flags & PKT_TCP_SYN);
	mss_clamp_one(m, GCM_MTU);
	const uint8_t *after = rte_pktmbuf_mtod(m, const uint8_t *);
	ck_assert_uint_eq(after[24 + 22] << 8 | after[24 + 23], GCM_MSS_V4);
	ck_assert_uint_eq(tcp_checksum(after, 24, length + 4), 0);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(what_a_sender_signed_is_left_alone)
{
	assert_left_alone(&(struct segment){
		.family = IP_V6, .extension = IPPROTO_AH, .extension_bytes = 24, OPTIONS(MSS(1440))});
	assert_left_alone(
		&(struct segment){.family = IP_V4, OPTIONS(MSS(1460), 29, 8, 1, 1, 0xaa, 0xbb, 0xcc, 0xdd)});
}
END_TEST

START_TEST(malformed_options_are_left_alone)
{
	static const struct segment malformed[] = {
		{.family = IP_V4, OPTIONS(2, 0, 5, 0xb4)},          /* no length */
		{.family = IP_V4, OPTIONS(2, 1, 5, 0xb4)},          /* shorter than its own header */
		{.family = IP_V4, OPTIONS(2, 3, 5, 0xb4)},          /* not an MSS's length */
		{.family = IP_V4, OPTIONS(2, 5, 5, 0xb4, 0)},       /* nor this */
		{.family = IP_V4, OPTIONS(1, 2, 4, 0x23)},          /* cut short by the header's end */
		{.family = IP_V4, OPTIONS(1, 1, 1, 2)},             /* the kind alone */
		{.family = IP_V4, OPTIONS(8, 0, 1, 1, MSS(1460))},  /* behind a malformed one */
		{.family = IP_V4, OPTIONS(8, 41, 1, 1, MSS(1460))}, /* behind one that is too long */
		{.family = IP_V4, OPTIONS(0, 1, 1, 1, MSS(1460))},  /* behind the end */
		{.family = IP_V6, OPTIONS(2, 255, 5, 0xb4)},
		{.family = IP_V4},
	};

	for (size_t i = 0; i < RTE_DIM(malformed); i++)
		assert_left_alone(&malformed[i]);
}
END_TEST

/* A header that is longer than the packet, or shorter than a header. */
START_TEST(a_wrong_header_length_is_left_alone)
{
	for (unsigned words = 0; words < 16; words++) {
		uint8_t bytes[PACKET_BYTES_MAX];
		size_t l4, length;

		length = segment_build(&(struct segment){.family = IP_V4, OPTIONS(MSS(1460))}, bytes, &l4);
		bytes[l4 + 12] = (uint8_t)(words << 4);
		struct rte_mbuf *m = mbuf_exact_of(bytes, length);
		ck_assert(parse_inner_one(m, IP_V4));
		mss_clamp_one(m, GCM_MTU);
		if (words != 6)
			ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), bytes, length);
		rte_pktmbuf_free(m);
	}
}
END_TEST

static bool is_syn(const uint8_t *bytes, size_t length)
{
	struct rte_mbuf *m = mbuf_exact_of(bytes, length);

	ck_assert(parse_inner_one(m, bytes[0] >> 4 == 6 ? IP_V6 : IP_V4));
	bool syn = (pkt_of(m)->flags & PKT_TCP_SYN) != 0;
	rte_pktmbuf_free(m);
	return syn;
}

START_TEST(only_a_whole_tcp_header_with_syn_counts_as_one)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t l4;
	size_t length = segment_build(&(struct segment){.family = IP_V6}, bytes, &l4);

	ck_assert(is_syn(bytes, length));
	bytes[5]--;
	ck_assert(!is_syn(bytes, length - 1));

	length = segment_build(&(struct segment){.family = IP_V6, .flags = ACK}, bytes, &l4);
	ck_assert(!is_syn(bytes, length));

	/* UDP whose payload looks like one. */
	length = packet_build(&(struct packet_spec){.payload_bytes = 40}, bytes);
	bytes[20 + 13] = SYN;
	ck_assert(!is_syn(bytes, length));
}
END_TEST

/* The header may be whole in a first fragment, but its checksum is of what is in others. */
START_TEST(a_fragment_is_no_syn)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t length = packet_build(&(struct packet_spec){.family = IP_V6,
					     .protocol = IPPROTO_TCP,
					     .payload_bytes = 20,
					     .more_fragments = true},
		bytes);

	bytes[48 + 13] = SYN;
	ck_assert(!is_syn(bytes, length));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mss");
	TCase *tcase = tcase_create("mss");

	tcase_add_checked_fixture(tcase, eal_setup, eal_teardown);
	tcase_add_test(tcase, the_mss_of_a_syn_is_lowered_to_what_the_tunnel_carries);
	tcase_add_test(tcase, the_answer_to_a_syn_is_lowered_too);
	tcase_add_test(tcase, an_mss_that_fits_is_never_raised);
	tcase_add_test(tcase, an_mss_is_not_lowered_below_what_silence_means);
	tcase_add_test(tcase, the_checksum_is_right_at_every_offset);
	tcase_add_test(tcase, a_wrong_checksum_stays_wrong);
	tcase_add_test(tcase, every_mss_option_of_a_syn_is_lowered);
	tcase_add_test(tcase, other_options_stay);
	tcase_add_test(tcase, an_mss_behind_extension_headers_is_found);
	tcase_add_test(tcase, an_mss_behind_ipv4_options_is_found);
	tcase_add_test(tcase, what_a_sender_signed_is_left_alone);
	tcase_add_test(tcase, malformed_options_are_left_alone);
	tcase_add_test(tcase, a_wrong_header_length_is_left_alone);
	tcase_add_test(tcase, only_a_whole_tcp_header_with_syn_counts_as_one);
	tcase_add_test(tcase, a_fragment_is_no_syn);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
