#include "ipsec/esp_in.h"

#include "ipsec/esp_out.h"
#include "net/rewrite.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sa_pair.h"
#include "support/sanitizer.h"

#include <stdatomic.h>
#include <string.h>

#define ECN_DROPPED 4 /* no codepoint */

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

/* The pair of a loop case: each algorithm without and with ESN. */
static struct sa_pair pair_of(int i)
{
	return sa_pair_create(&env, &(struct sa_spec){.alg = alg_at((size_t)i / 2)->name, .esn = i % 2});
}

/* An encrypted packet as it lies in the sender's mbuf. The caller frees it. */
static struct rte_mbuf *esp_of(struct sa_pair *pair, const struct packet_spec *spec)
{
	BURST(burst);

	burst_add_one(&burst, packet_mbuf(spec));
	sa_pair_encrypt(&env, pair->out, &burst);
	ck_assert_uint_eq(burst.n, 1);
	return burst.pkts[0];
}

/* A copy of the first `length` bytes as they arrive, the IP header's lengths aside. */
static struct rte_mbuf *arriving(struct sa_pair *pair, struct rte_mbuf *sent, uint16_t length)
{
	struct rte_mbuf *m = mbuf_exact_of(rte_pktmbuf_mtod(sent, void *), length);
	struct pkt *p = pkt_of(m);

	p->family = pkt_of(sent)->family;
	p->protocol = 50;
	p->l4 = pkt_of(sent)->l4;
	p->ip_len = length;
	p->sa = pair->in;
	return m;
}

static struct rte_mbuf *arriving_whole(struct sa_pair *pair, struct rte_mbuf *sent)
{
	return arriving(pair, sent, pkt_of(sent)->ip_len);
}

/* What became of one packet: true if it was accepted. It is gone either way. */
static bool is_accepted(struct rte_mbuf *m)
{
	struct burst burst = {.n = 1, .pkts = {m}};

	sa_pair_decrypt(&env, &burst);
	if (burst.n == 0)
		return false;
	rte_pktmbuf_free(burst.pkts[0]);
	return true;
}

static uint64_t dropped(enum drop_reason reason)
{
	return env.drops.count[0][reason];
}

#ifdef HAS_ASAN
#define CHANGED_STEP 3 /* natively it is each byte */
#else
#define CHANGED_STEP 1
#endif

// ESP-3, SAL-6
START_TEST(a_packet_with_any_bit_of_a_byte_changed_is_dropped)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent;
	unsigned n_flips = 0;

	atomic_store(&pair.out->seq.next, 0x40); /* so that no flip of its lowest byte makes it 0 */
	sent = esp_of(&pair, &(struct packet_spec){.payload_bytes = 20});
	for (uint16_t at = pkt_of(sent)->esp_offset; at < pkt_of(sent)->ip_len; at += CHANGED_STEP) {
		struct rte_mbuf *m = arriving_whole(&pair, sent);

		rte_pktmbuf_mtod(m, uint8_t *)[at] ^= (uint8_t)(1u << at % 8);
		ck_assert_msg(!is_accepted(m), "byte %u changed, and accepted", at);
		n_flips++;
	}

	ck_assert_uint_eq(dropped(DROP_in_icv), n_flips);
	ck_assert_uint_eq(pair.in->counters[0].drops[SA_DROP_in_icv], n_flips);
	ck_assert_uint_eq(pair.in->counters[0].packets, 0);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 0);
	ck_assert(is_accepted(arriving_whole(&pair, sent)));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// SAL-7
