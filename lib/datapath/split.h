/*
 * How the pipeline parts a burst: by a test of each packet.
 *
 * Workers only; for pipeline.c, which names the test where it splits. A test reads the packet and the
 * snapshot, and no more.
 */
#ifndef CULVERT_DATAPATH_SPLIT_H
#define CULVERT_DATAPATH_SPLIT_H

#include "datapath/host.h"
#include "datapath/worker.h"
#include "fwd/local.h"
#include "fwd/route.h"
#include "ipsec/sa.h"
#include "net/burst.h"
#include "net/pkt.h"
#include "net/stage.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

typedef bool (*pkt_test)(struct rte_mbuf *m, const struct snapshot *s);

static inline bool is_decapsulated(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return (pkt_of(m)->flags & PKT_DECAPSULATED) != 0;
}

static inline bool is_outbound(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return !pkt_of(m)->sa->inbound;
}

static inline bool is_of_ipcomp(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return pkt_of(m)->sa->protocol == SA_IPCOMP;
}

/* A packet to the gateway that another of its SAs is for. */
static inline bool is_nested(struct rte_mbuf *m, const struct snapshot *s)
{
	if (!local_match_one(&s->local_outside, m) || !local_is_ipsec_one(m))
		return false;
	pkt_of(m)->policy_sa = NULL; /* it is in no bundle with the SA that it came out of */
	return true;
}

static inline bool is_ah(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return pkt_of(m)->sa->protocol == SA_AH;
}

static inline bool is_own(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return (pkt_of(m)->flags & PKT_OWN) != 0;
}

/* A packet to the host that needs a policy to get there. */
static inline bool needs_policy(struct rte_mbuf *m, const struct snapshot *s)
{
	return !is_decapsulated(m, s) && !host_is_ike_to_one(m, s);
}

static inline bool is_of_host(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return pkt_of(m)->port_in == PKT_PORT_HOST;
}

/* And it is on no way yet; one that was may have waited for a neighbour, and come back. */
static inline bool is_new_of_host(struct rte_mbuf *m, const struct snapshot *s)
{
	return is_of_host(m, s) && pkt_of(m)->next_hop == ROUTE_NONE;
}

static inline bool is_frame(struct rte_mbuf *m, const struct snapshot *s __rte_unused)
{
	return (pkt_of(m)->flags & PKT_FRAME) != 0;
}

/* Move the packets for which the test is true to *moved. */
static inline void split(struct worker *w, struct burst *b, pkt_test test, struct burst *moved)
{
	STAGE(split, b, &w->drops, moved);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < b->n; i++) {
		if (test(b->pkts[i], w->snapshot))
			burst_add_one(moved, b->pkts[i]);
		else
			b->pkts[kept++] = b->pkts[i];
	}
	b->n = kept;
}

/* The reverse of split. */
static inline void join(struct burst *b, const struct burst *moved)
{
	for (uint16_t i = 0; i < moved->n; i++)
		burst_add_one(b, moved->pkts[i]);
	b->seen |= moved->seen;
}

#endif
