#include "ipsec/esp_out.h"

#include "ipsec/path_mtu.h"
#include "net/rewrite.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_EQUAL            1000
#define LINK_HEADER_BYTES  18 /* Ethernet with an 802.1Q tag, which the transmit side puts in front */
#define GCM_V4_FRONT_BYTES 36 /* tunnel header, ESP header, IV */
#define GCM_BACK_BYTES     20 /* for an inner length of 28: 2 of padding, trailer, ICV */

static struct crypto_env env;

static void setup(void)
{
	eal_setup();
	crypto_env_begin(&env, CRYPTO_WAY_BEST);
}

static void teardown(void)
{
	crypto_env_end(&env);
	eal_teardown();
}

/* Encapsulate one packet, without crypto. The caller frees it. */
static struct rte_mbuf *prepared(struct sa *sa, const struct packet_spec *spec)
{
	struct rte_mbuf *m = packet_mbuf(spec);
	BURST(burst);

	pkt_of(m)->sa = sa;
	burst_add_one(&burst, m);
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 1);
	return m;
}

static const uint8_t *bytes_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, const uint8_t *);
}

/* An inner packet of 60 bytes, so that AES-GCM needs 2 of padding: 60 + 2 + 2 is a multiple of 4. */
static struct packet_spec inner_of(uint8_t family)
{
	return (struct packet_spec){.family = family, .payload_bytes = family == IP_V4 ? 32 : 12};
}

// TUN-1, TUN-3
START_TEST(the_tunnel_header_over_ipv4_is_exact)
{
	static const uint8_t families[] = {IP_V4, IP_V6};
	uint8_t expected[28] = {0x45, 0x00, 0x00, 116, 0, 0, 0x40, 0, 64, 50, 0, 0, 192, 0, 2, 1, 198, 51,
		100, 1, 0x00, 0x00, 0x10, 0x01, 0, 0, 0, 1};
	struct packet_spec spec = inner_of(families[_i]);
	struct sa *sa = sa_of(&env, &(struct sa_spec){.outer = IP_V4}, false);
	struct rte_mbuf *m = prepared(sa, &spec);
	uint16_t checksum = packet_checksum(expected, 20, 0);

	expected[10] = (uint8_t)(checksum >> 8);
	expected[11] = (uint8_t)checksum;
	ck_assert_uint_eq(rte_pktmbuf_data_len(m), 116);
	ck_assert_mem_eq(bytes_of(m), expected, sizeof(expected));
	ck_assert_uint_eq(bytes_of(m)[116 - 16 - 1], families[_i] == IP_V4 ? 4 : 41);
	rte_pktmbuf_free(m);
	sa_destroy(sa);
}
END_TEST

// TUN-1
START_TEST(the_tunnel_header_over_ipv6_is_exact)
{
	static const uint8_t families[] = {IP_V4, IP_V6};
	uint8_t expected[48] = {0x60, 0, 0, 0, 0, 96, 50, 64, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 1, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x00, 0x00, 0x10,
		0x01, 0, 0, 0, 1};
	struct packet_spec spec = inner_of(families[_i]);
	struct sa *sa = sa_of(&env, &(struct sa_spec){.outer = IP_V6}, false);
	struct rte_mbuf *m = prepared(sa, &spec);

	ck_assert_uint_eq(rte_pktmbuf_data_len(m), 136);
	memcpy(expected + 1, bytes_of(m) + 1, 3); /* the flow label, behind a traffic class of zero */
	ck_assert_uint_eq(expected[1] & 0xf0, 0);
	ck_assert_mem_eq(bytes_of(m), expected, sizeof(expected));
	ck_assert_uint_eq(bytes_of(m)[136 - 16 - 1], families[_i] == IP_V4 ? 4 : 41);
	rte_pktmbuf_free(m);
	sa_destroy(sa);
}
END_TEST

START_TEST(the_packet_is_described_as_the_outer_one)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	struct packet_spec spec = inner_of(IP_V6);
	struct rte_mbuf *m = prepared(sa, &spec);
	const struct pkt *p = pkt_of(m);

	ck_assert_uint_eq(p->flags, PKT_LOCAL);
	ck_assert_uint_eq(p->family, IP_V4);
	ck_assert_uint_eq(p->protocol, 50);
	ck_assert_uint_eq(p->l4, 20);
	ck_assert_uint_eq(p->ip_len, 116);
	ck_assert_uint_eq(p->inner_len, 60);
	ck_assert_uint_eq(p->esp_offset, 20);
	ck_assert_uint_eq(p->icv_offset, 100);
	ck_assert_uint_eq(p->seq, 1);
	ck_assert_ptr_eq(p->sa, sa);
	rte_pktmbuf_free(m);
	sa_destroy(sa);
}
END_TEST

