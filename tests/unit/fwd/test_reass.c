#include "fwd/reass.h"

#include "net/parse.h"
#include "support/eal.h"
#include "support/packet.h"
#include "support/sanitizer.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_byteorder.h>
#include <rte_cycles.h>
#include <rte_random.h>

#define PKTS 512 /* fragments that may wait */

#define PROTOCOL      253 /* without a header that anybody reads (RFC 3692) */
#define PAYLOAD_MAX   66000
#define DATAGRAMS     6 /* of the random test, at the same time */
#define RANDOM_ROUNDS 1000
#define FLOOD         ASAN_ROUNDS(10000)
#define LARGE_BUFFERS 8
#define SHARE         4 /* of what may be held, that one source may hold */

static struct reass *reass;
static struct rte_mempool *large;
static struct drops drops;
static uint64_t now_tsc;

static void reass_begin(uint32_t pkts_max)
{
	struct reass_conf conf = {.pkts_max = pkts_max, .large = large, .socket = SOCKET_ID_ANY};
	struct err err;

	ck_assert_int_eq(reass_create(&conf, &reass, &err), 0);
}

static void setup(void)
{
	eal_setup();
	large = rte_mempool_lookup("test-large");
	if (!large)
		large = rte_pktmbuf_pool_create(
			"test-large", LARGE_BUFFERS, 0, sizeof(struct pkt), UINT16_MAX, SOCKET_ID_ANY);
	ck_assert_ptr_nonnull(large);
	drops = (struct drops){0};
	now_tsc = rte_get_tsc_hz();
	reass_begin(PKTS);
}

static void teardown(void)
{
	reass_drop_all(reass, DROP_shutdown, &drops);
	ck_assert_uint_eq(reass_counters(reass)->held, 0);
	reass_destroy(reass);
	ck_assert_uint_eq(rte_mempool_in_use_count(large), 0);
	eal_teardown();
}

struct cut {
	uint8_t family;
	uint32_t id;
	uint32_t offset;
	uint32_t bytes;
	bool more;
	const char *source;
	bool df;
	uint8_t ecn;
};

/* A fragment with these bytes of `payload`, which is the whole packet's. */
static struct rte_mbuf *cut_mbuf(const struct cut *cut, const uint8_t *payload)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct packet_spec spec = {
		.family = cut->family,
		.source = cut->source,
		.destination = cut->source ? "10.2.0.1" : NULL,
		.protocol = PROTOCOL,
		.payload_bytes = (uint16_t)cut->bytes,
		.more_fragments = cut->more,
		.fragment_offset_bytes = (uint16_t)cut->offset,
		.id = cut->id,
		.df = cut->df,
		.traffic_class = cut->ecn,
	};
	size_t length = packet_build(&spec, bytes);

	memcpy(bytes + length - cut->bytes, payload + cut->offset, cut->bytes);
	struct rte_mbuf *m = mbuf_of(bytes, length);
	ck_assert(parse_inner_one(m, cut->family == IP_V6 ? IP_V6 : IP_V4));
	ck_assert(pkt_of(m)->flags & PKT_FRAGMENT);
	return m;
}

/* One packet alone; what is whole of it now, or NULL. */
static struct rte_mbuf *give(struct rte_mbuf *m)
{
	struct burst burst = {.n = 1, .seen = pkt_of(m)->flags, .pkts = {m}};

	now_tsc++;
	reass_burst(reass, &burst, NULL, now_tsc, &drops);
	return burst.n ? burst.pkts[0] : NULL;
}

static uint64_t dropped(enum drop_reason reason)
{
	return drops.count[0][reason];
}

static const uint8_t *counting(void)
{
	static uint8_t bytes[PAYLOAD_MAX];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i ^ i >> 8);
	return bytes;
}

static struct rte_mbuf *give_cut(struct cut cut)
{
	if (cut.family == 0)
		cut.family = IP_V4;
	return give(cut_mbuf(&cut, counting()));
}

static size_t header_of(struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V4 ? 20 : 40;
}

