/*
 * What a worker adds to a packet: the time from a stamp that the packet carries to the moment when the worker
 * hands it to the port that sends it, and whether it left in the loop that brought it.
 *
 * Benchmarks only, one worker. The main thread makes it before the worker runs; in between, the worker runs
 * it, as callbacks of the queue that receives and of the one that sends; reading the clock and counting is
 * part of what is measured, and costs some ten cycles a packet. Limits: the port that sends takes all frames
 * at once, as net_null does; packets come from no other queue.
 */
#ifndef CULVERT_TESTS_BENCH_PROBE_H
#define CULVERT_TESTS_BENCH_PROBE_H

#include "bench/histogram.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

struct probe {
	int stamp_offset; /* of the stamp in an mbuf */
	/* Main writes, at any time: where the worker counts cycles; NULL: nowhere. */
	_Atomic(struct histogram *) into;
	/* The worker writes, on lines of its own. */
	alignas(RTE_CACHE_LINE_SIZE) uint64_t received;
	uint64_t sent;
	uint64_t stayed; /* packets that were still inside when the next loop began, counted for each loop */
	uint64_t before_stamp; /* packets that left before they came: the CPUs' clocks differ */
};

/* The ports are set up, and no packet has been received. Returns 0 or -errno. */
int probe_init(struct probe *probe, uint16_t ethdev_in, uint16_t ethdev_out);

/* Where the packet carries the TSC of its arrival. */
static inline uint64_t *probe_stamp_one(const struct probe *probe, struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, probe->stamp_offset, uint64_t *);
}

#endif