// TUN-5, TUN-6
START_TEST(every_traffic_class_is_copied_with_a_right_checksum)
{
	static const uint8_t families[] = {IP_V4, IP_V6};
	struct sa *sa = sa_of(&env, &(struct sa_spec){.outer = families[_i / 2]}, false);

	for (unsigned class = 0; class < 256; class ++) {
		struct packet_spec spec = {.family = families[_i % 2],
			.traffic_class = (uint8_t) class,
			.payload_bytes = (uint16_t)(class * 5)};
		struct rte_mbuf *m = prepared(sa, &spec);

		ck_assert_uint_eq(traffic_class_get_one(m), class);
		if (sa->family == IP_V4)
			ck_assert_uint_eq(packet_checksum(bytes_of(m), 20, 0), 0);
		else
			ck_assert_uint_eq(bytes_of(m)[0] >> 4, 6);
		rte_pktmbuf_free(m);
	}
	sa_destroy(sa);
}
END_TEST

// TUN-5, TUN-6
START_TEST(a_fixed_dscp_leaves_the_inner_ecn_alone)
{
	static const uint8_t dscps[] = {0, 46, SA_DSCP_MAX};
	static const uint8_t families[] = {IP_V4, IP_V6};

	for (size_t i = 0; i < sizeof(dscps); i++) {
		struct sa *sa = sa_of(&env,
			&(struct sa_spec){.outer = families[_i / 2], .has_dscp = true, .dscp = dscps[i]},
			false);

		for (unsigned class = 0; class < 256; class ++) {
			struct packet_spec spec = {
				.family = families[_i % 2], .traffic_class = (uint8_t) class};
			struct rte_mbuf *m = prepared(sa, &spec);

			ck_assert_uint_eq(traffic_class_get_one(m), (unsigned)dscps[i] << 2 | (class & 3));
			if (sa->family == IP_V4)
				ck_assert_uint_eq(packet_checksum(bytes_of(m), 20, 0), 0);
			rte_pktmbuf_free(m);
		}
		sa_destroy(sa);
	}
}
END_TEST

#define FLAG_DF 0x4000

/* Flags and fragment offset, and the ID, of the tunnel's header; its checksum is right. */
struct fragmentation {
	uint16_t flags;
	uint16_t id;
};

static struct fragmentation fragmentation_of(struct sa *sa, uint8_t family, bool df)
{
	struct rte_mbuf *m = prepared(sa, &(struct packet_spec){.family = family, .df = df});
	const uint8_t *outer = bytes_of(m);
	struct fragmentation result = {
		.flags = (uint16_t)(outer[6] << 8 | outer[7]), .id = (uint16_t)(outer[4] << 8 | outer[5])};

	ck_assert_uint_eq(packet_checksum(outer, 20, 0), 0);
	rte_pktmbuf_free(m);
	return result;
}

// TUN-4
START_TEST(df_is_set_cleared_or_copied_as_the_sa_says)
{
	static const struct {
		enum sa_df mode;
		uint16_t with_df, without_df, ipv6;
	} modes[] = {
		{SA_DF_SET, FLAG_DF, FLAG_DF, FLAG_DF},
		{SA_DF_CLEAR, 0, 0, 0},
		{SA_DF_COPY, FLAG_DF, 0, FLAG_DF},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct sa *sa = sa_of(&env, &(struct sa_spec){.df = modes[i].mode}, false);

		ck_assert_uint_eq(fragmentation_of(sa, IP_V4, true).flags, modes[i].with_df);
		ck_assert_uint_eq(fragmentation_of(sa, IP_V4, false).flags, modes[i].without_df);
		ck_assert_uint_eq(fragmentation_of(sa, IP_V6, false).flags, modes[i].ipv6);
		sa_destroy(sa);
	}
}
END_TEST