START_TEST(a_packet_of_any_other_length_is_dropped)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = esp_of(&pair, &(struct packet_spec){.payload_bytes = 20});
	uint16_t least = 20 + 8 + pair.in->iv_bytes + pair.in->align_bytes + pair.in->icv_bytes;
	uint16_t length;

	for (length = pkt_of(sent)->l4; length < pkt_of(sent)->ip_len; length++) {
		uint64_t short_before = dropped(DROP_in_hdr);
		bool is_whole = length >= least && (length - least) % pair.in->align_bytes == 0;

		ck_assert(!is_accepted(arriving(&pair, sent, length)));
		ck_assert_uint_eq(dropped(DROP_in_hdr) - short_before, !is_whole);
	}
	ck_assert_uint_eq(dropped(DROP_in_hdr) + dropped(DROP_in_icv), length - pkt_of(sent)->l4);
	ck_assert_uint_gt(dropped(DROP_in_icv), 0);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 0);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AR-6, AR-7
START_TEST(of_one_packet_twice_in_a_burst_one_is_accepted)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = esp_of(&pair, &(struct packet_spec){0});
	BURST(burst);

	burst_add_one(&burst, arriving_whole(&pair, sent));
	burst_add_one(&burst, arriving_whole(&pair, sent));
	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(dropped(DROP_in_replay), 1);
	ck_assert(!is_accepted(arriving_whole(&pair, sent)));
	ck_assert_uint_eq(dropped(DROP_in_replay), 2);
	ck_assert_uint_eq(pair.in->counters[0].drops[SA_DROP_in_replay], 2);
	ck_assert_uint_eq(pair.in->counters[0].packets, 1);
	ck_assert_uint_eq(pair.in->counters[0].bytes, 28);
	rte_pktmbuf_free(burst.pkts[0]);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// SAL-6
START_TEST(a_forged_number_ahead_does_not_move_the_window)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *sent = esp_of(&pair, &(struct packet_spec){0});
	struct rte_mbuf *forged = arriving_whole(&pair, sent);
	rte_be32_t ahead = RTE_BE32(1 + 5000);

	memcpy(rte_pktmbuf_mtod_offset(forged, uint8_t *, pkt_of(sent)->esp_offset + 4), &ahead,
		sizeof(ahead));
	ck_assert(!is_accepted(forged));

	ck_assert_uint_eq(dropped(DROP_in_icv), 1);
	ck_assert(is_accepted(arriving_whole(&pair, sent)));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

// AR-3, AR-4
START_TEST(a_late_packet_and_number_zero_are_dropped_by_name)
{
	struct sa_pair pair = pair_of(0);
	struct rte_mbuf *late = esp_of(&pair, &(struct packet_spec){0});
	struct rte_mbuf *newest;
	struct rte_mbuf *zero;

	atomic_store(&pair.out->seq.next, 1 + SA_PAIR_WINDOW);
	newest = esp_of(&pair, &(struct packet_spec){0});
	ck_assert(is_accepted(arriving_whole(&pair, newest)));
	ck_assert(!is_accepted(arriving_whole(&pair, late)));
	zero = arriving_whole(&pair, newest);
	memset(rte_pktmbuf_mtod_offset(zero, uint8_t *, 24), 0, 4);
	ck_assert(!is_accepted(zero));

	ck_assert_uint_eq(dropped(DROP_in_late), 1);
	ck_assert_uint_eq(dropped(DROP_in_seq_zero), 1);
	rte_pktmbuf_free(late);
	rte_pktmbuf_free(newest);
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(a_packet_that_the_driver_failed_is_dropped_and_moves_no_window)
{
	struct sa_pair pair = pair_of(0);
	struct rte_mbuf *sent = esp_of(&pair, &(struct packet_spec){0});
	struct burst burst = {.n = 1, .pkts = {arriving_whole(&pair, sent)}};

	esp_in_prepare(&burst, &env.tally);
	pkt_of(burst.pkts[0])->flags |= PKT_CRYPTO_FAILED;
	esp_in_finish(&burst, &env.tally);

	ck_assert_uint_eq(burst.n, 0);
	ck_assert_uint_eq(dropped(DROP_crypto_failed), 1);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 0);
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

/*
 * A packet whose payload, padding and trailer are these bytes, encrypted as they are: what a peer could send
 * whose ESP is broken. The length suits every algorithm's block.
 */
static struct rte_mbuf *crafted(struct sa_pair *pair, const uint8_t *plain, uint16_t length)
{
	struct rte_mbuf *sent;
	struct rte_mbuf *m;
	BURST(burst);

	ck_assert_uint_eq(length % 16, 0);
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){.payload_bytes = length - 2 - 28}));
	sent = burst.pkts[0];
	pkt_of(sent)->sa = pair->out;
	esp_out_prepare(&burst, &env.tally);
	ck_assert_uint_eq(burst.n, 1);
	memcpy(rte_pktmbuf_mtod_offset(sent, uint8_t *, pkt_of(sent)->icv_offset - length), plain, length);
	crypto_env_run(&env, &burst);
	esp_out_finish(&burst, &env.tally);
	m = arriving_whole(pair, sent);
	rte_pktmbuf_free(sent);
	return m;
}