/* A well-formed packet, no fragment, with that payload. */
static void assert_whole(struct rte_mbuf *m, const uint8_t *payload, uint32_t bytes)
{
	size_t header = header_of(m);

	ck_assert_uint_eq(m->nb_segs, 1);
	ck_assert_uint_eq(pkt_of(m)->flags & (PKT_FRAGMENT | PKT_LATER_FRAGMENT), 0);
	ck_assert_uint_eq(pkt_of(m)->ip_len, header + bytes);
	ck_assert_uint_eq(rte_pktmbuf_data_len(m), header + bytes);
	ck_assert_uint_eq(rte_pktmbuf_pkt_len(m), header + bytes);
	ck_assert_uint_eq(pkt_of(m)->protocol, PROTOCOL);
	if (pkt_of(m)->family == IP_V4) {
		ck_assert_uint_eq(packet_checksum(pkt_ipv4(m), 20, 0), 0);
		ck_assert_uint_eq(rte_be_to_cpu_16(pkt_ipv4(m)->total_length), header + bytes);
	} else {
		ck_assert_uint_eq(rte_be_to_cpu_16(pkt_ipv6(m)->payload_len), bytes);
		ck_assert_uint_eq(pkt_ipv6(m)->proto, PROTOCOL);
	}
	ck_assert(memcmp(rte_pktmbuf_mtod_offset(m, uint8_t *, header), payload, bytes) == 0);
	rte_pktmbuf_free(m);
}

/*
 * The model: a packet is a map of bytes that have come. It remembers each fragment that it took, and looks at
 * every byte.
 */
struct model {
	uint8_t family;
	uint32_t id;
	uint8_t payload[PAYLOAD_MAX];
	bool has[PAYLOAD_MAX];
	struct cut taken[REASS_FRAGMENTS_MAX];
	unsigned n;
	uint32_t end; /* 0: not known */
	bool spoiled;
	/* What is sent of it, in this order. */
	struct cut cuts[3 * REASS_FRAGMENTS_MAX];
	unsigned n_cuts, next;
};

static bool model_has_any(const struct model *model, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		if (model->has[i])
			return true;
	return false;
}

static bool model_is_duplicate(const struct model *model, const struct cut *cut)
{
	for (unsigned i = 0; i < model->n; i++)
		if (model->taken[i].offset == cut->offset && model->taken[i].bytes == cut->bytes)
			return true; // all fragments are of one payload, so their bytes are the same
	return false;
}

/* DROP_COUNT where it is taken. */
static enum drop_reason model_take(struct model *model, const struct cut *cut)
{
	uint32_t end = cut->offset + cut->bytes;

	if (model->spoiled)
		return DROP_frag_overlap;
	if (model->family == IP_V4 && model_is_duplicate(model, cut))
		return DROP_frag_duplicate;
	model->spoiled = true;
	if (model_has_any(model, cut->offset, end))
		return DROP_frag_overlap;
	if (!cut->more && (model_has_any(model, end, PAYLOAD_MAX) || (model->end && model->end != end)))
		return DROP_frag_bad;
	if (cut->more && model->end && end > model->end)
		return DROP_frag_bad;
	if (model->n == REASS_FRAGMENTS_MAX)
		return DROP_frag_full;
	model->spoiled = false;
	model->taken[model->n++] = *cut;
	memset(&model->has[cut->offset], true, cut->bytes);
	if (!cut->more)
		model->end = end;
	return DROP_COUNT;
}

static bool model_is_whole(const struct model *model)
{
	for (uint32_t i = 0; i < model->end; i++)
		if (!model->has[i])
			return false;
	return model->end > 0 && !model->spoiled;
}

static uint32_t random_to(uint32_t first, uint32_t last)
{
	return first + (uint32_t)rte_rand_max(last - first + 1);
}

static void cuts_shuffle(struct model *model)
{
	for (unsigned i = model->n_cuts; i > 1; i--) {
		unsigned j = random_to(0, i - 1);
		struct cut other = model->cuts[j];

		model->cuts[j] = model->cuts[i - 1];
		model->cuts[i - 1] = other;
	}
}