// TUN-3
START_TEST(each_header_without_df_has_another_id)
{
	static const enum sa_df modes[] = {SA_DF_CLEAR, SA_DF_COPY};
	struct sa *sa = sa_of(&env, &(struct sa_spec){.df = modes[_i]}, false);
	static uint8_t seen[UINT16_MAX + 1];

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i <= UINT16_MAX; i++) {
		struct fragmentation f = fragmentation_of(sa, IP_V4, false);

		ck_assert_uint_eq(f.flags, 0);
		ck_assert_uint_eq(seen[f.id]++, 0);
	}
	sa_destroy(sa);
}
END_TEST

/* The flow label of the tunnel's header around that packet. */
static uint32_t label_of(struct sa *sa, const struct packet_spec *spec)
{
	struct rte_mbuf *m = prepared(sa, spec);
	const uint8_t *outer = bytes_of(m);
	uint32_t label = (uint32_t)(outer[1] & 0x0f) << 16 | (uint32_t)outer[2] << 8 | outer[3];

	ck_assert_uint_ne(label, 0);
	rte_pktmbuf_free(m);
	return label;
}

// TUN-8
START_TEST(the_flow_label_is_the_same_for_all_packets_of_an_inner_flow)
{
	uint8_t family = _i ? IP_V6 : IP_V4;
	struct sa *sa = sa_of(&env, &(struct sa_spec){.outer = IP_V6}, false);
	struct packet_spec spec = {.family = family, .source_port = 1000, .destination_port = 53};
	struct packet_spec later = {.family = family, .fragment_offset_bytes = 64, .payload_bytes = 64};
	struct packet_spec first = {.family = family, .source_port = 1000, .more_fragments = true};
	uint32_t label = label_of(sa, &spec);

	spec.payload_bytes = 900;
	spec.traffic_class = 0xb8;
	spec.id = 77;
	spec.ttl = 9;
	ck_assert_uint_eq(label_of(sa, &spec), label);
	first.payload_bytes = 64;
	ck_assert_uint_eq(label_of(sa, &first), label_of(sa, &later));
	sa_destroy(sa);
}
END_TEST

/* As many flows have as many labels, but for what 20 bits let meet by chance: 0.5 of 1000 are expected. */
#define FLOWS         1000
#define LABELS_CHANCE 10

static int compare_labels(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(uint32_t));
}

static void flow_address(char *text, size_t size, uint8_t family, unsigned number)
{
	if (family == IP_V4)
		snprintf(text, size, "10.9.%u.%u", number / 250, number % 250 + 1);
	else
		snprintf(text, size, "fd00:9::%x", number);
}

// TUN-8
START_TEST(flows_that_differ_in_one_value_have_labels_of_their_own)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.outer = IP_V6}, false);
	struct packet_spec spec = {.family = _i / 4 ? IP_V6 : IP_V4};
	uint32_t labels[FLOWS];
	unsigned same = 0;
	char address[48];

	for (unsigned i = 0; i < FLOWS; i++) {
		flow_address(address, sizeof(address), spec.family, i);
		if (_i % 4 == 0)
			spec.source = address;
		else if (_i % 4 == 1)
			spec.destination = address;
		else if (_i % 4 == 2)
			spec.source_port = (uint16_t)i;
		else
			spec.destination_port = (uint16_t)i;
		labels[i] = label_of(sa, &spec);
	}
	qsort(labels, FLOWS, sizeof(labels[0]), compare_labels);
	for (unsigned i = 1; i < FLOWS; i++)
		same += labels[i] == labels[i - 1];
	ck_assert_uint_lt(same, LABELS_CHANCE);
	sa_destroy(sa);
}
END_TEST

// ESP-1
START_TEST(padding_counts_up_from_one_to_the_block)
{
	const struct alg *alg;

	for (size_t a = 0; (alg = alg_at(a)) != NULL; a++) {
		struct sa *sa = sa_of(&env, &(struct sa_spec){.alg = alg->name}, false);

		for (uint16_t payload = 0; payload < 64; payload++) {
			struct rte_mbuf *m = prepared(sa, &(struct packet_spec){.payload_bytes = payload});
			const struct pkt *p = pkt_of(m);
			unsigned start = p->esp_offset + 8u + alg->iv_bytes;
			const uint8_t *trailer = bytes_of(m) + p->icv_offset - 2;
			unsigned pad = trailer[0];

			ck_assert_uint_eq((p->icv_offset - start) % alg->align_bytes, 0);
			ck_assert_uint_eq(start + 28 + payload + pad + 2, p->icv_offset);
			ck_assert_uint_lt(pad, alg->align_bytes);
			for (unsigned i = 0; i < pad; i++)
				ck_assert_uint_eq(trailer[(int)i - (int)pad], i + 1);
			rte_pktmbuf_free(m);
		}
		sa_destroy(sa);
	}
}
END_TEST

