#include "net/parse.h"

#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>

/* Where a packet goes; every other outcome is the enum drop_reason. */
enum {
	KEPT = -1,
	NEIGH = -2,
};

#define ETHER_BYTES    14
#define MIN_FRAME      60
#define RANDOM_PACKETS 50000

static const struct parse_port untagged = {.mac = PACKET_MAC_OURS, .index = 3};
static const struct parse_port tagged = {.mac = PACKET_MAC_OURS, .vlan = 100, .index = 3};

static const uint8_t arp_request[] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x00, 0x5e, 0x00, 0x02, 0xfe, 0x08, 0x06, // Ethernet
	0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,                                     // ARP request
	0x02, 0x00, 0x5e, 0x00, 0x02, 0xfe, 0xc0, 0x00, 0x02, 0xfe, // from 192.0.2.254
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x01, // who has 192.0.2.1
};

/* One of each shape that parse takes. */
static const struct packet_spec samples[] = {
	{.protocol = IPPROTO_UDP, .source_port = 1000, .destination_port = 53, .payload_bytes = 30},
	{.protocol = IPPROTO_TCP, .source_port = 1000, .destination_port = 80},
	{.protocol = IPPROTO_ICMP, .source_port = 8, .payload_bytes = 16},
	{.protocol = IPPROTO_ESP, .payload_bytes = 40},
	{.protocol = IPPROTO_UDP, .more_fragments = true, .payload_bytes = 32},
	{.protocol = IPPROTO_UDP, .fragment_offset_bytes = 40, .payload_bytes = 32},
	{.family = IP_V6, .protocol = IPPROTO_UDP, .source_port = 1000, .destination_port = 53},
	{.family = IP_V6, .protocol = IPPROTO_TCP, .payload_bytes = 5},
	{.family = IP_V6, .protocol = IPPROTO_ICMPV6, .source_port = 128, .payload_bytes = 16},
	{.family = IP_V6, .protocol = IPPROTO_UDP, .more_fragments = true, .payload_bytes = 32},
	{.family = IP_V6, .protocol = IPPROTO_UDP, .fragment_offset_bytes = 40, .payload_bytes = 32},
	{.family = IP_V6, .protocol = IPPROTO_NONE},
};
#define SAMPLES (sizeof(samples) / sizeof(*samples))

/* Parse one frame. A packet that was dropped is freed, else it is the caller's. */
static int parse_one(struct rte_mbuf *m, const struct parse_port *port)
{
	struct drops drops = {0};
	struct burst burst = {.n = 1, .pkts = {m}};
	struct burst neigh = {0};

	parse_burst(&burst, port, &neigh, &drops);
	ck_assert_uint_eq(burst.n + neigh.n + drops.total, 1);
	if (burst.n)
		return KEPT;
	if (neigh.n)
		return NEIGH;
	for (int reason = 0; reason < DROP_COUNT; reason++) {
		if (drops.count[port->index][reason])
			return reason;
	}
	ck_abort_msg("the drop is not counted on the port");
}

/* What becomes of these bytes on the port; nothing behind them may be read. */
static int outcome_on(const struct parse_port *port, const uint8_t *frame, size_t length)
{
	struct rte_mbuf *m = mbuf_exact_of(frame, length);
	int outcome = parse_one(m, port);

	if (outcome < 0)
		rte_pktmbuf_free(m);
	return outcome;
}

static int outcome(const uint8_t *frame, size_t length)
{
	return outcome_on(&untagged, frame, length);
}

static int outcome_of(const struct packet_spec *spec)
{
	uint8_t frame[PACKET_BYTES_MAX];

	return outcome(frame, packet_build_frame(spec, frame));
}

static struct rte_mbuf *kept(const struct packet_spec *spec)
{
	struct rte_mbuf *m = packet_frame_mbuf(spec);

	ck_assert_int_eq(parse_one(m, &untagged), KEPT);
	return m;
}

static void put_be16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

static void fix_ipv4_checksum(uint8_t *ip)
{
	put_be16(ip + 10, 0);
	put_be16(ip + 10, packet_checksum(ip, (ip[0] & 15) * 4u, 0));
}

/* Write the IP length of a packet that ends after `length` bytes. */
static void set_ip_length(uint8_t *ip, size_t length)
{
	if (ip[0] >> 4 == 6) {
		put_be16(ip + 4, length - 40);
		return;
	}
	put_be16(ip + 2, length);
	fix_ipv4_checksum(ip);
}

/* An IPv6 UDP frame with the extension headers of the list, outermost first, of `bytes` each. */
static size_t build_chain(uint8_t *frame, const uint8_t *protocols, size_t headers, size_t bytes)
{
	struct packet_spec spec = {.family = IP_V6, .source_port = 7, .destination_port = 53};
	size_t length = packet_build_frame(&spec, frame) - ETHER_BYTES;

	while (headers-- > 0)
		length = packet_insert(frame + ETHER_BYTES, length, protocols[headers],
			protocols[headers] == IPPROTO_FRAGMENT ? 8 : bytes);
	return ETHER_BYTES + length;
}

