#include "ipsec/replies.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_jhash.h>
#include <rte_malloc.h>
#include <rte_pause.h>
#include <rte_random.h>

#include "base/counter.h"
#include "net/icmp.h"
#include "net/quote.h"
#include "net/stage.h"

#define WAYS      4
#define BUCKETS   (REPLIES_ENTRIES / WAYS)
#define KEY_WORDS 5 /* of 8 bytes: both addresses; the rest */
/* How often a worker looks again at a bucket that another writes; a write is some ten stores. */
#define TRIES_MAX 128
/* What a flow's last packet is noted in, so that each packet does not write. */
#define NOTED_EVERY_S 1

/* The last word of a key: both ports, or an echo's identifier; the protocol; the family. */
#define REST_PROTOCOL_SHIFT 32
#define REST_FAMILY_SHIFT   40
#define REST_HAS_PORTS      (UINT64_C(1) << 48)

/* Of the packet that answers. */
struct key {
	uint64_t words[KEY_WORDS];
};

struct entry {
	_Atomic uint64_t peer; /* REPLIES_PEER_NONE: it was never used */
	_Atomic uint64_t last_tsc;
	_Atomic uint64_t key[KEY_WORDS];
};

/*
 * The version is odd while one worker writes; who reads and sees it odd, or changed, reads again. All of it
 * is atomic, so that a torn read is no undefined one.
 */
struct bucket {
	alignas(RTE_CACHE_LINE_SIZE) _Atomic uint32_t version;
	struct entry entries[WAYS];
};

_Static_assert(sizeof(struct bucket) == WAYS * RTE_CACHE_LINE_SIZE, "REPLIES_ENTRIES says 64 bytes each");

struct counters_of_worker {
	alignas(RTE_CACHE_LINE_SIZE) struct replies_counters counters;
};

struct replies {
	struct bucket *buckets;
	struct counters_of_worker *counters; /* one for each worker, which alone writes it */
	unsigned n_workers;
	uint32_t seed;
	uint64_t age_tsc;
	uint64_t noted_every_tsc;
};

int replies_create(unsigned n_workers, int socket, struct replies **out, struct err *err)
{
	struct replies *replies =
		rte_zmalloc_socket("replies", sizeof(*replies), RTE_CACHE_LINE_SIZE, socket);

	if (replies) {
		replies->buckets = rte_zmalloc_socket(
			"replies_flows", BUCKETS * sizeof(*replies->buckets), RTE_CACHE_LINE_SIZE, socket);
		replies->counters = rte_zmalloc_socket("replies_counters",
			n_workers * sizeof(*replies->counters), RTE_CACHE_LINE_SIZE, socket);
	}
	if (!replies || !replies->buckets || !replies->counters) {
		replies_destroy(replies);
		return err_set(err, ENOMEM, "no memory for the flows of peers");
	}
	replies->n_workers = n_workers;
	replies->seed = (uint32_t)rte_rand();
	replies->age_tsc = REPLIES_AGE_S * rte_get_tsc_hz();
	replies->noted_every_tsc = NOTED_EVERY_S * rte_get_tsc_hz();
	*out = replies;
	return 0;
}

void replies_destroy(struct replies *replies)
{
	if (!replies)
		return;
	rte_free(replies->buckets);
	rte_free(replies->counters);
	rte_free(replies);
}

static bool is_echo(const struct flow *flow)
{
	if (!flow->has_ports)
		return false;
	if (flow->protocol == IPPROTO_ICMP)
		return flow->source_port == ICMPV4_ECHO_REQUEST || flow->source_port == ICMPV4_ECHO_REPLY;
	return flow->protocol == IPPROTO_ICMPV6 &&
	       (flow->source_port == ICMPV6_ECHO_REQUEST || flow->source_port == ICMPV6_ECHO_REPLY);
}

/* What struct flow has as ports, but are none. */
static bool has_types(const struct flow *flow)
{
	return flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6 ||
	       flow->protocol == IPPROTO_MH;
}

static struct key key_make(const struct flow *flow, rte_be16_t echo_id)
{
	uint64_t rest = (uint64_t)flow->protocol << REST_PROTOCOL_SHIFT | (uint64_t)flow->source.family
										  << REST_FAMILY_SHIFT;
	struct key key;

	if (is_echo(flow))
		rest |= REST_HAS_PORTS | (uint32_t)flow->source_port << 16 | echo_id;
	else if (flow->has_ports && !has_types(flow))
		rest |= REST_HAS_PORTS | (uint32_t)flow->source_port << 16 | flow->destination_port;
	memcpy(&key.words[0], flow->source.bytes, sizeof(flow->source.bytes));
	memcpy(&key.words[2], flow->destination.bytes, sizeof(flow->destination.bytes));
	key.words[KEY_WORDS - 1] = rest;
	return key;
}