/* A packet cut at random; now and then with a fragment twice, or one that overlaps or has a wrong end. */
static void model_begin(struct model *model, uint32_t id)
{
	uint32_t bytes = random_to(16, rte_rand_max(8) ? 1800 : 60000);
	uint32_t unit_max = bytes > 2000 ? 180 : 40;

	memset(model, 0, sizeof(*model));
	model->family = rte_rand_max(2) ? IP_V4 : IP_V6;
	model->id = id;
	for (uint32_t i = 0; i < bytes; i++)
		model->payload[i] = (uint8_t)rte_rand();
	for (uint32_t at = 0; at < bytes && model->n_cuts < 2 * REASS_FRAGMENTS_MAX;) {
		uint32_t part = 8 * random_to(bytes > 2000 ? 60 : 1, unit_max);
		// The first is not all of it, which would be no fragment.
		part = RTE_MIN(part, at == 0 ? (bytes - 1) / 8 * 8 : bytes - at);

		model->cuts[model->n_cuts++] = (struct cut){.family = model->family,
			.id = id,
			.offset = at,
			.bytes = part,
			.more = at + part < bytes};
		at += part;
	}
	if (rte_rand_max(3) == 0) {
		struct cut again = model->cuts[random_to(0, model->n_cuts - 1)];

		model->cuts[model->n_cuts++] = again;
	}
	if (rte_rand_max(4) == 0) {
		struct cut cut = {.family = model->family,
			.id = id,
			.offset = 8 * random_to(0, bytes / 8),
			.bytes = 8 * random_to(1, 20),
			.more = true};

		cut.more = rte_rand_max(2);
		if (cut.more || cut.offset) // what is the whole packet is no fragment
			model->cuts[model->n_cuts++] = cut;
	}
	if (rte_rand_max(4))
		cuts_shuffle(model);
}

/* The next fragment of the model goes through both. */
static void model_step(struct model *model)
{
	const struct cut *cut = &model->cuts[model->next++];
	struct drops before = drops;
	uint64_t held = reass_counters(reass)->held;
	bool was_spoiled = model->spoiled;
	unsigned n = model->n;
	enum drop_reason reason = model_take(model, cut);
	struct rte_mbuf *whole = give(cut_mbuf(cut, model->payload));

	if (reason == DROP_COUNT) {
		ck_assert_uint_eq(drops.total, before.total);
		ck_assert_int_eq(whole != NULL, model_is_whole(model));
		if (whole)
			assert_whole(whole, model->payload, model->end);
		ck_assert_uint_eq(reass_counters(reass)->held, whole ? held - n : held + 1);
		return;
	}
	ck_assert_ptr_null(whole);
	unsigned expected = model->spoiled && !was_spoiled ? n + 1 : 1;
	ck_assert_uint_eq(drops.total - before.total, expected);
	ck_assert_uint_eq(drops.count[0][reason] - before.count[0][reason], expected);
	ck_assert_uint_eq(reass_counters(reass)->held, held + 1 - expected);
}

// FRG-5, FRG-6
START_TEST(random_fragments_become_what_a_map_of_bytes_says)
{
	static struct model models[DATAGRAMS];
	uint32_t id = 0, wholes = 0;

	reass_destroy(reass);
	reass_begin(SHARE * DATAGRAMS * REASS_FRAGMENTS_MAX);
	for (unsigned i = 0; i < DATAGRAMS; i++)
		model_begin(&models[i], id++);
	for (unsigned i = 0; i < RANDOM_ROUNDS * DATAGRAMS; i++) {
		struct model *model = &models[rte_rand_max(DATAGRAMS)];

		model_step(model);
		if (model_is_whole(model)) {
			wholes++;
			model_begin(model, id++);
		} else if (model->next == model->n_cuts) {
			// What will not become whole must not come to stand in the way of the others.
			for (unsigned j = 0; j < DATAGRAMS; j++)
				model_begin(&models[j], id++);
			reass_drop_all(reass, DROP_shutdown, &drops);
		}
	}
	ck_assert_uint_gt(wholes, 20);
}
END_TEST