START_TEST(a_udp_packet_is_described)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4,
			.source_port = 1000,
			.destination_port = 53,
			.payload_bytes = 12};
		struct rte_mbuf *m = kept(&spec);
		struct pkt expected = {.flags = PKT_HAS_PORTS,
			.port_in = 3,
			.family = spec.family,
			.protocol = IPPROTO_UDP,
			.l4 = i ? 40 : 20,
			.ip_len = i ? 60 : 40,
			.source_port = 1000,
			.destination_port = 53};

		ck_assert_mem_eq(pkt_of(m), &expected, sizeof(expected));
		ck_assert_uint_eq(m->data_len, expected.ip_len);
		ck_assert_uint_eq(m->pkt_len, expected.ip_len);
		ck_assert_uint_eq(*rte_pktmbuf_mtod(m, uint8_t *) >> 4, spec.family);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(what_an_mbuf_said_of_its_last_packet_is_forgotten)
{
	struct rte_mbuf *m = packet_frame_mbuf(&(struct packet_spec){0});

	memset(pkt_of(m), 0xff, sizeof(struct pkt));
	ck_assert_int_eq(parse_one(m, &untagged), KEPT);
	ck_assert_uint_eq(pkt_of(m)->flags, PKT_HAS_PORTS);
	ck_assert_ptr_null(pkt_of(m)->sa);
	ck_assert_uint_eq(pkt_of(m)->next_hop, 0);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(padding_of_a_short_frame_is_cut_off) // NAT-9
{
	for (int family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
		uint8_t frame[PACKET_BYTES_MAX];
		struct packet_spec spec = {
			.family = (uint8_t)family, .protocol = IPPROTO_ESP, .payload_bytes = 3};
		size_t length = packet_build_frame(&spec, frame);
		struct rte_mbuf *m = mbuf_of(frame, MIN_FRAME);

		ck_assert_int_eq(parse_one(m, &untagged), KEPT);
		ck_assert_uint_eq(m->data_len, length - ETHER_BYTES);
		ck_assert_uint_eq(pkt_of(m)->ip_len, length - ETHER_BYTES);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_frame_for_another_station_is_dropped)
{
	static const struct mac_addr another = PACKET_MAC_ANOTHER;
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&(struct packet_spec){0}, frame);

	memcpy(frame, another.bytes, 6);
	ck_assert_int_eq(outcome(frame, length), DROP_eth_not_ours);
}
END_TEST

START_TEST(a_port_without_vlan_takes_untagged_and_priority_tagged_frames)
{
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&(struct packet_spec){.vlan = 100}, frame);

	ck_assert_int_eq(outcome(frame, length), DROP_eth_vlan);
	put_be16(frame + 14, 0xe000); // priority 7, VLAN 0
	ck_assert_int_eq(outcome(frame, length), KEPT);
	put_be16(frame + 14, 0xe001);
	ck_assert_int_eq(outcome(frame, length), DROP_eth_vlan);
}
END_TEST

START_TEST(a_port_with_vlan_takes_only_frames_with_its_tag)
{
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&(struct packet_spec){.vlan = 100}, frame);

	ck_assert_int_eq(outcome_on(&tagged, frame, length), KEPT);
	put_be16(frame + 14, 0xf000 | 100); // priority and DEI don't matter
	ck_assert_int_eq(outcome_on(&tagged, frame, length), KEPT);
	put_be16(frame + 14, 101);
	ck_assert_int_eq(outcome_on(&tagged, frame, length), DROP_eth_vlan);
	put_be16(frame + 14, 0);
	ck_assert_int_eq(outcome_on(&tagged, frame, length), DROP_eth_vlan);
	length = packet_build_frame(&(struct packet_spec){0}, frame);
	ck_assert_int_eq(outcome_on(&tagged, frame, length), DROP_eth_vlan);
}
END_TEST

START_TEST(a_frame_of_another_type_is_dropped)
{
	static const uint16_t types[] = {0x0000, 0x05dc, 0x0801, 0x88a8, 0x88cc, 0x8847, 0xffff};
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&(struct packet_spec){0}, frame);

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		put_be16(frame + 12, types[i]);
		ck_assert_int_eq(outcome(frame, length), DROP_eth_type);
	}
}
END_TEST

START_TEST(a_second_tag_is_of_another_type)
{
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&(struct packet_spec){.vlan = 100}, frame);

	put_be16(frame + 16, 0x8100);
	ck_assert_int_eq(outcome_on(&tagged, frame, length), DROP_eth_type);
}
END_TEST

START_TEST(a_unicast_packet_in_a_group_frame_is_dropped)
{
	for (int i = 0; i < 4; i++) {
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length =
			packet_build_frame(&(struct packet_spec){.family = i & 1 ? IP_V6 : IP_V4}, frame);

		memset(frame, i & 2 ? 0xff : 0x33, 6);
		ck_assert_int_eq(outcome(frame, length), DROP_in_multicast);
	}
}
END_TEST

START_TEST(a_frame_cut_short_anywhere_is_dropped)
{
	for (size_t i = 0; i < 2 * SAMPLES; i++) {
		struct packet_spec spec = samples[i / 2];
		uint8_t frame[PACKET_BYTES_MAX];

		spec.vlan = i % 2 ? 100 : 0;
		size_t length = packet_build_frame(&spec, frame);
		for (size_t cut = 0; cut < length; cut++)
			ck_assert_int_eq(outcome_on(i % 2 ? &tagged : &untagged, frame, cut), DROP_in_hdr);
	}
}
END_TEST

/* How many bytes of the next layer's header a sample must have. */
static size_t needed_bytes(const struct packet_spec *spec)
{
	if (spec->fragment_offset_bytes != 0 || spec->protocol == IPPROTO_ESP ||
		spec->protocol == IPPROTO_NONE)
		return 0;
	return spec->protocol == IPPROTO_ICMP || spec->protocol == IPPROTO_ICMPV6 ? 2 : 4;
}

START_TEST(a_packet_needs_its_ports_and_nothing_behind_them) // FRG-5
{
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct packet_spec *spec = &samples[i];
		bool v6 = spec->family == IP_V6;
		bool fragment = spec->more_fragments || spec->fragment_offset_bytes != 0;
		size_t minimum = (v6 ? (fragment ? 48u : 40u) : 20u) + needed_bytes(spec);
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length = packet_build_frame(spec, frame) - ETHER_BYTES;

		for (size_t cut = v6 ? 40 : 20; cut <= length; cut++) {
			set_ip_length(frame + ETHER_BYTES, cut);
			ck_assert_int_eq(
				outcome(frame, ETHER_BYTES + cut), cut >= minimum ? KEPT : DROP_in_hdr);
		}
	}
}
END_TEST

