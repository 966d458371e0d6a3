/*
 * A burst: the packets that a stage works on, and the check that a stage loses none of them.
 *
 * Workers only. A burst lies on the worker's stack or in struct worker and owns the packets in it. A stage
 * keeps packets compacted in place, moves others to a named burst, and drops the rest with a reason.
 * Limits: BURST_MAX packets; a pass through the pipeline starts with no more, so no named burst overflows.
 */
#ifndef CULVERT_NET_BURST_H
#define CULVERT_NET_BURST_H

#include <assert.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define BURST_MAX 64

struct burst {
	uint16_t n;
	uint16_t seen; /* flags that any of the packets has; parse_burst, the ends of crypto and
			  host_check_source set it */
	struct rte_mbuf *pkts[BURST_MAX];
};

/* Declare an empty burst. Its array is not cleared: only the first n are packets. */
#define BURST(name)                                                                                          \
	struct burst name;                                                                                   \
	name.n = 0

static inline void burst_add_one(struct burst *burst, struct rte_mbuf *m)
{
	assert(burst->n < BURST_MAX);
	burst->pkts[burst->n++] = m;
}

#endif
