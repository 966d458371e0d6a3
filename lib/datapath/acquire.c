#include "datapath/acquire.h"

#include <errno.h>
#include <stdatomic.h>

#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_ring_elem.h>

#include "net/icmp.h"
#include "net/stage.h"

_Static_assert(sizeof(struct acquire) % sizeof(uint32_t) == 0, "a ring's element is whole words");

struct acquire_policy {
	_Atomic uint64_t due_tsc; /* when it may be told of again; 0: now */
	_Atomic uint32_t suppressed;
	bool tells_sender;
};

struct acquire_table {
	struct rte_ring *events;
	uint64_t interval_tsc;
	struct acquire_policy policies[];
};

/* Without a name, which would have to differ from that of the snapshot before. */
static struct rte_ring *events_create(int socket)
{
	ssize_t bytes = rte_ring_get_memsize_elem(sizeof(struct acquire), ACQUIRE_QUEUE);
	struct rte_ring *ring = rte_malloc_socket("acquires", (size_t)bytes, RTE_CACHE_LINE_SIZE, socket);

	if (ring)
		rte_ring_init(ring, "acquires", ACQUIRE_QUEUE, RING_F_SC_DEQ);
	return ring;
}

int acquire_table_create(size_t n_policies, int socket, struct acquire_table **out, struct err *err)
{
	struct acquire_table *table = rte_zmalloc_socket("acquire",
		sizeof(*table) + n_policies * sizeof(table->policies[0]), RTE_CACHE_LINE_SIZE, socket);

	if (table)
		table->events = events_create(socket);
	if (!table || !table->events) {
		acquire_table_destroy(table);
		return err_set(err, ENOMEM, "no memory for policies without an SA");
	}
	table->interval_tsc = ACQUIRE_INTERVAL_S * rte_get_tsc_hz();
	*out = table;
	return 0;
}

void acquire_table_destroy(struct acquire_table *table)
{
	if (!table)
		return;
	rte_free(table->events);
	rte_free(table);
}

void acquire_tell_senders(struct acquire_table *table, size_t policy)
{
	table->policies[policy].tells_sender = true;
}

/* Is it this packet that tells of the policy? Of several workers' one. */
static bool is_due(const struct acquire_table *table, struct acquire_policy *policy, uint64_t now_tsc)
{
	uint64_t due_tsc = atomic_load_explicit(&policy->due_tsc, memory_order_relaxed);

	return now_tsc >= due_tsc &&
	       atomic_compare_exchange_strong_explicit(&policy->due_tsc, &due_tsc,
		       now_tsc + table->interval_tsc, memory_order_relaxed, memory_order_relaxed);
}

static void post_one(struct acquire_table *table, struct rte_mbuf *m, uint64_t now_tsc)
{
	struct acquire_policy *policy = &table->policies[pkt_of(m)->policy];
	struct acquire event;

	if (is_due(table, policy, now_tsc)) {
		event = (struct acquire){
			.flow = pkt_flow(m),
			.policy = pkt_of(m)->policy,
			.suppressed = atomic_load_explicit(&policy->suppressed, memory_order_relaxed),
		};
		if (rte_ring_enqueue_elem(table->events, &event, sizeof(event)) == 0) {
			atomic_fetch_sub_explicit(
				&policy->suppressed, event.suppressed, memory_order_relaxed);
			return;
		}
		atomic_store_explicit(&policy->due_tsc, 0, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&policy->suppressed, 1, memory_order_relaxed);
}

void acquire_burst(struct burst *burst, struct acquire_table *table, uint64_t now_tsc, struct burst *refused,
	struct drops *drops)
{
	STAGE(acquire, burst, drops, refused);

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		post_one(table, m, now_tsc);
		if (table->policies[pkt_of(m)->policy].tells_sender) {
			icmp_set_prohibited_one(m);
			burst_add_one(refused, m);
		} else {
			drop_one(drops, m, DROP_out_no_sa);
		}
	}
	burst->n = 0;
}

bool acquire_take(struct acquire_table *table, struct acquire *acquire)
{
	return rte_ring_dequeue_elem(table->events, acquire, sizeof(*acquire)) == 0;
}

uint32_t acquire_waiting(const struct acquire_table *table)
{
	return rte_ring_count(table->events);
}