/* Of a packet whose flow is known to be an echo's. */
static rte_be16_t echo_id_one(struct rte_mbuf *m, const struct flow *flow)
{
	const struct pkt *p = pkt_of(m);
	rte_be16_t id;

	if (!is_echo(flow) || p->ip_len < p->l4 + ICMP_HEADER_BYTES)
		return 0;
	memcpy(&id, rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4 + ICMP_ECHO_ID_AT), sizeof(id));
	return id;
}

/* Later fragments have no ports, and the first would go another way than they. */
static bool has_flow(const struct pkt *p)
{
	return !(p->flags & PKT_FRAGMENT) && !pkt_hides_protocol(p);
}

/* False where the packet begins nothing that could be answered. */
static bool key_inbound_one(struct rte_mbuf *m, struct key *key)
{
	struct flow flow, back;

	if (!has_flow(pkt_of(m)) || icmp_kind_one(m) != ICMP_KIND_NONE)
		return false;
	flow = pkt_flow(m);
	back = flow_reversed(&flow);
	*key = key_make(&back, echo_id_one(m, &flow));
	return true;
}

/* An ICMP error goes to whom the packet came from that it is about. */
static bool key_of_quote_one(struct rte_mbuf *m, struct key *key)
{
	struct quote quote;
	struct flow back;

	if (!quote_read_one(m, &quote) || quote.is_fragment || quote.flow.hides_protocol ||
		!ip_bytes_equal(pkt_of(m)->family, pkt_destination(m), quote.flow.source.bytes))
		return false;
	back = flow_reversed(&quote.flow);
	*key = key_make(&back, quote.echo_id);
	return true;
}

static bool key_outbound_one(struct rte_mbuf *m, struct key *key)
{
	struct flow flow;

	if (!has_flow(pkt_of(m)))
		return false;
	if (icmp_kind_one(m) != ICMP_KIND_NONE)
		return key_of_quote_one(m, key);
	flow = pkt_flow(m);
	*key = key_make(&flow, echo_id_one(m, &flow));
	return true;
}

static struct bucket *bucket_of(const struct replies *replies, const struct key *key)
{
	uint32_t hash = rte_jhash_32b(
		(const uint32_t *)key->words, KEY_WORDS * sizeof(uint64_t) / sizeof(uint32_t), replies->seed);

	return &replies->buckets[hash & (BUCKETS - 1)];
}

/* Loads and stores of the contents are acquire and release, which orders them between those of the version.
 */
static bool entry_is_of(const struct entry *entry, const struct key *key)
{
	for (unsigned i = 0; i < KEY_WORDS; i++)
		if (atomic_load_explicit(&entry->key[i], memory_order_acquire) != key->words[i])
			return false;
	return true;
}

/* Another worker's clock may be a little ahead. */
static bool is_recent(uint64_t last_tsc, uint64_t now_tsc, uint64_t within_tsc)
{
	return (int64_t)(now_tsc - last_tsc) < (int64_t)within_tsc;
}

/* What is known of a flow. */
struct known {
	struct entry *entry; /* NULL: nothing */
	uint64_t peer;
	uint64_t last_tsc;
};

static struct known bucket_look(struct bucket *bucket, const struct key *key)
{
	for (unsigned way = 0; way < WAYS; way++) {
		struct entry *entry = &bucket->entries[way];
		struct known known = {
			.entry = entry,
			.peer = atomic_load_explicit(&entry->peer, memory_order_acquire),
			.last_tsc = atomic_load_explicit(&entry->last_tsc, memory_order_acquire),
		};

		if (known.peer != REPLIES_PEER_NONE && entry_is_of(entry, key))
			return known;
	}
	return (struct known){0};
}

/* Nothing also where others keep on writing. */
static struct known flow_look(struct bucket *bucket, const struct key *key)
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		uint32_t before = atomic_load_explicit(&bucket->version, memory_order_acquire);
		struct known known = bucket_look(bucket, key);
		uint32_t after = atomic_load_explicit(&bucket->version, memory_order_relaxed);

		if (before == after && before % 2 == 0)
			return known;
		rte_pause();
	}
	return (struct known){0};
}

/* False where others keep on writing. */
static bool bucket_take(struct bucket *bucket)
{
	for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
		uint32_t version = atomic_load_explicit(&bucket->version, memory_order_relaxed);

		if (version % 2 == 0 && atomic_compare_exchange_strong_explicit(&bucket->version, &version,
						version + 1, memory_order_acquire, memory_order_relaxed))
			return true;
		rte_pause();
	}
	return false;
}

