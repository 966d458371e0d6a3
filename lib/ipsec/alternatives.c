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
	return entry->is.dscps != ALTERNATIVE_ANY || entry->is.after;
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

static inline bool is_started(struct entry *entry)
{
	if (atomic_load_explicit(&entry->started, memory_order_relaxed))
		return true;
	if (replay_highest(entry->is.after->replay) == 0)
		return false;
	atomic_store_explicit(&entry->started, true, memory_order_relaxed);
	return true;
}

/* NULL where the policy's own SA is left. */
static const struct alternative *choose_one(
	struct rte_mbuf *m, struct alternatives *alternatives, unsigned worker)
{
	const struct range range = alternatives->ranges[pkt_of(m)->policy];
	unsigned dscp = traffic_class_get_one(m) >> CLASS_DSCP_SHIFT;

	for (uint32_t i = range.first; i < range.first + range.n; i++) {
		struct entry *entry = &alternatives->entries[i];

		if ((entry->is.dscps >> dscp & 1) && entry_is_of_worker(entry, worker) && is_started(entry))
			return &entry->is;
	}
	return NULL;
}

void alternatives_choose(struct burst *burst, struct alternatives *alternatives, const struct sa_tally *tally)
{
	STAGE(alternatives, burst, tally->drops);

	for (uint16_t i = 0; i < burst->n; i++) {
		const struct alternative *chosen = choose_one(burst->pkts[i], alternatives, tally->worker);
		struct pkt *p = pkt_of(burst->pkts[i]);

		if (!chosen)
			continue;
		sa_prefetch(chosen->sa);
		p->sa = chosen->sa;
		p->next_hop = chosen->next_hop;
		p->port_out = chosen->port_out;
	}
}

bool alternatives_have(const struct alternatives *alternatives, uint32_t policy, const struct sa *sa)
{
	const struct range range = alternatives ? alternatives->ranges[policy] : (struct range){0};

	for (uint32_t i = range.first; i < range.first + range.n; i++)
		if (alternatives->entries[i].is.sa == sa)
			return true;
	return false;
}
