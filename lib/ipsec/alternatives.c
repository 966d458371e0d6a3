#include "ipsec/alternatives.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

#include <rte_malloc.h>

#include "net/rewrite.h"
#include "net/stage.h"

#define CLASS_DSCP_SHIFT 2

struct entry {
	struct alternative is;
	/*
	 * `after` has accepted a packet, or there is none. Workers set it, and it stays: the SA's window,
	 * which its packets write, is read only until then.
	 */
	atomic_bool started;
};

/* Of one policy. */
struct range {
	uint32_t first;
	uint32_t n;
};

struct alternatives {
	bool reads_packets;
	bool reads_peers;
	uint32_t n_policies;
	uint32_t n_entries;
	uint32_t capacity;
	struct entry *entries;
	struct range ranges[]; /* one for each policy */
};

int alternatives_create(
	size_t n_policies, size_t n_alternatives, int socket, struct alternatives **out, struct err *err)
{
	struct alternatives *alternatives = rte_zmalloc_socket("alternatives",
		sizeof(*alternatives) + n_policies * sizeof(alternatives->ranges[0]), RTE_CACHE_LINE_SIZE,
		socket);

	if (alternatives)
		alternatives->entries = rte_zmalloc_socket("alternative",
			(n_alternatives + 1) * sizeof(alternatives->entries[0]), RTE_CACHE_LINE_SIZE, socket);
	if (!alternatives || !alternatives->entries) {
		alternatives_destroy(alternatives);
		return err_set(err, ENOMEM, "policies: no memory for %zu alternatives", n_alternatives);
	}
	alternatives->n_policies = (uint32_t)n_policies;
	alternatives->capacity = (uint32_t)n_alternatives;
	*out = alternatives;
	return 0;
}

void alternatives_destroy(struct alternatives *alternatives)
{
	if (!alternatives)
		return;
	rte_free(alternatives->entries);
	rte_free(alternatives);
}

/* Does it depend on more than the flow and the worker? */
static bool entry_reads_packets(const struct entry *entry)
{
	return entry->is.dscps != ALTERNATIVE_ANY || entry->is.after || entry->is.peer != ALTERNATIVE_ANY;
}

void alternatives_add(
	struct alternatives *alternatives, uint32_t policy, const struct alternative *alternative)
{
	struct range *range = &alternatives->ranges[policy];
	struct entry *entry = &alternatives->entries[alternatives->n_entries];

	assert(policy < alternatives->n_policies && alternatives->n_entries < alternatives->capacity);
	if (range->n == 0)
		range->first = alternatives->n_entries;
	assert(range->first + range->n == alternatives->n_entries);
	entry->is = *alternative;
	atomic_init(&entry->started, !alternative->after);
	alternatives->reads_packets |= entry_reads_packets(entry);
	alternatives->reads_peers |= alternative->peer != ALTERNATIVE_ANY;
	alternatives->n_entries++;
	range->n++;
}

static inline bool entry_is_of_worker(const struct entry *entry, unsigned worker)
{
	return (entry->is.workers >> worker & 1) != 0;
}

struct sa *alternatives_worker_sa(const struct alternatives *alternatives, uint32_t policy, unsigned worker)
{
	const struct range range = alternatives ? alternatives->ranges[policy] : (struct range){0};

	for (uint32_t i = range.first; i < range.first + range.n; i++) {
		const struct entry *entry = &alternatives->entries[i];

		if (entry_is_of_worker(entry, worker) && !entry_reads_packets(entry))
			return entry->is.sa;
	}
	return NULL;
}

bool alternatives_read_packets(const struct alternatives *alternatives)
{
	return alternatives && alternatives->reads_packets;
}

bool alternatives_read_peers(const struct alternatives *alternatives)
{
	return alternatives && alternatives->reads_peers;
}

bool alternatives_any(const struct alternatives *alternatives, uint32_t policy)
{
	return alternatives && alternatives->ranges[policy].n > 0;
}

bool alternatives_ask_peer(const struct alternatives *alternatives, uint32_t policy)
{
	const struct range range = alternatives ? alternatives->ranges[policy] : (struct range){0};

	for (uint32_t i = range.first; i < range.first + range.n; i++)
		if (alternatives->entries[i].is.peer != ALTERNATIVE_ANY)
			return true;
	return false;
}