// ESP-6
START_TEST(runs_of_one_sa_have_numbers_in_order)
{
	struct sa *a = sa_of(&env, &(struct sa_spec){.spi = 0x1001}, false);
	struct sa *b = sa_of(&env, &(struct sa_spec){.spi = 0x1002, .alg = "null-sha256"}, false);
	struct sa *order[] = {a, a, b, a, b, b, b, a};
	static const uint64_t expected[] = {1, 2, 1, 3, 2, 3, 4, 4};
	BURST(burst);

	for (size_t i = 0; i < 8; i++) {
		burst_add_one(&burst, packet_mbuf(&(struct packet_spec){0}));
		pkt_of(burst.pkts[i])->sa = order[i];
	}
	esp_out_prepare(&burst, &env.tally);

	ck_assert_uint_eq(burst.n, 8);
	for (size_t i = 0; i < 8; i++) {
		ck_assert_ptr_eq(pkt_of(burst.pkts[i])->sa, order[i]);
		ck_assert_uint_eq(pkt_of(burst.pkts[i])->seq, expected[i]);
		rte_pktmbuf_free(burst.pkts[i]);
	}
	sa_destroy(a);
	sa_destroy(b);
}
END_TEST

static void burst_fill(struct burst *burst, struct sa *sa, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){0});

		pkt_of(m)->sa = sa;
		burst_add_one(burst, m);
	}
}

// ESP-6
START_TEST(past_the_last_sequence_number_packets_are_dropped)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);

	atomic_store(&sa->seq.next, UINT64_C(0xfffffffd));
	burst_fill(&burst, sa, 5);
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 3);
	ck_assert_uint_eq(pkt_of(burst.pkts[2])->seq, 0xffffffff);
	ck_assert_mem_eq(bytes_of(burst.pkts[2]) + 24, "\xff\xff\xff\xff", 4);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	ck_assert_uint_eq(env.drops.count[0][DROP_out_seq_overflow], 2);

	burst.n = 0;
	burst_fill(&burst, sa, 5);
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(env.drops.count[0][DROP_out_seq_overflow], 7);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_out_seq_overflow], 7);
	sa_destroy(sa);
}
END_TEST

START_TEST(past_the_last_reserved_number_packets_are_dropped_until_there_are_more)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);

	sa_number_from(sa, 1000, 7);
	seq_extend(&sa->seq, 1000, 1002);
	burst_fill(&burst, sa, 5);
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 3);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->seq, 1000);
	ck_assert_mem_eq(bytes_of(burst.pkts[0]) + 28, "\0\0\0\0\0\0\x03\xef", 8); /* 1000 XOR 7 */
	ck_assert_uint_eq(env.drops.count[0][DROP_out_seq_reserved], 2);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_out_seq_reserved], 2);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);

	seq_extend(&sa->seq, 1003, 2000);
	burst.n = 0;
	burst_fill(&burst, sa, 5);
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 5);
	ck_assert_uint_gt(pkt_of(burst.pkts[0])->seq, 1002);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	sa_destroy(sa);
}
END_TEST

// ESP-7
START_TEST(an_esn_tunnel_works_across_2_to_the_32)
{
	const struct alg *alg = alg_at((size_t)_i);
	struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){.alg = alg->name, .esn = true});
	BURST(burst);

	atomic_store(&pair.out->seq.next, UINT64_C(0xffffffe0));
	burst_fill(&burst, pair.out, BURST_MAX);
	sa_pair_encrypt(&env, pair.out, &burst);
	ck_assert_uint_eq(pkt_of(burst.pkts[BURST_MAX - 1])->seq, UINT64_C(0x10000001f));
	sa_pair_transfer(pair.in, &burst);
	for (uint16_t i = 0; i < BURST_MAX; i++) {
		/* One by one, since the high half is guessed from what was accepted before. */
		struct burst one = {.n = 1, .pkts = {burst.pkts[i]}};

		sa_pair_decrypt(&env, &one);
		ck_assert_uint_eq(one.n, 1);
		ck_assert_uint_eq(pkt_of(one.pkts[0])->seq, UINT64_C(0xffffffe0) + i);
		rte_pktmbuf_free(one.pkts[0]);
	}
	ck_assert_uint_eq(replay_highest(pair.in->replay), UINT64_C(0x10000001f));
	sa_pair_destroy(&pair);
}
END_TEST