START_TEST(an_ip_length_beyond_the_frame_or_below_the_header_is_dropped)
{
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&samples[0], frame);
	uint8_t *ip = frame + ETHER_BYTES;

	for (size_t total = 0; total < 20; total++) {
		set_ip_length(ip, total);
		ck_assert_int_eq(outcome(frame, length), DROP_in_hdr);
	}
	set_ip_length(ip, length - ETHER_BYTES + 1);
	ck_assert_int_eq(outcome(frame, length), DROP_in_hdr);
	set_ip_length(ip, 65535);
	ck_assert_int_eq(outcome(frame, length), DROP_in_hdr);
	length = packet_build_frame(&samples[6], frame);
	put_be16(ip + 4, 65535); // with the header more than 16 bits
	ck_assert_int_eq(outcome(frame, length), DROP_in_hdr);
}
END_TEST

START_TEST(the_version_must_be_that_of_the_frame)
{
	for (int family = IP_V4; family <= IP_V6; family += IP_V6 - IP_V4) {
		for (unsigned version = 0; version < 16; version++) {
			uint8_t frame[PACKET_BYTES_MAX];
			size_t length = packet_build_frame(
				&(struct packet_spec){.family = (uint8_t)family, .payload_bytes = 60}, frame);
			uint8_t *ip = frame + ETHER_BYTES;

			ip[0] = (uint8_t)(version << 4 | (ip[0] & 15));
			if (family == IP_V4)
				fix_ipv4_checksum(ip);
			ck_assert_int_eq(
				outcome(frame, length), version == (unsigned)family ? KEPT : DROP_in_hdr);
		}
	}
}
END_TEST