START_TEST(a_packet_of_64_kb_in_fragments_of_1500_becomes_whole)
{
	for (unsigned family = IP_V4; family != 0; family = family == IP_V4 ? IP_V6 : 0) {
		uint32_t bytes = 65535 - (family == IP_V4 ? 20 : 48), part = 1448;
		struct rte_mbuf *whole = NULL;
		uint64_t merged = reass_counters(reass)->merged;

		for (uint32_t at = 0; at < bytes; at += part) {
			ck_assert_ptr_null(whole);
			whole = give_cut((struct cut){.family = (uint8_t)family,
				.id = 1,
				.offset = at,
				.bytes = RTE_MIN(part, bytes - at),
				.more = at + part < bytes});
		}
		ck_assert_ptr_nonnull(whole);
		ck_assert(pkt_of(whole)->flags & PKT_LARGE);
		ck_assert_uint_eq(reass_counters(reass)->merged - merged, 45);
		assert_whole(whole, counting(), bytes);
	}
}
END_TEST

START_TEST(without_a_large_buffer_a_long_packet_is_dropped_by_name)
{
	struct rte_mbuf *taken[LARGE_BUFFERS];
	uint16_t n = 0;

	while (n < LARGE_BUFFERS)
		taken[n++] = rte_pktmbuf_alloc(large);
	ck_assert_ptr_null(give_cut((struct cut){.bytes = 1400, .more = true}));
	ck_assert_ptr_null(give_cut((struct cut){.offset = 1400, .bytes = 1400}));
	ck_assert_uint_eq(dropped(DROP_frag_full), 2);
	ck_assert_uint_eq(reass_counters(reass)->held, 0);
	rte_pktmbuf_free_bulk(taken, n);
}
END_TEST

START_TEST(packets_that_are_no_fragments_and_those_to_others_are_kept)
{
	static struct local_addrs only;
	struct ip_addr addr;
	struct cut cut = {.family = IP_V4, .bytes = 80, .more = true};
	BURST(burst);

	burst.seen = PKT_FRAGMENT;
	burst_add_one(&burst, packet_mbuf(&(struct packet_spec){0}));
	burst_add_one(&burst, cut_mbuf(&cut, counting()));
	ip_addr_parse("10.1.0.254", &addr);
	local_addrs_add(&only, &addr);
	reass_burst(reass, &burst, &only, now_tsc, &drops);
	ck_assert_uint_eq(burst.n, 2);

	reass_burst(reass, &burst, NULL, now_tsc, &drops);
	ck_assert_uint_eq(burst.n, 1);
	ck_assert_uint_eq(reass_counters(reass)->held, 1);
	rte_pktmbuf_free(burst.pkts[0]);
}
END_TEST

// FRG-5, RFC 5722: nothing of it comes through, also of what comes after.
START_TEST(an_overlap_drops_the_whole_packet)
{
	for (unsigned family = IP_V4; family != 0; family = family == IP_V4 ? IP_V6 : 0) {
		uint64_t before = dropped(DROP_frag_overlap);

		give_cut((struct cut){
			.family = (uint8_t)family, .id = 7, .offset = 0, .bytes = 80, .more = true});
		give_cut((struct cut){
			.family = (uint8_t)family, .id = 7, .offset = 72, .bytes = 80, .more = true});
		ck_assert_uint_eq(dropped(DROP_frag_overlap) - before, 2);
		ck_assert_ptr_null(give_cut((struct cut){
			.family = (uint8_t)family, .id = 7, .offset = 0, .bytes = 80, .more = true}));
		ck_assert_ptr_null(give_cut((struct cut){
			.family = (uint8_t)family, .id = 7, .offset = 80, .bytes = 80, .more = false}));
		ck_assert_uint_eq(dropped(DROP_frag_overlap) - before, 4);
		ck_assert_uint_eq(reass_counters(reass)->held, 0);
	}
}
END_TEST

// FRG-5
START_TEST(an_exact_duplicate_is_tolerated_for_ipv4_alone)
{
	struct rte_mbuf *whole;

	give_cut((struct cut){.family = IP_V4, .bytes = 80, .more = true});
	give_cut((struct cut){.family = IP_V4, .bytes = 80, .more = true});
	ck_assert_uint_eq(dropped(DROP_frag_duplicate), 1);
	whole = give_cut((struct cut){.family = IP_V4, .offset = 80, .bytes = 3});
	ck_assert_ptr_nonnull(whole);
	assert_whole(whole, counting(), 83);

	give_cut((struct cut){.family = IP_V6, .bytes = 80, .more = true});
	give_cut((struct cut){.family = IP_V6, .bytes = 80, .more = true});
	ck_assert_uint_eq(dropped(DROP_frag_overlap), 2);
}
END_TEST