/* A packet of 28 bytes with just so much room in front, in a buffer that otherwise has plenty. */
static struct rte_mbuf *with_headroom(uint16_t headroom)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){0});

	memmove((uint8_t *)m->buf_addr + headroom, rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = headroom;
	return m;
}

static struct rte_mbuf *with_tailroom(uint16_t tailroom)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){0});
	uint16_t headroom = m->buf_len - m->data_len - tailroom;

	memmove((uint8_t *)m->buf_addr + headroom, rte_pktmbuf_mtod(m, void *), m->data_len);
	m->data_off = headroom;
	return m;
}

START_TEST(a_buffer_without_room_is_dropped_and_its_number_is_a_gap)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	uint16_t front = GCM_V4_FRONT_BYTES + LINK_HEADER_BYTES;
	BURST(burst);

	burst_add_one(&burst, with_headroom(front - 1));
	burst_add_one(&burst, with_headroom(front));
	burst_add_one(&burst, with_tailroom(GCM_BACK_BYTES - 1));
	burst_add_one(&burst, with_tailroom(GCM_BACK_BYTES));
	for (uint16_t i = 0; i < burst.n; i++)
		pkt_of(burst.pkts[i])->sa = sa;
	esp_out_prepare(&burst, &env.tally);

	ck_assert_uint_eq(burst.n, 2);
	ck_assert_uint_eq(rte_pktmbuf_headroom(burst.pkts[0]), LINK_HEADER_BYTES);
	ck_assert_uint_eq(rte_pktmbuf_tailroom(burst.pkts[1]), 0);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->seq, 2);
	ck_assert_uint_eq(pkt_of(burst.pkts[1])->seq, 4);
	ck_assert_uint_eq(env.drops.count[0][DROP_out_buf], 2);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_out_buf], 2);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	sa_destroy(sa);
}
END_TEST

// PMT-2
START_TEST(a_packet_above_the_inner_mtu_is_cut_or_answered)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);
	BURST(oversize);
	BURST(too_big);

	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = 1446 - 28, .df = true}));
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = 1447 - 28, .df = true}));
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = 1447 - 28}));
	burst_add_one(
		&burst, packet_mbuf(&(struct packet_spec){.family = IP_V6, .payload_bytes = 1447 - 48}));
	for (uint16_t i = 0; i < burst.n; i++)
		pkt_of(burst.pkts[i])->sa = sa;
	esp_out_mtu(&burst, &oversize, &too_big, &env.tally);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->ip_len, 1446);
	ck_assert_uint_eq(too_big.n, 2);
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_type, 3);
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_code, 4);
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_mtu, 1446);
	ck_assert_uint_eq(pkt_of(too_big.pkts[1])->icmp_type, 2);
	ck_assert_uint_eq(pkt_of(too_big.pkts[1])->icmp_code, 0);
	ck_assert_uint_eq(pkt_of(too_big.pkts[1])->icmp_mtu, 1446);
	ck_assert_uint_eq(oversize.n, 1); // PMT-3
	ck_assert_uint_eq(pkt_of(oversize.pkts[0])->icmp_mtu, 1446);
	ck_assert_uint_eq(env.drops.total, 0);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_out_mtu], 2);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	rte_pktmbuf_free_bulk(oversize.pkts, oversize.n);
	rte_pktmbuf_free_bulk(too_big.pkts, too_big.n);
	sa_destroy(sa);
}
END_TEST

// PMT-4
START_TEST(ipv6_is_never_told_less_than_1280)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);
	BURST(oversize);
	BURST(too_big);

	atomic_store(&sa->inner_mtu, 1226);
	burst_add_one(
		&burst, packet_mbuf(&(struct packet_spec){.family = IP_V6, .payload_bytes = 1280 - 48}));
	burst_add_one(
		&burst, packet_mbuf(&(struct packet_spec){.family = IP_V6, .payload_bytes = 1281 - 48}));
	for (uint16_t i = 0; i < burst.n; i++)
		pkt_of(burst.pkts[i])->sa = sa;
	esp_out_mtu(&burst, &oversize, &too_big, &env.tally);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->ip_len, 1280);
	ck_assert(pkt_of(burst.pkts[0])->flags & PKT_OUTER_CUT);
	ck_assert_uint_eq(oversize.n, 0);
	ck_assert_uint_eq(too_big.n, 1);
	ck_assert_uint_eq(pkt_of(too_big.pkts[0])->icmp_mtu, 1280);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	rte_pktmbuf_free_bulk(too_big.pkts, too_big.n);
	sa_destroy(sa);
}
END_TEST