START_TEST(ipv4_options_are_skipped_and_headers_of_less_than_five_words_dropped)
{
	for (uint8_t words = 0; words < 16; words++) {
		uint8_t frame[PACKET_BYTES_MAX];
		struct packet_spec spec = {
			.source_port = 0x0102, .destination_port = 0x0304, .payload_bytes = 80};
		size_t length = packet_build_frame(&spec, frame);
		uint8_t *ip = frame + ETHER_BYTES;

		ip[0] = 0x40 | words;
		if (words >= 5) {
			memmove(ip + words * 4, ip + 20, 8);
			memset(ip + 20, 1, words * 4u - 20); // no-operation options
			fix_ipv4_checksum(ip);
		}
		struct rte_mbuf *m = mbuf_exact_of(frame, length);
		int result = parse_one(m, &untagged);
		ck_assert_int_eq(result, words >= 5 ? KEPT : DROP_in_hdr);
		if (result != KEPT)
			continue;
		ck_assert_uint_eq(pkt_of(m)->l4, words * 4);
		ck_assert_uint_eq(pkt_of(m)->source_port, 0x0102);
		ck_assert_uint_eq(pkt_of(m)->destination_port, 0x0304);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(every_single_bit_error_in_an_ipv4_header_is_noticed)
{
	for (size_t bit = 8 * 8; bit < 20 * 8;
		bit++) { // behind version and lengths, which have their own checks
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length = packet_build_frame(&samples[0], frame);

		frame[ETHER_BYTES + bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(outcome(frame, length), DROP_in_checksum);
	}
}
END_TEST

/*
 * However the sum is made, its carries come round: with one of these IDs the words in front of the
 * destination add up to so much that only the destination makes it pass 2^64.
 */
START_TEST(the_sum_of_an_ipv4_header_carries_from_the_last_word_too)
{
	struct packet_spec spec = {.source = "203.0.255.255", .destination = "198.51.100.223"};

	for (unsigned low = 0; low <= UINT8_MAX; low++) {
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length = packet_build_frame(&spec, frame);
		uint8_t *ip = frame + ETHER_BYTES;

		ip[4] = (uint8_t)low;
		ip[5] = UINT8_MAX;
		fix_ipv4_checksum(ip);
		ck_assert_int_eq(outcome(frame, length), KEPT);
	}
}
END_TEST

START_TEST(a_checksum_that_the_nic_verified_is_not_verified_again)
{
	struct rte_mbuf *m = packet_frame_mbuf(&samples[0]);

	rte_pktmbuf_mtod(m, uint8_t *)[ETHER_BYTES + 10] ^= 1;
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	ck_assert_int_eq(parse_one(m, &untagged), KEPT);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_checksum_that_the_nic_calls_bad_is_verified)
{
	struct rte_mbuf *m = packet_frame_mbuf(&samples[0]);

	rte_pktmbuf_mtod(m, uint8_t *)[ETHER_BYTES + 10] ^= 1;
	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
	ck_assert_int_eq(parse_one(m, &untagged), DROP_in_checksum);
}
END_TEST

START_TEST(a_source_that_no_sender_may_use_is_dropped)
{
	static const char *const sources[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255",
		"224.0.0.1", "239.1.2.3", "255.255.255.255", "::", "::1", "ff02::1", "ff0e::1"};

	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		ck_assert_int_eq(outcome_of(&(struct packet_spec){.source = sources[i]}), DROP_in_martian);
}
END_TEST

START_TEST(a_destination_that_is_on_no_link_is_dropped)
{
	static const char *const destinations[] = {"0.0.0.0", "127.0.0.1", "::", "::1"};

	for (size_t i = 0; i < sizeof(destinations) / sizeof(*destinations); i++)
		ck_assert_int_eq(outcome_of(&(struct packet_spec){.destination = destinations[i],
					 .source = strchr(destinations[i], ':') ? "fd00:1::1" : "10.1.0.1"}),
			DROP_in_martian);
}
END_TEST

START_TEST(addresses_next_to_the_forbidden_ones_are_kept)
{
	static const char *const pairs[][2] = {{"1.0.0.0", "126.255.255.255"},
		{"128.0.0.0", "223.255.255.255"}, {"255.255.255.254", "10.0.0.255"}, {"::2", "::1:0"},
		{"fe80::1", "feff::1"}};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct packet_spec spec = {.source = pairs[i][0], .destination = pairs[i][1]};

		ck_assert_int_eq(outcome_of(&spec), KEPT);
	}
}
END_TEST

START_TEST(multicast_and_broadcast_are_not_forwarded)
{
	static const char *const destinations[] = {
		"224.0.0.0", "239.255.255.255", "255.255.255.255", "ff02::1", "ff0e::101"};

	for (size_t i = 0; i < sizeof(destinations) / sizeof(*destinations); i++)
		ck_assert_int_eq(outcome_of(&(struct packet_spec){.destination = destinations[i],
					 .source = strchr(destinations[i], ':') ? "fd00:1::1" : "10.1.0.1"}),
			DROP_in_multicast);
}
END_TEST

START_TEST(icmp_type_and_code_stand_as_ports) // SPD-6
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4,
			.protocol = i ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
			.source_port = 3,
			.destination_port = 13};
		struct rte_mbuf *m = kept(&spec);

		ck_assert(pkt_of(m)->flags & PKT_HAS_PORTS);
		ck_assert_uint_eq(pkt_of(m)->source_port, 3);
		ck_assert_uint_eq(pkt_of(m)->destination_port, 13);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(the_type_of_a_mobility_header_stands_as_a_port) // SPD-6
{
	for (int type = 0; type <= UINT8_MAX; type++) {
		uint8_t header[] = {59, 0, (uint8_t)type, 7, 8, 9, 10, 11};
		struct rte_mbuf *m = kept(&(struct packet_spec){.family = IP_V6,
			.protocol = IPPROTO_MH,
			.payload = header,
			.payload_bytes = sizeof(header)});

		ck_assert_uint_eq(pkt_of(m)->flags, PKT_HAS_PORTS);
		ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_MH);
		ck_assert_uint_eq(pkt_of(m)->source_port, type);
		ck_assert_uint_eq(pkt_of(m)->destination_port, 0);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_mobility_header_without_its_type_is_in_hdr) // SPD-6, SAL-7
{
	for (uint16_t bytes = 0; bytes < 5; bytes++) {
		struct packet_spec spec = {.family = IP_V6, .protocol = IPPROTO_MH, .payload_bytes = bytes};

		ck_assert_int_eq(outcome_of(&spec), bytes > 2 ? KEPT : DROP_in_hdr);
	}
}
END_TEST

START_TEST(protocols_with_ports_have_them_and_others_none) // SPD-8
{
	static const uint8_t with_ports[] = {IPPROTO_SCTP, IPPROTO_UDPLITE, IPPROTO_DCCP};
	static const uint8_t without[] = {
		IPPROTO_ESP, IPPROTO_GRE, IPPROTO_IPIP, IPPROTO_IPV6, 134, 137, 255};

	for (size_t i = 0; i < sizeof(with_ports); i++) {
		struct rte_mbuf *m =
			kept(&(struct packet_spec){.protocol = with_ports[i], .payload_bytes = 4});

		ck_assert(pkt_of(m)->flags & PKT_HAS_PORTS);
		ck_assert_uint_eq(pkt_of(m)->source_port, 0x0001);
		ck_assert_uint_eq(pkt_of(m)->destination_port, 0x0203);
		rte_pktmbuf_free(m);
	}
	for (size_t i = 0; i < sizeof(without); i++) {
		struct rte_mbuf *m = kept(&(struct packet_spec){.protocol = without[i], .payload_bytes = 4});

		ck_assert_uint_eq(pkt_of(m)->flags, 0);
		ck_assert_uint_eq(pkt_of(m)->source_port, 0);
		ck_assert_uint_eq(pkt_of(m)->protocol, without[i]);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_later_fragment_has_no_ports) // SPD-8
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4,
			.protocol = IPPROTO_TCP,
			.fragment_offset_bytes = 8,
			.more_fragments = true,
			.payload_bytes = 24};
		struct rte_mbuf *m = kept(&spec);

		ck_assert_uint_eq(pkt_of(m)->flags, PKT_FRAGMENT | PKT_LATER_FRAGMENT);
		ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_TCP);
		ck_assert_uint_eq(pkt_of(m)->l4, i ? 48 : 20);
		ck_assert_uint_eq(pkt_of(m)->source_port, 0);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_later_fragment_of_extension_headers_is_not_looked_into) // RFC 8200 section 4.5
{
	struct packet_spec spec = {.family = IP_V6,
		.protocol = IPPROTO_DSTOPTS,
		.fragment_offset_bytes = 8,
		.payload_bytes = 24};
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&spec, frame);

	memset(frame + ETHER_BYTES + 48, 0xff, 24); // as a header it would be too long
	struct rte_mbuf *m = mbuf_of(frame, length);
	ck_assert_int_eq(parse_one(m, &untagged), KEPT);
	ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_DSTOPTS);
	ck_assert_uint_eq(pkt_of(m)->l4, 48);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_first_fragment_has_its_ports)
{
	for (int i = 0; i < 2; i++) {
		struct packet_spec spec = {.family = i ? IP_V6 : IP_V4,
			.more_fragments = true,
			.source_port = 7,
			.destination_port = 9,
			.payload_bytes = 24};
		struct rte_mbuf *m = kept(&spec);

		ck_assert_uint_eq(pkt_of(m)->flags, PKT_FRAGMENT | PKT_HAS_PORTS);
		ck_assert_uint_eq(pkt_of(m)->destination_port, 9);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(a_fragment_that_reaches_past_the_largest_packet_is_dropped) // FRG-6
{
	struct packet_spec spec = {.fragment_offset_bytes = 65528, .payload_bytes = 8};

	ck_assert_int_eq(outcome_of(&spec), DROP_in_hdr);
	spec.family = IP_V6;
	ck_assert_int_eq(outcome_of(&spec), DROP_in_hdr);
	spec = (struct packet_spec){.fragment_offset_bytes = 65512, .payload_bytes = 3};
	ck_assert_int_eq(outcome_of(&spec), KEPT);
	spec.payload_bytes = 4;
	ck_assert_int_eq(outcome_of(&spec), DROP_in_hdr);
}
END_TEST

START_TEST(a_fragment_header_on_a_whole_packet_makes_no_fragment) // FRG-5, RFC 6946
{
	static const uint8_t chain[] = {IPPROTO_FRAGMENT};
	uint8_t frame[PACKET_BYTES_MAX];
	struct rte_mbuf *m = mbuf_of(frame, build_chain(frame, chain, 1, 8));

	ck_assert_int_eq(parse_one(m, &untagged), KEPT);
	ck_assert_uint_eq(pkt_of(m)->flags, PKT_HAS_PORTS);
	ck_assert_uint_eq(pkt_of(m)->l4, 48);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(udp_is_found_behind_extension_headers) // SPD-7
{
	static const uint8_t chain[] = {IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT,
		IPPROTO_AH, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_AH};

	for (size_t headers = 0; headers <= sizeof(chain); headers++) {
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length = build_chain(frame, chain, headers, 24);
		struct rte_mbuf *m = mbuf_exact_of(frame, length);

		ck_assert_int_eq(parse_one(m, &untagged), KEPT);
		ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_UDP);
		ck_assert_uint_eq(pkt_of(m)->l4, length - ETHER_BYTES - 8);
		ck_assert_uint_eq(pkt_of(m)->source_port, 7);
		ck_assert_uint_eq(pkt_of(m)->destination_port, 53);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(the_longest_extension_header_is_skipped)
{
	static const uint8_t chain[] = {IPPROTO_HOPOPTS};
	uint8_t frame[PACKET_BYTES_MAX];

	ck_assert_int_eq(outcome(frame, build_chain(frame, chain, 1, 1400)), KEPT);
	frame[ETHER_BYTES + 41] = 255; // longer than the packet
	ck_assert_int_eq(outcome(frame, ETHER_BYTES + 40 + 1408), DROP_in_hdr);
}
END_TEST

START_TEST(nine_extension_headers_are_too_many) // SPD-7
{
	static const uint8_t chain[] = {IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS,
		IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS, IPPROTO_DSTOPTS};
	uint8_t frame[PACKET_BYTES_MAX];

	ck_assert_int_eq(outcome(frame, build_chain(frame, chain, PARSE_EXT_HEADERS_MAX, 8)), KEPT);
	ck_assert_int_eq(
		outcome(frame, build_chain(frame, chain, PARSE_EXT_HEADERS_MAX + 1, 8)), DROP_in_hdr);
}
END_TEST

START_TEST(a_chain_cut_short_anywhere_is_dropped) // SPD-7
{
	static const uint8_t chain[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_AH};
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = build_chain(frame, chain, sizeof(chain), 24);

	for (size_t cut = ETHER_BYTES + 40; cut < length - 4; cut++) { // UDP needs the half of its header
		set_ip_length(frame + ETHER_BYTES, cut - ETHER_BYTES);
		ck_assert_int_eq(outcome(frame, cut), DROP_in_hdr);
	}
}
END_TEST

START_TEST(hop_by_hop_options_stand_first_and_a_fragment_header_once)
{
	static const uint8_t late[] = {IPPROTO_DSTOPTS, IPPROTO_HOPOPTS};
	static const uint8_t twice[] = {IPPROTO_FRAGMENT, IPPROTO_FRAGMENT};
	uint8_t frame[PACKET_BYTES_MAX];

	ck_assert_int_eq(outcome(frame, build_chain(frame, late, 2, 8)), DROP_in_hdr);
	ck_assert_int_eq(outcome(frame, build_chain(frame, twice, 2, 8)), DROP_in_hdr);
}
END_TEST

START_TEST(no_next_header_ends_the_chain)
{
	struct rte_mbuf *m = kept(&(struct packet_spec){.family = IP_V6, .protocol = IPPROTO_NONE});

	ck_assert_uint_eq(pkt_of(m)->protocol, 59);
	ck_assert_uint_eq(pkt_of(m)->flags, 0);
	ck_assert_uint_eq(pkt_of(m)->ip_len, 40);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_jumbogram_is_dropped)
{
	static const uint8_t chain[] = {IPPROTO_HOPOPTS};
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = build_chain(frame, chain, 1, 8);

	put_be16(frame + ETHER_BYTES + 4, 0);
	ck_assert_int_eq(outcome(frame, length), DROP_in_hdr);
}
END_TEST

START_TEST(arp_goes_to_neigh_without_ethernet_header_and_padding)
{
	uint8_t frame[MIN_FRAME] = {0};

	memcpy(frame, arp_request, sizeof(arp_request));
	struct rte_mbuf *m = mbuf_exact_of(frame, sizeof(frame));

	ck_assert_int_eq(parse_one(m, &untagged), NEIGH);
	ck_assert_uint_eq(pkt_of(m)->flags, PKT_ARP);
	ck_assert_uint_eq(pkt_of(m)->family, IP_NONE);
	ck_assert_uint_eq(pkt_of(m)->port_in, 3);
	ck_assert_uint_eq(m->data_len, 28);
	ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), arp_request + ETHER_BYTES, 28);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(arp_cut_short_is_dropped)
{
	for (size_t cut = ETHER_BYTES; cut < sizeof(arp_request); cut++)
		ck_assert_int_eq(outcome(arp_request, cut), DROP_nd_bad);
}
END_TEST

START_TEST(neighbour_discovery_goes_to_neigh) // SPD-12
{
	for (uint16_t type = 128; type <= 143; type++) {
		struct packet_spec spec = {.source = "fe80::2",
			.destination = "ff02::1:ff00:1",
			.protocol = IPPROTO_ICMPV6,
			.source_port = type,
			.payload_bytes = 16,
			.ttl = 255};
		bool discovery = type >= 133 && type <= 137;
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length = packet_build_frame(&spec, frame);

		memcpy(frame, (uint8_t[]){0x33, 0x33, 0xff, 0x00, 0x00, 0x01}, 6);
		ck_assert_int_eq(outcome(frame, length), discovery ? NEIGH : DROP_in_multicast);
		spec.destination = "fe80::1";
		ck_assert_int_eq(outcome_of(&spec), discovery ? NEIGH : KEPT);
	}
}
END_TEST

START_TEST(only_neighbour_discovery_may_come_from_the_unspecified_address) // RFC 4862 section 5.4
{
	struct packet_spec spec = {.source = "::",
		.destination = "ff02::1:ff00:1",
		.protocol = IPPROTO_ICMPV6,
		.source_port = 135,
		.payload_bytes = 16,
		.ttl = 255};

	ck_assert_int_eq(outcome_of(&spec), NEIGH);
	spec.source_port = 128;
	ck_assert_int_eq(outcome_of(&spec), DROP_in_martian);
	spec.source_port = 135;
	spec.source = "::1";
	ck_assert_int_eq(outcome_of(&spec), DROP_in_martian);
	spec.source = "ff02::1";
	ck_assert_int_eq(outcome_of(&spec), DROP_in_martian);
}
END_TEST

START_TEST(neighbour_discovery_in_a_fragment_is_none) // RFC 6980 section 5
{
	struct packet_spec spec = {.source = "fe80::2",
		.destination = "ff02::1",
		.protocol = IPPROTO_ICMPV6,
		.source_port = 136,
		.payload_bytes = 16,
		.ttl = 255,
		.more_fragments = true};
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&spec, frame);

	ck_assert_int_eq(outcome(frame, length), DROP_in_multicast);
	frame[ETHER_BYTES + 43] = 0; // the header alone
	ck_assert_int_eq(outcome(frame, length), DROP_in_multicast);
}
END_TEST

START_TEST(a_packet_in_several_segments_is_made_one)
{
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&samples[0], frame);

	for (size_t cut = 1; cut < length; cut++) {
		struct rte_mbuf *m = mbuf_of(frame, cut);

		ck_assert_int_eq(rte_pktmbuf_chain(m, mbuf_of(frame + cut, length - cut)), 0);
		ck_assert_int_eq(parse_one(m, &untagged), KEPT);
		ck_assert_uint_eq(m->nb_segs, 1);
		ck_assert_uint_eq(m->data_len, length - ETHER_BYTES);
		ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), frame + ETHER_BYTES, length - ETHER_BYTES);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(segments_that_do_not_fit_into_one_are_dropped)
{
	uint8_t frame[PACKET_BYTES_MAX];
	size_t length = packet_build_frame(&(struct packet_spec){.payload_bytes = 3000}, frame);
	struct rte_mbuf *m = mbuf_of(frame, 2000);

	ck_assert_int_eq(rte_pktmbuf_chain(m, mbuf_of(frame + 2000, length - 2000)), 0);
	ck_assert_int_eq(parse_one(m, &untagged), DROP_in_buf);
}
END_TEST

START_TEST(a_buffer_that_another_uses_is_dropped)
{
	struct rte_mbuf *shared = packet_frame_mbuf(&samples[0]);
	struct rte_mbuf *direct = packet_frame_mbuf(&samples[0]);
	struct rte_mbuf *clone = rte_pktmbuf_clone(direct, eal_pool());

	rte_mbuf_refcnt_update(shared, 1);
	ck_assert_int_eq(parse_one(shared, &untagged), DROP_in_buf);
	rte_pktmbuf_free(shared);
	ck_assert_int_eq(parse_one(clone, &untagged), DROP_in_buf);
	rte_pktmbuf_free(direct);
}
END_TEST

START_TEST(a_full_burst_is_split_in_order)
{
	struct drops drops = {0};
	struct burst burst = {0};
	struct burst neigh = {0};
	struct rte_mbuf *good[BURST_MAX / 4];

	for (unsigned i = 0; i < BURST_MAX; i++) {
		struct packet_spec spec = {
			.source = i % 4 == 1 ? "127.0.0.1" : NULL, .vlan = i % 4 == 3 ? 9 : 0};

		burst_add_one(&burst,
			i % 4 == 2 ? mbuf_of(arp_request, sizeof(arp_request)) : packet_frame_mbuf(&spec));
		if (i % 4 == 0)
			good[i / 4] = burst.pkts[i];
	}
	parse_burst(&burst, &untagged, &neigh, &drops);

	ck_assert_uint_eq(burst.n, BURST_MAX / 4);
	ck_assert_mem_eq(burst.pkts, good, sizeof(good));
	ck_assert_uint_eq(neigh.n, BURST_MAX / 4);
	ck_assert_uint_eq(drops.count[3][DROP_in_martian], BURST_MAX / 4);
	ck_assert_uint_eq(drops.count[3][DROP_eth_vlan], BURST_MAX / 4);
	ck_assert_uint_eq(drops.total, BURST_MAX / 2);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	rte_pktmbuf_free_bulk(neigh.pkts, neigh.n);
}
END_TEST

/* parse_inner_one on the packet, which is freed. */
static bool inner_allowed(const struct packet_spec *spec, uint8_t family)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct rte_mbuf *m = mbuf_exact_of(bytes, packet_build(spec, bytes));
	bool allowed = parse_inner_one(m, family);

	rte_pktmbuf_free(m);
	return allowed;
}