START_TEST(other_bytes_at_the_same_place_are_no_duplicate)
{
	struct cut cut = {.family = IP_V4, .bytes = 80, .more = true};
	uint8_t other[80];

	memset(other, 0xee, sizeof(other));
	give(cut_mbuf(&cut, counting()));
	give(cut_mbuf(&cut, other));
	ck_assert_uint_eq(dropped(DROP_frag_overlap), 2);
}
END_TEST

// FRG-6: in IPv4 the first fragment's options count too, which only the whole shows.
START_TEST(a_packet_above_65535_bytes_is_refused)
{
	uint32_t end = 65535 - 48 + 1; // with the headers that parse does not count

	for (uint32_t at = 0; at < 64000; at += 1000)
		give_cut((struct cut){.family = IP_V6, .offset = at, .bytes = 1000, .more = true});
	ck_assert_ptr_null(give_cut((struct cut){.family = IP_V6, .offset = 64000, .bytes = end - 64000}));
	ck_assert_uint_eq(dropped(DROP_frag_bad), 65);
	ck_assert_uint_eq(reass_counters(reass)->held, 0);
}
END_TEST

START_TEST(a_fragment_whose_length_can_not_be_is_refused)
{
	give_cut((struct cut){.bytes = 81, .more = true});
	give_cut((struct cut){.offset = 80, .bytes = 0, .more = false});
	ck_assert_uint_eq(dropped(DROP_frag_bad), 2);
	ck_assert_uint_eq(reass_counters(reass)->held, 0);
}
END_TEST

START_TEST(one_fragment_more_than_128_is_refused)
{
	for (uint32_t i = 0; i < REASS_FRAGMENTS_MAX; i++)
		ck_assert_ptr_null(give_cut((struct cut){.offset = 8 * i, .bytes = 8, .more = true}));
	ck_assert_uint_eq(reass_counters(reass)->held, REASS_FRAGMENTS_MAX);
	give_cut((struct cut){.offset = 8 * REASS_FRAGMENTS_MAX, .bytes = 8});
	ck_assert_uint_eq(dropped(DROP_frag_full), REASS_FRAGMENTS_MAX + 1);
}
END_TEST

// FRG-6
START_TEST(what_waits_for_too_long_is_dropped_by_family)
{
	uint64_t hz = rte_get_tsc_hz();

	give_cut((struct cut){.family = IP_V6, .bytes = 80, .more = true});
	give_cut((struct cut){.family = IP_V4, .bytes = 80, .more = true});
	reass_expire(reass, now_tsc + 30 * hz, &drops);
	ck_assert_uint_eq(dropped(DROP_frag_timeout), 0);
	reass_expire(reass, now_tsc + 30 * hz + 1, &drops);
	ck_assert_uint_eq(dropped(DROP_frag_timeout), 1);
	reass_expire(reass, now_tsc - 1 + 60 * hz, &drops);
	ck_assert_uint_eq(dropped(DROP_frag_timeout), 1);
	reass_expire(reass, now_tsc + 60 * hz, &drops);
	ck_assert_uint_eq(dropped(DROP_frag_timeout), 2);
	ck_assert_uint_eq(reass_counters(reass)->held, 0);
}
END_TEST

START_TEST(a_source_that_holds_its_share_loses_its_oldest)
{
	enum { SHARE_PKTS = 2 * REASS_FRAGMENTS_MAX };
	struct rte_mbuf *whole;

	give_cut((struct cut){.source = "10.9.9.9", .bytes = 80, .more = true, .id = 1});
	for (uint32_t i = 0; i < SHARE_PKTS; i++)
		give_cut((struct cut){.bytes = 80, .more = true, .id = i});
	ck_assert_uint_eq(drops.total, 0);
	give_cut((struct cut){.bytes = 80, .more = true, .id = SHARE_PKTS});
	ck_assert_uint_eq(dropped(DROP_frag_full), 1);
	ck_assert_uint_eq(reass_counters(reass)->held, SHARE_PKTS + 1);

	// The oldest of all is of another source, and still there; that of this one, 0, is not.
	ck_assert_ptr_null(give_cut((struct cut){.offset = 80, .bytes = 3, .id = 0}));
	whole = give_cut((struct cut){.source = "10.9.9.9", .offset = 80, .bytes = 3, .id = 1});
	ck_assert_ptr_nonnull(whole);
	assert_whole(whole, counting(), 83);
}
END_TEST