/* An inner packet of `inner_bytes` at the front, then padding, pad length and next header. */
static uint16_t plain_build(uint8_t *out, uint16_t inner_bytes, uint8_t pad_bytes, uint8_t next_header)
{
	uint8_t inner[PACKET_BYTES_MAX];

	if (inner_bytes > 0) {
		packet_build(&(struct packet_spec){.payload_bytes = inner_bytes - 28}, inner);
		memcpy(out, inner, inner_bytes);
	}
	for (unsigned i = 0; i < pad_bytes; i++)
		out[inner_bytes + i] = (uint8_t)(i + 1);
	out[inner_bytes + pad_bytes] = pad_bytes;
	out[inner_bytes + pad_bytes + 1] = next_header;
	return inner_bytes + pad_bytes + 2;
}

// ESP-2
START_TEST(padding_and_next_header_are_checked)
{
	struct sa_pair pair = pair_of(_i);
	uint8_t plain[512];
	uint16_t length = plain_build(plain, 28, 2, 4);
	unsigned bad = 0;

	plain[length - 2] = 0xff; /* more padding than payload */
	bad += !is_accepted(crafted(&pair, plain, length));
	plain[length - 2] = 31; /* just one byte more than the payload */
	bad += !is_accepted(crafted(&pair, plain, length));
	plain_build(plain, 28, 2, 4);
	plain[28] = 2; /* the first byte of padding */
	bad += !is_accepted(crafted(&pair, plain, length));
	plain_build(plain, 28, 2, 4);
	plain[29] = 0; /* the last one */
	bad += !is_accepted(crafted(&pair, plain, length));
	plain_build(plain, 28, 2, 6); /* TCP, as in transport mode */
	bad += !is_accepted(crafted(&pair, plain, length));
	plain_build(plain, 28, 2, 41); /* the other family */
	bad += !is_accepted(crafted(&pair, plain, length));
	plain_build(plain, 0, 30, 4); /* nothing but padding */
	bad += !is_accepted(crafted(&pair, plain, length));
	ck_assert_uint_eq(bad, 7);
	ck_assert_uint_eq(dropped(DROP_in_sa_proto), 7);
	ck_assert_uint_eq(pair.in->counters[0].drops[SA_DROP_in_sa_proto], 7);
	ck_assert_uint_eq(env.drops.total, 7);

	plain_build(plain, 28, 2, 4);
	ck_assert(is_accepted(crafted(&pair, plain, length)));
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(padding_does_not_reach_into_the_esp_header)
{
	struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){.alg = "null-sha256"});
	uint8_t plain[32];

	/*
	 * Without an IV the byte in front is the sequence number's lowest, 1: right for padding, but not
	 * padding.
	 */
	for (unsigned i = 0; i < 30; i++)
		plain[i] = (uint8_t)(i + 2);
	plain[30] = 31;
	plain[31] = 59;
	ck_assert(!is_accepted(crafted(&pair, plain, sizeof(plain))));

	ck_assert_uint_eq(dropped(DROP_in_sa_proto), 1);
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(the_longest_padding_is_accepted)
{
	struct sa_pair pair = pair_of(_i);
	uint8_t plain[512];
	uint16_t length = plain_build(plain, 31, 255, 4);
	struct burst burst = {.n = 1, .pkts = {crafted(&pair, plain, length)}};

	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(rte_pktmbuf_data_len(burst.pkts[0]), 31);
	rte_pktmbuf_free(burst.pkts[0]);
	plain[31 + 254] ^= 1;
	ck_assert(!is_accepted(crafted(&pair, plain, length)));
	sa_pair_destroy(&pair);
}
END_TEST

