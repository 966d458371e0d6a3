#include "control/usage.h"

#include <stdio.h>

#include <rte_mempool.h>
#include <rte_ring.h>

#include "base/counter.h"
#include "ipsec/replies.h"
#include "ipsec/sad.h"

static void add(struct usage *out, size_t *n, const char *name, uint64_t used, uint64_t capacity)
{
	struct usage *usage = &out[(*n)++];

	snprintf(usage->name, sizeof(usage->name), "%s", name);
	usage->used = used;
	usage->capacity = capacity;
}

static void add_of_worker(
	struct usage *out, size_t *n, const char *name, unsigned worker, uint64_t used, uint64_t capacity)
{
	char text[USAGE_NAME_MAX];

	snprintf(text, sizeof(text), "%s%u", name, worker);
	add(out, n, text, used, capacity);
}

static void add_ring(struct usage *out, size_t *n, const char *name, const struct rte_ring *ring)
{
	add(out, n, name, rte_ring_count(ring), rte_ring_get_capacity(ring));
}

static void add_worker(struct usage *out, size_t *n, const struct worker *w)
{
	add_of_worker(out, n, "reassembly", w->index, counter_read(&reass_counters(w->reass)->held),
		reass_capacity(w->reass));
	add_of_worker(out, n, "from_control", w->index, rte_ring_count(w->host.from_control),
		rte_ring_get_capacity(w->host.from_control));
}

size_t usage_of_tables(const struct control *control, struct usage out[USAGE_MAX])
{
	const struct snapshot *snapshot = control->snapshot;
	size_t n = 0;

	add(out, &n, "sad_in", sad_count(control->sad), sad_capacity(control->sad));
	add(out, &n, "sad_out", sad_count(control->sad_out), sad_capacity(control->sad_out));
	add(out, &n, "neighbours", neigh_count(control->neighbours), neigh_capacity(control->neighbours));
	add(out, &n, "held", counter_read(&control->counters.held),
		neigh_held_max(control->ports.packets->size));
	add_ring(out, &n, "to_control", control->to_control);
	if (control->to_host)
		add_ring(out, &n, "to_host", control->to_host);
	if (control->replies) {
		struct replies_counters replies;

		replies_count(control->replies, &replies);
		add(out, &n, "replies", replies.used, REPLIES_ENTRIES);
	}
	if (snapshot->acquires)
		add(out, &n, "acquires", acquire_waiting(snapshot->acquires),
			ACQUIRE_QUEUE - 1); /* a ring holds one less */
	for (unsigned i = 0; i < control->n_workers; i++)
		add_worker(out, &n, control->workers[i]);
	return n;
}

static void add_pool(struct usage *out, size_t *n, const char *name, const struct rte_mempool *pool)
{
	if (pool)
		add(out, n, name, rte_mempool_in_use_count(pool), pool->size);
}

size_t usage_of_pools(const struct control *control, struct usage out[USAGE_MAX])
{
	size_t n = 0;

	add_pool(out, &n, "packets", control->ports.packets);
	add_pool(out, &n, "large", control->ports.large);
	return n;
}