/* FRG-6: sources at random, as many as there are addresses. */
START_TEST(under_a_flood_packets_still_become_whole_and_memory_is_bounded)
{
	unsigned wholes = 0;

	for (uint32_t i = 0; i < FLOOD; i++) {
		struct cut cut = {.family = i % 2 ? IP_V4 : IP_V6, .bytes = 80, .more = true, .id = i};
		struct rte_mbuf *m = cut_mbuf(&cut, counting());
		struct rte_mbuf *whole;

		((uint8_t *)(uintptr_t)pkt_source(m))[3] = (uint8_t)rte_rand();
		((uint8_t *)(uintptr_t)pkt_source(m))[2] = (uint8_t)rte_rand();
		give(m);
		ck_assert_uint_le(reass_counters(reass)->held, PKTS);
		if (i % 10 != 0)
			continue;
		give_cut((struct cut){.source = "10.1.0.7", .bytes = 80, .more = true, .id = i});
		for (unsigned other = 0; other < 100; other++) {
			cut.id = ~(i * 100 + other);
			give(cut_mbuf(&cut, counting()));
		}
		whole = give_cut((struct cut){.source = "10.1.0.7", .offset = 80, .bytes = 3, .id = i});
		wholes += whole != NULL;
		rte_pktmbuf_free(whole);
	}
	ck_assert_uint_eq(wholes, FLOOD / 10);
	ck_assert_uint_gt(dropped(DROP_frag_full), 0);
}
END_TEST

/* What came in clear must not complete what came out of a tunnel. */
START_TEST(fragments_of_different_ways_in_are_not_mixed)
{
	struct cut first = {.family = IP_V4, .bytes = 80, .more = true};
	struct cut last = {.family = IP_V4, .offset = 80, .bytes = 8};
	struct rte_mbuf *m = cut_mbuf(&first, counting());

	pkt_of(m)->flags |= PKT_DECAPSULATED;
	pkt_of(m)->sa = (struct sa *)&drops; // any address
	give(m);
	ck_assert_ptr_null(give(cut_mbuf(&last, counting())));
	m = cut_mbuf(&first, counting());
	pkt_of(m)->port_in = 1;
	ck_assert_ptr_null(give(m));
	ck_assert_uint_eq(reass_counters(reass)->held, 3);

	m = cut_mbuf(&last, counting());
	pkt_of(m)->flags |= PKT_DECAPSULATED;
	pkt_of(m)->sa = (struct sa *)&drops;
	m = give(m);
	ck_assert_ptr_nonnull(m);
	ck_assert(pkt_of(m)->flags & PKT_DECAPSULATED);
	ck_assert_ptr_eq(pkt_of(m)->sa, &drops);
	assert_whole(m, counting(), 88);
}
END_TEST

static const struct sa *gone;

static bool is_gone(const struct sa *sa)
{
	return sa == gone;
}

/* Hold a first fragment with that ID, out of that SA or in clear. */
static void hold_of_sa(uint32_t id, struct sa *sa)
{
	struct rte_mbuf *m =
		cut_mbuf(&(struct cut){.family = id % 2 ? IP_V4 : IP_V6, .id = id, .bytes = 80, .more = true},
			counting());

	if (sa)
		pkt_of(m)->flags |= PKT_DECAPSULATED;
	pkt_of(m)->sa = sa;
	ck_assert_ptr_null(give(m));
}