// ESP-4
START_TEST(a_dummy_packet_is_dropped_and_moves_the_window)
{
	struct sa_pair pair = pair_of(_i);
	uint8_t plain[64];
	uint16_t length = plain_build(plain, 28, 2, 59);

	ck_assert(!is_accepted(crafted(&pair, plain, length)));
	plain_build(plain, 0, 30, 59);
	ck_assert(!is_accepted(crafted(&pair, plain, length)));

	ck_assert_uint_eq(dropped(DROP_in_dummy), 2);
	ck_assert_uint_eq(env.drops.total, 2);
	ck_assert_uint_eq(pair.in->counters[0].packets, 0);
	ck_assert_uint_eq(replay_highest(pair.in->replay), 2);
	sa_pair_destroy(&pair);
}
END_TEST

// ESP-5
START_TEST(padding_behind_the_inner_packet_is_cut_off)
{
	struct sa_pair pair = pair_of(_i);
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.payload_bytes = 32});
	struct burst burst = {.n = 1, .pkts = {m}};
	uint8_t expected[60];

	memcpy(expected, rte_pktmbuf_mtod(m, void *), sizeof(expected));
	memset(rte_pktmbuf_append(m, 200), 0xaa, 200);
	pkt_of(m)->ip_len += 200;
	sa_pair_encrypt(&env, pair.out, &burst);
	sa_pair_transfer(pair.in, &burst);
	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(pkt_of(burst.pkts[0])->ip_len, 60);
	ck_assert_uint_eq(rte_pktmbuf_data_len(burst.pkts[0]), 60);
	ck_assert_mem_eq(rte_pktmbuf_mtod(burst.pkts[0], void *), expected, 60);
	ck_assert_uint_eq(pair.in->counters[0].bytes, 60);
	rte_pktmbuf_free(burst.pkts[0]);
	sa_pair_destroy(&pair);
}
END_TEST

// TUN-9
START_TEST(an_inner_packet_longer_than_the_payload_is_dropped)
{
	struct sa_pair pair = pair_of(_i);
	uint8_t plain[64];
	uint16_t length = plain_build(plain, 28, 2, 4);
	uint16_t checksum;

	plain[3] = 33; /* one byte more than payload and padding are */
	memset(plain + 10, 0, 2);
	checksum = packet_checksum(plain, 20, 0);
	plain[10] = (uint8_t)(checksum >> 8);
	plain[11] = (uint8_t)checksum;
	ck_assert(!is_accepted(crafted(&pair, plain, length)));

	ck_assert_uint_eq(dropped(DROP_in_sa_proto), 1);
	sa_pair_destroy(&pair);
}
END_TEST

static void check_ecn(struct sa_pair *pair, uint8_t family, uint8_t inner, uint8_t outer, uint8_t expected)
{
	const uint8_t dscp = 0xb8; /* expedited forwarding */
	struct packet_spec spec = {.family = family, .traffic_class = dscp | inner, .payload_bytes = 9};
	struct rte_mbuf *sent = esp_of(pair, &spec);
	struct rte_mbuf *m = arriving_whole(pair, sent);
	struct burst burst = {.n = 1, .pkts = {m}};

	traffic_class_set_one(m, outer); /* the DSCP of the outer header changes on the way too */
	rte_pktmbuf_free(sent);
	sa_pair_decrypt(&env, &burst);

	ck_assert_uint_eq(burst.n, expected != ECN_DROPPED);
	if (burst.n == 0)
		return;
	ck_assert_uint_eq(traffic_class_get_one(m), dscp | expected);
	if (family == IP_V4)
		ck_assert_uint_eq(packet_checksum(rte_pktmbuf_mtod(m, void *), 20, 0), 0);
	rte_pktmbuf_free(m);
}

