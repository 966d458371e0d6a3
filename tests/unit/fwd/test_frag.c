#include "fwd/frag.h"

#include "fwd/reass.h"
#include "net/oversize.h"
#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_random.h>

#define RANDOM_PACKETS 2000

static struct frag frag;
static struct drops drops;
static uint64_t generated;

static void setup(void)
{
	eal_setup();
	drops = (struct drops){0};
	generated = 0;
	frag = (struct frag){.packets = eal_pool(), .next_id = 77, .generated = &generated};
}

/* Cut to at most mtu; returns the fragments. */
static uint16_t cut(struct rte_mbuf *m, uint16_t mtu, struct rte_mbuf *fragments[64 * BURST_MAX])
{
	struct burst oversize = {.n = 1, .pkts = {m}};
	struct frag_cut state = {.from = &oversize};
	struct burst out;
	uint16_t n = 0;

	ck_assert(oversize_is_cut_one(m, mtu));
	while (frag_fill(&frag, &state, &out, &drops)) {
		memcpy(&fragments[n], out.pkts, out.n * sizeof(out.pkts[0]));
		n += out.n;
	}
	ck_assert_uint_eq(oversize.n, 0);
	return n;
}

/* What parse says of the bytes is what frag said of them. */
static void assert_described(struct rte_mbuf *m)
{
	struct pkt said = *pkt_of(m);
	uint16_t length = rte_pktmbuf_data_len(m);

	ck_assert(parse_inner_one(m, said.family));
	ck_assert_uint_eq(length, said.ip_len);
	ck_assert_uint_eq(pkt_of(m)->ip_len, said.ip_len);
	ck_assert_uint_eq(pkt_of(m)->l4, said.l4);
	ck_assert_uint_eq(pkt_of(m)->protocol, said.protocol);
	ck_assert_uint_eq(pkt_of(m)->flags, said.flags & ~PKT_LOCAL);
}

static struct rte_mbuf *whole_of(struct reass *reass, struct rte_mbuf **fragments, uint16_t n)
{
	struct burst burst = {.n = 0};

	for (uint16_t i = 0; i < n; i++) {
		ck_assert_uint_eq(burst.n, 0);
		burst = (struct burst){.n = 1, .seen = PKT_FRAGMENT, .pkts = {fragments[i]}};
		reass_burst(reass, &burst, NULL, 1, &drops);
	}
	ck_assert_uint_eq(burst.n, 1);
	return burst.pkts[0];
}

// PMT-3: cut and made whole again, it is what it was, for every size and MTU.
START_TEST(fragments_fit_and_become_the_packet_again)
{
	struct reass_conf conf = {.socket = SOCKET_ID_ANY};
	struct rte_mbuf *fragments[64 * BURST_MAX];
	struct reass *reass;
	struct err err;

	ck_assert_int_eq(reass_create(&conf, &reass, &err), 0);
	for (unsigned round = 0; round < RANDOM_PACKETS; round++) {
		bool v6 = rte_rand_max(2), local = rte_rand_max(2);
		struct packet_spec spec = {.family = v6 ? IP_V6 : IP_V4,
			.id = 5,
			.payload_bytes = (uint16_t)(v6 ? 80 : 50) + (uint16_t)rte_rand_max(1700)};
		struct rte_mbuf *m = packet_mbuf(&spec);
		uint16_t bytes = pkt_of(m)->ip_len;
		uint16_t mtu = (v6 ? 80 : 68) + (uint16_t)rte_rand_max(bytes - (v6 ? 80 : 68));
		uint8_t before[PACKET_BYTES_MAX];

		memcpy(before, rte_pktmbuf_mtod(m, void *), bytes);
		pkt_of(m)->flags |= v6 || local ? PKT_LOCAL : 0;
		generated = 0;
		uint16_t n = cut(m, mtu, fragments);
		ck_assert_uint_gt(n, 1);
		ck_assert_uint_eq(generated, n - 1u);
		for (uint16_t i = 0; i < n; i++) {
			ck_assert_uint_le(fragments[i]->pkt_len, mtu);
			ck_assert_uint_ge(rte_pktmbuf_headroom(fragments[i]), RTE_PKTMBUF_HEADROOM);
			ck_assert(RTE_MBUF_DIRECT(fragments[i]));
			assert_described(fragments[i]);
		}
		m = whole_of(reass, fragments, n);
		ck_assert_uint_eq(pkt_of(m)->ip_len, bytes);
		if (!v6 && local) { // it gets an ID
			memcpy(before + 4, &pkt_ipv4(m)->packet_id, 2);
			memcpy(before + 10, &pkt_ipv4(m)->hdr_checksum, 2);
		}
		ck_assert_mem_eq(rte_pktmbuf_mtod(m, void *), before, bytes);
		rte_pktmbuf_free(m);
	}
	ck_assert_uint_eq(drops.total, 0);
	reass_destroy(reass);
}
END_TEST

START_TEST(a_fragment_is_cut_again_with_its_offset_and_more_fragments)
{
	struct packet_spec spec = {
		.payload_bytes = 400, .fragment_offset_bytes = 808, .more_fragments = true, .id = 9};
	struct rte_mbuf *fragments[64 * BURST_MAX];
	uint16_t n = cut(packet_mbuf(&spec), 220, fragments);

	ck_assert_uint_eq(n, 2);
	for (uint16_t i = 0; i < n; i++) {
		ck_assert_uint_eq(rte_be_to_cpu_16(pkt_ipv4(fragments[i])->fragment_offset),
			RTE_IPV4_HDR_MF_FLAG | (101 + i * 25));
		ck_assert_uint_eq(rte_be_to_cpu_16(pkt_ipv4(fragments[i])->packet_id), 9);
		ck_assert_uint_eq(packet_checksum(pkt_ipv4(fragments[i]), 20, 0), 0);
	}
	rte_pktmbuf_free_bulk(fragments, n);
}
END_TEST