START_TEST(only_fragments_out_of_the_sa_that_is_gone_are_dropped)
{
	static char addresses[2]; // of what could be SAs
	struct sa *stays = (struct sa *)&addresses[0], *leaves = (struct sa *)&addresses[1];

	for (uint32_t id = 0; id < 16; id++)
		hold_of_sa(id, (struct sa *[]){NULL, stays, leaves, stays}[id / 2 % 4]);
	gone = leaves;
	reass_drop_sas(reass, is_gone, DROP_frag_timeout, &drops);

	ck_assert_uint_eq(reass_counters(reass)->held, 12);
	ck_assert_uint_eq(dropped(DROP_frag_timeout), 4);
	gone = stays;
	reass_drop_sas(reass, is_gone, DROP_frag_timeout, &drops);
	ck_assert_uint_eq(reass_counters(reass)->held, 4);
}
END_TEST

/* An SA that comes later may have its address: what was said of the old one's packets must not hold for it.
 */
START_TEST(an_sa_that_is_gone_is_forgotten_with_its_spoiled_packets)
{
	struct cut first = {.family = IP_V4, .bytes = 80, .more = true};
	struct cut overlap = {.family = IP_V4, .offset = 72, .bytes = 80, .more = true};
	struct cut last = {.family = IP_V4, .offset = 80, .bytes = 8};
	struct rte_mbuf *m = NULL;

	gone = (const struct sa *)&drops; // any address
	for (unsigned i = 0; i < 4; i++) {
		m = cut_mbuf((const struct cut *[]){&first, &overlap, &first, &last}[i], counting());
		pkt_of(m)->flags |= PKT_DECAPSULATED;
		pkt_of(m)->sa = (struct sa *)&drops;
		m = give(m);
		if (i == 1)
			reass_drop_sas(reass, is_gone, DROP_frag_timeout, &drops);
	}
	ck_assert_ptr_nonnull(m);
	assert_whole(m, counting(), 88);
}
END_TEST

START_TEST(a_whole_packet_remembers_its_longest_fragment_its_id_and_df)
{
	struct rte_mbuf *m;

	give_cut((struct cut){.id = 9, .bytes = 160, .more = true, .df = true});
	m = give_cut((struct cut){.id = 9, .offset = 160, .bytes = 8});
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(pkt_of(m)->fragment_bytes, 180);
	ck_assert_uint_eq(pkt_ipv4(m)->fragment_offset, RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
	rte_pktmbuf_free(m);

	give_cut((struct cut){.family = IP_V6, .id = 0x12345678, .bytes = 160, .more = true});
	m = give_cut((struct cut){.family = IP_V6, .id = 0x12345678, .offset = 160, .bytes = 8});
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(pkt_of(m)->fragment_bytes, 208);
	ck_assert_uint_eq(pkt_of(m)->fragment_id, rte_cpu_to_be_32(0x12345678));
	rte_pktmbuf_free(m);
}
END_TEST

// RFC 3168 section 5.3
START_TEST(a_mark_of_congestion_on_any_fragment_stays)
{
	struct rte_mbuf *m;

	give_cut((struct cut){.bytes = 80, .more = true, .ecn = 2});
	m = give_cut((struct cut){.offset = 80, .bytes = 8, .ecn = 3});
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(pkt_ipv4(m)->type_of_service, 3);
	assert_whole(m, counting(), 88);

	give_cut((struct cut){.bytes = 80, .more = true, .ecn = 0});
	ck_assert_ptr_null(give_cut((struct cut){.offset = 80, .bytes = 8, .ecn = 3}));
	ck_assert_uint_eq(dropped(DROP_frag_bad), 2);
}
END_TEST

/* Extension headers in front of the fragment header stay in front, and the one behind it is found again. */
START_TEST(extension_headers_around_the_fragment_header_stay)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct packet_spec spec = {.family = IP_V6,
		.source_port = 1000,
		.destination_port = 53,
		.payload_bytes = 72,
		.more_fragments = true};
	size_t length = packet_insert(bytes, packet_build(&spec, bytes), IPPROTO_DSTOPTS, 16);
	struct rte_mbuf *m;

	length = packet_insert(bytes, length, IPPROTO_HOPOPTS, 8);
	m = mbuf_of(bytes, length);
	ck_assert(parse_inner_one(m, IP_V6));
	ck_assert_ptr_null(give(m));
	m = give_cut((struct cut){.family = IP_V6, .offset = 80, .bytes = 8});

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(pkt_of(m)->ip_len, 40 + 8 + 16 + 88);
	ck_assert_uint_eq(pkt_of(m)->l4, 40 + 8 + 16);
	ck_assert_uint_eq(pkt_of(m)->protocol, IPPROTO_UDP);
	ck_assert_uint_eq(pkt_of(m)->destination_port, 53);
	ck_assert(pkt_of(m)->flags & PKT_HAS_PORTS);
	rte_pktmbuf_free(m);
}
END_TEST