const struct sa *alternatives_peer_sa(const struct alternatives *alternatives, uint32_t policy, uint64_t peer)
{
	const struct range range = alternatives ? alternatives->ranges[policy] : (struct range){0};

	for (uint32_t i = range.first; i < range.first + range.n; i++)
		if (alternatives->entries[i].is.peer == peer)
			return alternatives->entries[i].is.sa;
	return NULL;
}

static inline bool is_started(struct entry *entry)
{
	if (atomic_load_explicit(&entry->started, memory_order_relaxed))
		return true;
	if (replay_highest(entry->is.after->replay) == 0)
		return false;
	atomic_store_explicit(&entry->started, true, memory_order_relaxed);
	return true;
}

/* What alternatives ask of a packet. */
struct asked {
	struct rte_mbuf *m;
	const struct replies *replies;
	const struct sa_tally *tally;
	unsigned dscp;
	bool knows_peer; /* the next was looked up, once for all alternatives */
	uint64_t peer;
};

static inline bool is_for_peer(const struct entry *entry, struct asked *asked)
{
	if (entry->is.peer == ALTERNATIVE_ANY)
		return true;
	if (!asked->knows_peer) {
		asked->peer = replies_find_one(asked->replies, asked->m, asked->tally->now_tsc);
		asked->knows_peer = true;
	}
	return asked->peer != REPLIES_PEER_NONE && entry->is.peer == asked->peer;
}

/* NULL where the policy's own SA is left. */
static const struct alternative *choose_one(struct rte_mbuf *m, struct alternatives *alternatives,
	const struct replies *replies, const struct sa_tally *tally)
{
	const struct range range = alternatives->ranges[pkt_of(m)->policy];
	struct asked asked = {
		.m = m,
		.replies = replies,
		.tally = tally,
		.dscp = traffic_class_get_one(m) >> CLASS_DSCP_SHIFT,
	};

	for (uint32_t i = range.first; i < range.first + range.n; i++) {
		struct entry *entry = &alternatives->entries[i];

		if ((entry->is.dscps >> asked.dscp & 1) && entry_is_of_worker(entry, tally->worker) &&
			is_for_peer(entry, &asked) && is_started(entry))
			return &entry->is;
	}
	return NULL;
}

static void take_one(struct pkt *p, const struct alternative *chosen)
{
	sa_prefetch(chosen->sa);
	p->sa = chosen->sa;
	p->next_hop = chosen->next_hop;
	p->port_out = chosen->port_out;
}

void alternatives_choose(struct burst *burst, struct alternatives *alternatives,
	const struct replies *replies, const struct sa_tally *tally)
{
	STAGE(alternatives, burst, tally->drops);

	for (uint16_t i = 0; i < burst->n; i++) {
		const struct alternative *chosen = choose_one(burst->pkts[i], alternatives, replies, tally);

		if (chosen)
			take_one(pkt_of(burst->pkts[i]), chosen);
	}
}

void alternatives_choose_only(struct burst *burst, struct alternatives *alternatives,
	const struct replies *replies, struct burst *protect, const struct sa_tally *tally)
{
	STAGE(alternatives, burst, tally->drops, protect);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct alternative *chosen;

		if (!alternatives_any(alternatives, pkt_of(m)->policy)) {
			burst->pkts[kept++] = m;
			continue;
		}
		chosen = choose_one(m, alternatives, replies, tally);
		if (chosen) {
			take_one(pkt_of(m), chosen);
			burst_add_one(protect, m);
		} else {
			drop_one(tally->drops, m, DROP_out_no_alternative);
		}
	}
	burst->n = kept;
}

bool alternatives_have(const struct alternatives *alternatives, uint32_t policy, const struct sa *sa)
{
	const struct range range = alternatives ? alternatives->ranges[policy] : (struct range){0};

	for (uint32_t i = range.first; i < range.first + range.n; i++)
		if (alternatives->entries[i].is.sa == sa)
			return true;
	return false;
}