/* RFC 791 section 3.1: only options with the copied flag are in later fragments. */
START_TEST(options_are_copied_as_their_flag_says)
{
	/* Record route (7, not copied), no operation, router alert (148, copied). */
	static const uint8_t options[12] = {7, 7, 4, 0, 0, 0, 0, 1, 148, 4, 0, 0};
	uint8_t bytes[PACKET_BYTES_MAX];
	struct packet_spec spec = {.payload_bytes = 300};
	size_t length = packet_build(&spec, bytes);
	struct rte_mbuf *fragments[64 * BURST_MAX];
	struct rte_mbuf *m;

	memmove(bytes + 32, bytes + 20, length - 20);
	memcpy(bytes + 20, options, 12);
	bytes[0] = 0x48;
	bytes[2] = (uint8_t)((length + 12) >> 8);
	bytes[3] = (uint8_t)(length + 12);
	memset(bytes + 10, 0, 2);
	uint16_t checksum = packet_checksum(bytes, 32, 0);
	bytes[10] = (uint8_t)(checksum >> 8);
	bytes[11] = (uint8_t)checksum;
	m = mbuf_of(bytes, length + 12);
	ck_assert(parse_inner_one(m, IP_V4));
	uint16_t n = cut(m, 200, fragments);

	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(pkt_of(fragments[0])->l4, 32);
	ck_assert_mem_eq(rte_pktmbuf_mtod_offset(fragments[0], void *, 20), options, 12);
	ck_assert_uint_eq(pkt_of(fragments[1])->l4, 24);
	ck_assert_mem_eq(rte_pktmbuf_mtod_offset(fragments[1], void *, 20), options + 8, 4);
	assert_described(fragments[0]);
	assert_described(fragments[1]);
	rte_pktmbuf_free_bulk(fragments, n);
}
END_TEST

START_TEST(more_fragments_than_a_burst_come_in_several)
{
	struct rte_mbuf *fragments[64 * BURST_MAX];
	uint16_t n = cut(packet_mbuf(&(struct packet_spec){.payload_bytes = 1700}), 68, fragments);

	ck_assert_uint_eq(n, (1708 + 47) / 48);
	rte_pktmbuf_free_bulk(fragments, n);

	struct burst oversize = {.n = 0}, out;
	struct frag_cut state = {.from = &oversize};
	unsigned total = 0, bursts = 0;
	for (unsigned i = 0; i < BURST_MAX; i++) {
		burst_add_one(&oversize, packet_mbuf(&(struct packet_spec){.payload_bytes = 192}));
		ck_assert(oversize_is_cut_one(oversize.pkts[i], 100));
	}
	while (frag_fill(&frag, &state, &out, &drops)) {
		total += out.n;
		bursts++;
		rte_pktmbuf_free_bulk(out.pkts, out.n);
	}
	ck_assert_uint_eq(total, BURST_MAX * 3);
	ck_assert_uint_eq(bursts, 3);
}
END_TEST

START_TEST(without_buffers_the_packet_is_dropped_by_name)
{
	static struct rte_mbuf *taken[EAL_POOL_MBUFS];
	struct rte_mbuf *fragments[64 * BURST_MAX];
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.payload_bytes = 1000});
	unsigned n_taken = 0;

	while (n_taken < EAL_POOL_MBUFS - 2)
		taken[n_taken++] = rte_pktmbuf_alloc(eal_pool());
	uint16_t n = cut(m, 300, fragments);

	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(generated, 1);
	ck_assert_uint_eq(drops.count[0][DROP_frag_full], 1);
	rte_pktmbuf_free_bulk(fragments, n);
	rte_pktmbuf_free_bulk(taken, n_taken);
}
END_TEST

/* RFC 8200: only the source cuts; what came in fragments goes on in fragments no longer than it came in. */
START_TEST(who_may_be_cut_is_decided_by_df_source_and_fragments)
{
	struct rte_mbuf *m = packet_mbuf(&(struct packet_spec){.payload_bytes = 1000, .df = true});

	ck_assert(!oversize_is_cut_one(m, 500));
	pkt_of(m)->fragment_bytes = 600;
	ck_assert(!oversize_is_cut_one(m, 500));
	pkt_of(m)->fragment_bytes = 400;
	ck_assert(oversize_is_cut_one(m, 500));
	ck_assert_uint_eq(pkt_of(m)->icmp_mtu, 400);
	rte_pktmbuf_free(m);

	m = packet_mbuf(&(struct packet_spec){.family = IP_V6, .payload_bytes = 1000});
	ck_assert(!oversize_is_cut_one(m, 500));
	pkt_of(m)->flags |= PKT_LOCAL;
	ck_assert(oversize_is_cut_one(m, 500));
	rte_pktmbuf_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fwd/frag");
	TCase *tests = tcase_create("frag");

	tcase_add_checked_fixture(tests, setup, eal_teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, fragments_fit_and_become_the_packet_again);
	tcase_add_test(tests, a_fragment_is_cut_again_with_its_offset_and_more_fragments);
	tcase_add_test(tests, options_are_copied_as_their_flag_says);
	tcase_add_test(tests, more_fragments_than_a_burst_come_in_several);
	tcase_add_test(tests, without_buffers_the_packet_is_dropped_by_name);
	tcase_add_test(tests, who_may_be_cut_is_decided_by_df_source_and_fragments);
	suite_add_tcase(suite, tests);
	return eal_run_suite(suite);
}