START_TEST(an_inner_packet_keeps_where_it_came_from)
{
	struct sa *sa = (struct sa *)&samples;
	uint8_t bytes[PACKET_BYTES_MAX];
	struct rte_mbuf *m = mbuf_of(bytes, packet_build(&samples[0], bytes));

	*pkt_of(m) = (struct pkt){.flags = PKT_DECAPSULATED | PKT_FRAGMENT | PKT_ICV_BAD,
		.port_in = 5,
		.sa = sa,
		.seq = 77,
		.family = IP_V6};
	ck_assert(parse_inner_one(m, IP_V4));
	ck_assert_uint_eq(pkt_of(m)->flags, PKT_DECAPSULATED | PKT_HAS_PORTS);
	ck_assert_uint_eq(pkt_of(m)->port_in, 5);
	ck_assert_ptr_eq(pkt_of(m)->sa, sa);
	ck_assert_uint_eq(pkt_of(m)->seq, 77);
	ck_assert_uint_eq(pkt_of(m)->family, IP_V4);
	ck_assert_uint_eq(pkt_of(m)->destination_port, 53);
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(tfc_padding_behind_an_inner_packet_is_cut_off) // ESP-5
{
	for (size_t i = 0; i < SAMPLES; i++) {
		uint8_t bytes[PACKET_BYTES_MAX];
		size_t length = packet_build(&samples[i], bytes);
		struct rte_mbuf *m = mbuf_of(bytes, length + 200);

		ck_assert(parse_inner_one(m, samples[i].family == IP_V6 ? IP_V6 : IP_V4));
		ck_assert_uint_eq(m->data_len, length);
		rte_pktmbuf_free(m);
	}
}
END_TEST

START_TEST(an_inner_packet_cut_short_anywhere_is_refused) // TUN-9
{
	for (size_t i = 0; i < SAMPLES; i++) {
		uint8_t bytes[PACKET_BYTES_MAX];
		size_t length = packet_build(&samples[i], bytes);

		for (size_t cut = 0; cut < length; cut++) {
			struct rte_mbuf *m = mbuf_exact_of(bytes, cut);

			ck_assert(!parse_inner_one(m, samples[i].family == IP_V6 ? IP_V6 : IP_V4));
			rte_pktmbuf_free(m);
		}
	}
}
END_TEST

START_TEST(an_inner_packet_has_the_family_that_its_tunnel_says) // TUN-9
{
	ck_assert(inner_allowed(&(struct packet_spec){.family = IP_V4}, IP_V4));
	ck_assert(inner_allowed(&(struct packet_spec){.family = IP_V6}, IP_V6));
	ck_assert(!inner_allowed(&(struct packet_spec){.family = IP_V4, .payload_bytes = 40}, IP_V6));
	ck_assert(!inner_allowed(&(struct packet_spec){.family = IP_V6}, IP_V4));
}
END_TEST

START_TEST(an_inner_packet_may_not_have_addresses_that_are_not_forwarded) // TUN-9
{
	static const struct packet_spec refused[] = {
		{.source = "127.0.0.1"},
		{.source = "224.0.0.1"},
		{.source = "10.0.0.1", .destination = "224.0.0.1"},
		{.source = "10.0.0.1", .destination = "255.255.255.255"},
		{.source = "10.0.0.1", .destination = "127.0.0.1"},
		{.source = "::1"},
		{.source = "fe80::1"},
		{.source = "fd00::1", .destination = "fe80::1"},
		{.source = "fd00::1", .destination = "ff0e::1"},
		{.source = "fd00::1", .protocol = IPPROTO_ICMPV6, .source_port = 135, .payload_bytes = 16},
		{.source = "::", .protocol = IPPROTO_ICMPV6, .source_port = 135, .payload_bytes = 16},
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		ck_assert(!inner_allowed(&refused[i], strchr(refused[i].source, ':') ? IP_V6 : IP_V4));
}
END_TEST

START_TEST(what_the_nic_said_of_the_outer_checksum_is_not_believed_of_the_inner) // TUN-9
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct rte_mbuf *m = mbuf_of(bytes, packet_build(&samples[0], bytes));

	m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	rte_pktmbuf_mtod(m, uint8_t *)[10] ^= 1;
	ck_assert(!parse_inner_one(m, IP_V4));
	rte_pktmbuf_free(m);
}
END_TEST

START_TEST(a_parsed_packet_lies_within_its_buffer_whatever_is_changed_in_it)
{
	srandom(791);
	for (int i = 0; i < RANDOM_PACKETS; i++) {
		uint8_t frame[PACKET_BYTES_MAX];
		size_t length = packet_build_frame(&samples[(size_t)random() % SAMPLES], frame);
		size_t cut = random() % 2 ? length : (size_t)random() % (length + 1);

		for (long changes = random() % 4; changes > 0; changes--)
			frame[ETHER_BYTES + (size_t)random() % 48] = (uint8_t)random();
		if (frame[12] == 8)
			fix_ipv4_checksum(frame + ETHER_BYTES);
		struct rte_mbuf *m = mbuf_exact_of(frame, cut);
		int result = parse_one(m, &untagged);
		if (result >= 0)
			continue;
		ck_assert_uint_eq(m->data_len, pkt_of(m)->ip_len);
		ck_assert_uint_le(m->data_len, cut - ETHER_BYTES);
		ck_assert_uint_le(pkt_of(m)->l4, m->data_len);
		rte_pktmbuf_free(m);
	}
}
END_TEST

static TCase *ethernet_tests(void)
{
	TCase *tcase = tcase_create("ethernet");

	tcase_add_test(tcase, a_udp_packet_is_described);
	tcase_add_test(tcase, what_an_mbuf_said_of_its_last_packet_is_forgotten);
	tcase_add_test(tcase, padding_of_a_short_frame_is_cut_off);
	tcase_add_test(tcase, a_frame_for_another_station_is_dropped);
	tcase_add_test(tcase, a_port_without_vlan_takes_untagged_and_priority_tagged_frames);
	tcase_add_test(tcase, a_port_with_vlan_takes_only_frames_with_its_tag);
	tcase_add_test(tcase, a_frame_of_another_type_is_dropped);
	tcase_add_test(tcase, a_second_tag_is_of_another_type);
	tcase_add_test(tcase, a_unicast_packet_in_a_group_frame_is_dropped);
	tcase_add_test(tcase, a_packet_in_several_segments_is_made_one);
	tcase_add_test(tcase, segments_that_do_not_fit_into_one_are_dropped);
	tcase_add_test(tcase, a_buffer_that_another_uses_is_dropped);
	tcase_add_test(tcase, a_full_burst_is_split_in_order);
	return tcase;
}

static TCase *ip_tests(void)
{
	TCase *tcase = tcase_create("ip");

	tcase_add_test(tcase, a_frame_cut_short_anywhere_is_dropped);
	tcase_add_test(tcase, a_packet_needs_its_ports_and_nothing_behind_them);
	tcase_add_test(tcase, an_ip_length_beyond_the_frame_or_below_the_header_is_dropped);
	tcase_add_test(tcase, the_version_must_be_that_of_the_frame);
	tcase_add_test(tcase, ipv4_options_are_skipped_and_headers_of_less_than_five_words_dropped);
	tcase_add_test(tcase, every_single_bit_error_in_an_ipv4_header_is_noticed);
	tcase_add_test(tcase, the_sum_of_an_ipv4_header_carries_from_the_last_word_too);
	tcase_add_test(tcase, a_checksum_that_the_nic_verified_is_not_verified_again);
	tcase_add_test(tcase, a_checksum_that_the_nic_calls_bad_is_verified);
	tcase_add_test(tcase, a_source_that_no_sender_may_use_is_dropped);
	tcase_add_test(tcase, a_destination_that_is_on_no_link_is_dropped);
	tcase_add_test(tcase, addresses_next_to_the_forbidden_ones_are_kept);
	tcase_add_test(tcase, multicast_and_broadcast_are_not_forwarded);
	tcase_add_test(tcase, a_parsed_packet_lies_within_its_buffer_whatever_is_changed_in_it);
	return tcase;
}

static TCase *next_layer_tests(void)
{
	TCase *tcase = tcase_create("next layer");

	tcase_add_test(tcase, icmp_type_and_code_stand_as_ports);
	tcase_add_test(tcase, the_type_of_a_mobility_header_stands_as_a_port);
	tcase_add_test(tcase, a_mobility_header_without_its_type_is_in_hdr);
	tcase_add_test(tcase, protocols_with_ports_have_them_and_others_none);
	tcase_add_test(tcase, a_later_fragment_has_no_ports);
	tcase_add_test(tcase, a_later_fragment_of_extension_headers_is_not_looked_into);
	tcase_add_test(tcase, a_first_fragment_has_its_ports);
	tcase_add_test(tcase, a_fragment_that_reaches_past_the_largest_packet_is_dropped);
	tcase_add_test(tcase, a_fragment_header_on_a_whole_packet_makes_no_fragment);
	tcase_add_test(tcase, udp_is_found_behind_extension_headers);
	tcase_add_test(tcase, the_longest_extension_header_is_skipped);
	tcase_add_test(tcase, nine_extension_headers_are_too_many);
	tcase_add_test(tcase, a_chain_cut_short_anywhere_is_dropped);
	tcase_add_test(tcase, hop_by_hop_options_stand_first_and_a_fragment_header_once);
	tcase_add_test(tcase, no_next_header_ends_the_chain);
	tcase_add_test(tcase, a_jumbogram_is_dropped);
	return tcase;
}

static TCase *neighbour_tests(void)
{
	TCase *tcase = tcase_create("neighbours");

	tcase_add_test(tcase, arp_goes_to_neigh_without_ethernet_header_and_padding);
	tcase_add_test(tcase, arp_cut_short_is_dropped);
	tcase_add_test(tcase, neighbour_discovery_goes_to_neigh);
	tcase_add_test(tcase, only_neighbour_discovery_may_come_from_the_unspecified_address);
	tcase_add_test(tcase, neighbour_discovery_in_a_fragment_is_none);
	return tcase;
}

static TCase *inner_tests(void)
{
	TCase *tcase = tcase_create("inner packets");

	tcase_add_test(tcase, an_inner_packet_keeps_where_it_came_from);
	tcase_add_test(tcase, tfc_padding_behind_an_inner_packet_is_cut_off);
	tcase_add_test(tcase, an_inner_packet_cut_short_anywhere_is_refused);
	tcase_add_test(tcase, an_inner_packet_has_the_family_that_its_tunnel_says);
	tcase_add_test(tcase, an_inner_packet_may_not_have_addresses_that_are_not_forwarded);
	tcase_add_test(tcase, what_the_nic_said_of_the_outer_checksum_is_not_believed_of_the_inner);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("net/parse");
	TCase *tcases[] = {
		ethernet_tests(), ip_tests(), next_layer_tests(), neighbour_tests(), inner_tests()};

	for (size_t i = 0; i < sizeof(tcases) / sizeof(*tcases); i++) {
		tcase_add_checked_fixture(tcases[i], eal_setup, eal_teardown);
		tcase_set_timeout(tcases[i], 60);
		suite_add_tcase(suite, tcases[i]);
	}
	return eal_run_suite(suite);
}
