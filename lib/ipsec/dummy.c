#include "ipsec/dummy.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_random.h>

/* The next header is the last byte before the ICV, RFC 4303 section 2. */
#define NEXT_HEADER_FROM_ICV 1

/* Half to one and a half of the interval from when it was due: its mean is the interval. */
static void schedule_next(struct dummy_schedule *schedule, uint64_t now_tsc)
{
	uint64_t half = schedule->interval_tsc / 2;
	uint64_t next_tsc = schedule->next_tsc + half + rte_rand_max(2 * half + 1);

	/* What could not be sent in time is not sent in a burst later. */
	schedule->next_tsc = next_tsc > now_tsc ? next_tsc : now_tsc + schedule->interval_tsc;
}

static struct rte_mbuf *dummy_one(struct rte_mempool *packets, struct sa *sa)
{
	uint16_t longest = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
	struct rte_mbuf *m;
	uint16_t bytes;

	if (longest < DUMMY_BYTES_MIN || !(m = rte_pktmbuf_alloc(packets)))
		return NULL;
	bytes = (uint16_t)(DUMMY_BYTES_MIN + rte_rand_max(longest - DUMMY_BYTES_MIN + 1u));
	bytes = RTE_MIN(bytes, rte_pktmbuf_tailroom(m) - ESP_ICV_BYTES_MAX - UINT8_MAX);
	memset(rte_pktmbuf_append(m, bytes), 0, bytes);
	*pkt_of(m) = (struct pkt){
		.flags = PKT_LOCAL,
		.port_in = PKT_PORT_SELF,
		.family = sa->family,
		.protocol = IPPROTO_NONE,
		.ip_len = bytes,
		.sa = sa,
	};
	return m;
}

/* The SA's dummy if one is due. */
static void look_at_one(struct rte_mempool *packets, struct sa *sa, uint64_t now_tsc, struct burst *burst)
{
	struct dummy_schedule *schedule = &sa->dummy;
	struct rte_mbuf *m;

	if (now_tsc < schedule->next_tsc ||
		atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_ENDED)
		return;
	schedule_next(schedule, now_tsc);
	m = dummy_one(packets, sa);
	if (m)
		burst_add_one(burst, m);
}

void dummy_make(struct dummy_maker *maker, const struct dummy_list *list, unsigned worker, unsigned n_workers,
	uint64_t now_tsc, struct burst *burst)
{
	for (unsigned looks = 0; looks < DUMMY_LOOKS; looks++) {
		/* The list may be another than the last time. */
		if (maker->next % n_workers != worker || maker->next >= list->n)
			maker->next = worker;
		if (maker->next >= list->n)
			return;
		look_at_one(maker->packets, list->sas[maker->next], now_tsc, burst);
		maker->next += n_workers;
		if (maker->next >= list->n)
			return;
	}
}

void dummy_mark(struct burst *burst)
{
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct pkt *p = pkt_of(m);

		*rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset - NEXT_HEADER_FROM_ICV) = IPPROTO_NONE;
		p->flags |= PKT_DUMMY;
	}
}