// TUN-5, TUN-7
START_TEST(congestion_marks_are_merged_as_rfc_6040_says)
{
	enum { NOT_ECT, ECT1, ECT0, CE };
	/* RFC 6040 figure 4, whose columns and rows are Not-ECT, ECT(0), ECT(1), CE. */
	static const uint8_t order[] = {NOT_ECT, ECT0, ECT1, CE};
	static const uint8_t expected[4][4] = {
		{NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROPPED},
		{ECT0, ECT0, ECT1, CE},
		{ECT1, ECT1, ECT1, CE},
		{CE, CE, CE, CE},
	};
	static const uint8_t families[] = {IP_V4, IP_V6};
	struct sa_pair pair = sa_pair_create(&env, &(struct sa_spec){.outer = families[_i / 2]});

	for (int inner = 0; inner < 4; inner++)
		for (int outer = 0; outer < 4; outer++)
			check_ecn(
				&pair, families[_i % 2], order[inner], order[outer], expected[inner][outer]);
	ck_assert_uint_eq(dropped(DROP_in_ecn), 1);
	ck_assert_uint_eq(env.drops.total, 1);
	ck_assert_uint_eq(pair.in->counters[0].packets, 15);
	sa_pair_destroy(&pair);
}
END_TEST

START_TEST(without_a_window_a_packet_is_accepted_again)
{
	struct sa_pair pair = pair_of(0);
	struct rte_mbuf *sent = esp_of(&pair, &(struct packet_spec){0});

	replay_put(pair.in->replay);
	pair.in->replay = replay_create(0, false, 0, SOCKET_ID_ANY);

	ck_assert(is_accepted(arriving_whole(&pair, sent))); // AR-8
	ck_assert(is_accepted(arriving_whole(&pair, sent)));
	rte_pktmbuf_free(sent);
	sa_pair_destroy(&pair);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ipsec/esp_in");
	TCase *tcase = tcase_create("esp_in");
	const int n_pairs = 2 * sa_pair_algs();

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, a_packet_with_any_bit_of_a_byte_changed_is_dropped, 0, n_pairs);
	tcase_add_loop_test(tcase, a_packet_of_any_other_length_is_dropped, 0, n_pairs);
	tcase_add_loop_test(tcase, of_one_packet_twice_in_a_burst_one_is_accepted, 0, n_pairs);
	tcase_add_loop_test(tcase, a_forged_number_ahead_does_not_move_the_window, 0, n_pairs);
	tcase_add_test(tcase, a_late_packet_and_number_zero_are_dropped_by_name);
	tcase_add_test(tcase, a_packet_that_the_driver_failed_is_dropped_and_moves_no_window);
	tcase_add_loop_test(tcase, padding_and_next_header_are_checked, 0, n_pairs);
	tcase_add_test(tcase, padding_does_not_reach_into_the_esp_header);
	tcase_add_loop_test(tcase, the_longest_padding_is_accepted, 0, n_pairs);
	tcase_add_loop_test(tcase, a_dummy_packet_is_dropped_and_moves_the_window, 0, n_pairs);
	tcase_add_loop_test(tcase, padding_behind_the_inner_packet_is_cut_off, 0, n_pairs);
	tcase_add_loop_test(tcase, an_inner_packet_longer_than_the_payload_is_dropped, 0, n_pairs);
	tcase_add_loop_test(tcase, congestion_marks_are_merged_as_rfc_6040_says, 0, 4);
	tcase_add_test(tcase, without_a_window_a_packet_is_accepted_again);
	suite_add_tcase(suite, tcase);
	return eal_run_suite(suite);
}