// FRG-5: ports that the first fragment does not hold are not looked for in the second (RFC 1858, RFC 7112).
START_TEST(a_first_fragment_too_short_for_ports_does_not_get_past_parse)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct packet_spec spec = {.protocol = PROTOCOL, .payload_bytes = 2, .more_fragments = true};
	size_t length = packet_build(&spec, bytes);
	struct rte_mbuf *m;

	bytes[9] = IPPROTO_UDP;
	memset(bytes + 10, 0, 2);
	uint16_t checksum = packet_checksum(bytes, 20, 0);
	bytes[10] = (uint8_t)(checksum >> 8);
	bytes[11] = (uint8_t)checksum;
	m = mbuf_of(bytes, length);
	ck_assert(!parse_inner_one(m, IP_V4));
	rte_pktmbuf_free(m);
}
END_TEST

// FRG-5, RFC 6946
START_TEST(an_atomic_fragment_is_not_held)
{
	uint8_t bytes[PACKET_BYTES_MAX];
	struct packet_spec spec = {.family = IP_V6, .payload_bytes = 8};
	size_t length = packet_insert(bytes, packet_build(&spec, bytes), IPPROTO_FRAGMENT, 8);
	struct rte_mbuf *m = mbuf_of(bytes, length);

	ck_assert(parse_inner_one(m, IP_V6));
	ck_assert_ptr_eq(give(m), m);
	ck_assert_uint_eq(reass_counters(reass)->held, 0);
	rte_pktmbuf_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fwd/reass");
	TCase *tests = tcase_create("reass");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, random_fragments_become_what_a_map_of_bytes_says);
	tcase_add_test(tests, a_packet_of_64_kb_in_fragments_of_1500_becomes_whole);
	tcase_add_test(tests, without_a_large_buffer_a_long_packet_is_dropped_by_name);
	tcase_add_test(tests, packets_that_are_no_fragments_and_those_to_others_are_kept);
	tcase_add_test(tests, an_overlap_drops_the_whole_packet);
	tcase_add_test(tests, an_exact_duplicate_is_tolerated_for_ipv4_alone);
	tcase_add_test(tests, other_bytes_at_the_same_place_are_no_duplicate);
	tcase_add_test(tests, a_packet_above_65535_bytes_is_refused);
	tcase_add_test(tests, a_fragment_whose_length_can_not_be_is_refused);
	tcase_add_test(tests, one_fragment_more_than_128_is_refused);
	tcase_add_test(tests, what_waits_for_too_long_is_dropped_by_family);
	tcase_add_test(tests, a_source_that_holds_its_share_loses_its_oldest);
	tcase_add_test(tests, under_a_flood_packets_still_become_whole_and_memory_is_bounded);
	tcase_add_test(tests, fragments_of_different_ways_in_are_not_mixed);
	tcase_add_test(tests, only_fragments_out_of_the_sa_that_is_gone_are_dropped);
	tcase_add_test(tests, an_sa_that_is_gone_is_forgotten_with_its_spoiled_packets);
	tcase_add_test(tests, a_whole_packet_remembers_its_longest_fragment_its_id_and_df);
	tcase_add_test(tests, a_mark_of_congestion_on_any_fragment_stays);
	tcase_add_test(tests, extension_headers_around_the_fragment_header_stay);
	tcase_add_test(tests, a_first_fragment_too_short_for_ports_does_not_get_past_parse);
	tcase_add_test(tests, an_atomic_fragment_is_not_held);
	suite_add_tcase(suite, tests);
	return eal_run_suite(suite);
}