static void bucket_give(struct bucket *bucket)
{
	uint32_t version = atomic_load_explicit(&bucket->version, memory_order_relaxed);

	atomic_store_explicit(&bucket->version, version + 1, memory_order_release);
}

/* An entry that was never used, or else the one whose flow is silent for longest. */
static struct entry *victim_choose(struct bucket *bucket)
{
	struct entry *oldest = &bucket->entries[0];

	for (unsigned way = 0; way < WAYS; way++) {
		struct entry *entry = &bucket->entries[way];

		if (atomic_load_explicit(&entry->peer, memory_order_relaxed) == REPLIES_PEER_NONE)
			return entry;
		if ((int64_t)(atomic_load_explicit(&entry->last_tsc, memory_order_relaxed) -
			      atomic_load_explicit(&oldest->last_tsc, memory_order_relaxed)) < 0)
			oldest = entry;
	}
	return oldest;
}

/* Put the flow in the place of another. The bucket is taken. */
static struct entry *entry_begin(const struct replies *replies, struct bucket *bucket, const struct key *key,
	const struct sa_tally *tally)
{
	struct replies_counters *counters = &replies->counters[tally->worker].counters;
	struct entry *entry = victim_choose(bucket);

	if (atomic_load_explicit(&entry->peer, memory_order_relaxed) == REPLIES_PEER_NONE)
		counters->used++;
	else if (is_recent(atomic_load_explicit(&entry->last_tsc, memory_order_relaxed), tally->now_tsc,
			 replies->age_tsc))
		counters->pushed_out++;
	for (unsigned i = 0; i < KEY_WORDS; i++)
		atomic_store_explicit(&entry->key[i], key->words[i], memory_order_release);
	return entry;
}

static void flow_write(const struct replies *replies, struct bucket *bucket, const struct key *key,
	uint64_t peer, const struct sa_tally *tally)
{
	struct replies_counters *counters = &replies->counters[tally->worker].counters;
	struct entry *entry;

	if (!bucket_take(bucket)) {
		counters->skipped++;
		return;
	}
	/* Another worker may have begun the same flow since we looked. */
	entry = bucket_look(bucket, key).entry;
	if (!entry)
		entry = entry_begin(replies, bucket, key, tally);
	else if (atomic_load_explicit(&entry->peer, memory_order_relaxed) != peer)
		counters->moved++;
	atomic_store_explicit(&entry->peer, peer, memory_order_release);
	atomic_store_explicit(&entry->last_tsc, tally->now_tsc, memory_order_release);
	bucket_give(bucket);
}

static void note_one(const struct replies *replies, struct rte_mbuf *m, const struct sa_tally *tally)
{
	uint64_t peer = pkt_of(m)->sa->peer;
	struct bucket *bucket;
	struct known known;
	struct key key;

	if (!key_inbound_one(m, &key))
		return;
	bucket = bucket_of(replies, &key);
	known = flow_look(bucket, &key);
	if (known.peer == peer && is_recent(known.last_tsc, tally->now_tsc, replies->noted_every_tsc))
		return;
	flow_write(replies, bucket, &key, peer, tally);
}

void replies_note(struct burst *burst, struct replies *replies, const struct sa_tally *tally)
{
	STAGE(replies, burst, tally->drops);

	for (uint16_t i = 0; i < burst->n; i++) {
		const struct sa *sa = pkt_of(burst->pkts[i])->sa;

		if (atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_OF_PEER)
			note_one(replies, burst->pkts[i], tally);
	}
}

uint64_t replies_find_one(const struct replies *replies, struct rte_mbuf *m, uint64_t now_tsc)
{
	struct known known;
	struct key key;

	if (!key_outbound_one(m, &key))
		return REPLIES_PEER_NONE;
	known = flow_look(bucket_of(replies, &key), &key);
	if (!known.entry || !is_recent(known.last_tsc, now_tsc, replies->age_tsc))
		return REPLIES_PEER_NONE;
	return known.peer;
}

void replies_count(const struct replies *replies, struct replies_counters *sum)
{
	*sum = (struct replies_counters){0};
	for (unsigned worker = 0; worker < replies->n_workers; worker++) {
		const struct replies_counters *counters = &replies->counters[worker].counters;

		sum->used += counter_read(&counters->used);
		sum->moved += counter_read(&counters->moved);
		sum->pushed_out += counter_read(&counters->pushed_out);
		sum->skipped += counter_read(&counters->skipped);
	}
}