// PMT-4
START_TEST(the_tunnels_packet_of_what_was_too_long_for_it_is_cut_for_the_path)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);
	BURST(oversize);

	path_mtu_set_link(sa, 1300);
	for (uint16_t bytes = 1246; bytes <= 1248; bytes++)
		burst_add_one(&burst,
			packet_mbuf(&(struct packet_spec){.family = IP_V6, .payload_bytes = bytes - 48}));
	for (uint16_t i = 0; i < burst.n; i++)
		pkt_of(burst.pkts[i])->sa = sa;
	esp_out_mtu(&burst, &oversize, &oversize, &env.tally);
	ck_assert_uint_eq(burst.n, 3);
	esp_out_prepare(&burst, &env.tally);
	esp_out_finish(&burst, &env.tally);
	ck_assert(burst.seen & PKT_OUTER_CUT);
	esp_out_path(&burst, &oversize, &env.drops);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->inner_len, 1246);
	ck_assert_uint_eq(oversize.n, 2);
	ck_assert_uint_eq(pkt_of(oversize.pkts[0])->icmp_mtu, 1300);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	rte_pktmbuf_free_bulk(oversize.pkts, oversize.n);
	sa_destroy(sa);
}
END_TEST

START_TEST(a_packet_that_fits_its_path_shows_no_need_to_cut)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);

	burst_fill(&burst, sa, 3);
	esp_out_prepare(&burst, &env.tally);
	esp_out_finish(&burst, &env.tally);
	ck_assert(!(burst.seen & PKT_OUTER_CUT));
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	sa_destroy(sa);
}
END_TEST

START_TEST(a_tunnel_through_which_next_to_nothing_fits_drops_by_name)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){0}, false);
	BURST(burst);
	BURST(oversize);
	BURST(too_big);

	atomic_store(&sa->inner_mtu, 67);
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = 68 - 28}));
	pkt_of(burst.pkts[0])->sa = sa;
	esp_out_mtu(&burst, &oversize, &too_big, &env.tally);

	ck_assert_uint_eq(burst.n + oversize.n + too_big.n, 0);
	ck_assert_uint_eq(env.drops.count[0][DROP_out_mtu], 1);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_out_mtu], 1);
	sa_destroy(sa);
}
END_TEST

START_TEST(what_was_sent_is_counted_by_its_inner_bytes)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.alg = "aes128-sha256"}, false);
	BURST(burst);

	burst_fill(&burst, sa, 3);
	esp_out_prepare(&burst, &env.tally);
	pkt_of(burst.pkts[1])->flags |= PKT_CRYPTO_FAILED;
	esp_out_finish(&burst, &env.tally);

	ck_assert_uint_eq(burst.n, 2);
	ck_assert_uint_eq(sa->counters[0].packets, 2);
	ck_assert_uint_eq(sa->counters[0].bytes, 2 * 28);
	ck_assert_uint_eq(sa->counters[0].drops[SA_DROP_crypto_failed], 1);
	ck_assert_uint_eq(env.drops.count[0][DROP_crypto_failed], 1);
	rte_pktmbuf_free_bulk(burst.pkts, burst.n);
	sa_destroy(sa);
}
END_TEST

/* Everything after the ESP header of one encrypted packet, which is always the same in clear. */
struct wire {
	uint8_t iv[16];
	uint8_t last_block[16];
};

static struct wire wire_of_one(struct sa *sa)
{
	struct wire wire;
	BURST(burst);

	burst_fill(&burst, sa, 1);
	sa_pair_encrypt(&env, sa, &burst);
	ck_assert_uint_eq(burst.n, 1);
	memcpy(wire.iv, bytes_of(burst.pkts[0]) + 28, sizeof(wire.iv));
	memcpy(wire.last_block, bytes_of(burst.pkts[0]) + pkt_of(burst.pkts[0])->icv_offset - 16,
		sizeof(wire.last_block));
	rte_pktmbuf_free(burst.pkts[0]);
	return wire;
}

