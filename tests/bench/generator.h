/*
 * A source of packets at a given rate: it puts frames into the receive queue of a net_ring port, which are
 * 1,023 places, and counts those that find it full, as a NIC does.
 *
 * Benchmarks only; a thread of EAL that is no worker, on a CPU of its own. Packets come one by one at random
 * times (Poisson), as many senders that know nothing of each other make them; gaps of one length would hide
 * the queue. A generator that was off its CPU begins anew from there: what it then owes is not the gateway's.
 */
#ifndef CULVERT_TESTS_BENCH_GENERATOR_H
#define CULVERT_TESTS_BENCH_GENERATOR_H

#include "base/err.h"
#include "bench/frames.h"
#include "bench/probe.h"

#include <stdint.h>

#define GENERATOR_GAPS 4096

struct generator {
	struct frame_list frames;
	uint16_t ethdev; /* the port whose transmit ring is its receive ring */
	struct rte_mempool *pool;
	const struct probe *probe;
	struct rte_mbuf *ready; /* a copy of the next frame */
	uint32_t next_frame;
	uint32_t next_gap;
	uint32_t gaps[GENERATOR_GAPS]; /* in cycles */
	uint64_t offered;
	uint64_t missed; /* of these, found the queue full */
};

/*
 * Read the frames from a pcap file and address them to the port; the buffers of `pool` must do for the queue
 * and the worker. Returns 0 or -errno. generator_fini in any case.
 */
int generator_init(struct generator *generator, const char *path, uint16_t ethdev, struct rte_mempool *pool,
	const struct probe *probe, struct err *err);

/* Offer so many packets a second for so long. */
void generator_run(struct generator *generator, double rate_hz, double seconds);

/* Keep the queue full for so long: a frame that finds no place waits for one and is not missed. */
void generator_run_full(struct generator *generator, double seconds);

/* Before its pool goes. Once more does nothing. */
void generator_fini(struct generator *generator);

#endif