static int wire_compare_iv(const void *a, const void *b)
{
	return memcmp(((const struct wire *)a)->iv, ((const struct wire *)b)->iv, 16);
}

// ALG-2
START_TEST(cbc_ivs_on_the_wire_are_distinct_and_not_the_ciphertext_before)
{
	static const enum crypto_way ways[] = {CRYPTO_WAY_SYNC, CRYPTO_WAY_ASYNC};
	static const uint8_t zeros[8];
	static struct wire wires[N_EQUAL];
	struct sa *sa;

	crypto_env_end(&env);
	crypto_env_begin(&env, ways[_i]);
	sa = sa_of(&env, &(struct sa_spec){.alg = "aes128-sha256"}, false);
	for (int i = 0; i < N_EQUAL; i++)
		wires[i] = wire_of_one(sa);
	for (int i = 1; i < N_EQUAL; i++) {
		ck_assert_mem_ne(wires[i].iv, wires[i - 1].last_block, 16);
		ck_assert_mem_ne(wires[i].iv + 8, zeros, 8); /* the block that it is made of ends in zeros */
	}
	qsort(wires, N_EQUAL, sizeof(wires[0]), wire_compare_iv);
	for (int i = 1; i < N_EQUAL; i++)
		ck_assert_mem_ne(wires[i].iv, wires[i - 1].iv, 16);
	sa_destroy(sa);
}
END_TEST

START_TEST(a_gcm_iv_is_the_sequence_number_under_the_mask)
{
	struct sa *sa = sa_of(&env, &(struct sa_spec){.iv_mask = UINT64_C(0xa1a2a3a4a5a6a7a8)}, false);
	struct rte_mbuf *m = prepared(sa, &(struct packet_spec){0});

	ck_assert_mem_eq(bytes_of(m) + 28, "\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa9", 8);
	rte_pktmbuf_free(m);
	sa_destroy(sa);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/esp_out");
	TCase *tcase = tcase_create("esp_out");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, the_tunnel_header_over_ipv4_is_exact, 0, 2);
	tcase_add_loop_test(tcase, the_tunnel_header_over_ipv6_is_exact, 0, 2);
	tcase_add_test(tcase, the_packet_is_described_as_the_outer_one);
	tcase_add_loop_test(tcase, every_traffic_class_is_copied_with_a_right_checksum, 0, 4);
	tcase_add_loop_test(tcase, a_fixed_dscp_leaves_the_inner_ecn_alone, 0, 4);
	tcase_add_test(tcase, df_is_set_cleared_or_copied_as_the_sa_says);
	tcase_add_loop_test(tcase, each_header_without_df_has_another_id, 0, 2);
	tcase_add_loop_test(tcase, the_flow_label_is_the_same_for_all_packets_of_an_inner_flow, 0, 2);
	tcase_add_loop_test(tcase, flows_that_differ_in_one_value_have_labels_of_their_own, 0, 8);
	tcase_add_test(tcase, padding_counts_up_from_one_to_the_block);
	tcase_add_test(tcase, runs_of_one_sa_have_numbers_in_order);
	tcase_add_test(tcase, past_the_last_sequence_number_packets_are_dropped);
	tcase_add_test(tcase, past_the_last_reserved_number_packets_are_dropped_until_there_are_more);
	tcase_add_loop_test(tcase, an_esn_tunnel_works_across_2_to_the_32, 0, sa_pair_algs());
	tcase_add_test(tcase, a_buffer_without_room_is_dropped_and_its_number_is_a_gap);
	tcase_add_test(tcase, a_packet_above_the_inner_mtu_is_cut_or_answered);
	tcase_add_test(tcase, ipv6_is_never_told_less_than_1280);
	tcase_add_test(tcase, the_tunnels_packet_of_what_was_too_long_for_it_is_cut_for_the_path);
	tcase_add_test(tcase, a_packet_that_fits_its_path_shows_no_need_to_cut);
	tcase_add_test(tcase, a_tunnel_through_which_next_to_nothing_fits_drops_by_name);
	tcase_add_test(tcase, what_was_sent_is_counted_by_its_inner_bytes);
	tcase_add_loop_test(tcase, cbc_ivs_on_the_wire_are_distinct_and_not_the_ciphertext_before, 0, 2);
	tcase_add_test(tcase, a_gcm_iv_is_the_sequence_number_under_the_mask);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
