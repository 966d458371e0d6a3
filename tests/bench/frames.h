/*
 * The frames that a source repeats, in a pcap file: UDP packets with random addresses inside the policies, in
 * clear, or in ESP as the peers send them.
 *
 * Benchmarks only, main thread, after EAL and the crypto devices are up.
 */
#ifndef CULVERT_TESTS_BENCH_FRAMES_H
#define CULVERT_TESTS_BENCH_FRAMES_H

#include "base/err.h"
#include "ipsec/crypto.h"
#include "model/gateway.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Few enough to be in the second-level cache with small packets, as frames that a NIC has just written are;
 * but with many policies some four for each, as far as that goes. What the source then pays is what testpmd
 * pays.
 */
#define FRAMES_MIN        1024
#define FRAMES_MAX        32768
#define FRAMES_PER_POLICY 4

/* Instead of a length: packets of 64, 570 and 1400 bytes, 7 to 4 to 1. */
#define FRAMES_IMIX      0
#define FRAMES_IMIX_MEAN 344

struct frames {
	const char *path;     /* the file is made anew */
	uint16_t inner_bytes; /* of the IP packet inside the tunnel, 28 at least; or FRAMES_IMIX */
	uint32_t n_sas;
	uint32_t n_policies;
	bool inbound;
	/* Inbound, an SA is of one queue, as a NIC's RSS has it: policy i belongs to queue i % n_queues. */
	uint32_t queue;
	uint32_t n_queues;
	uint32_t *sas; /* out: the SA of each frame */
};

/* How many frames there are for that many policies. */
uint32_t frames_count(uint32_t n_policies);

/*
 * Write the frames, each to a random policy of its queue. Those of an inbound SA have sequence numbers
 * counting up from 1. `gateway` is the one under measurement, and its keys are used. Returns 0 or -errno.
 */
int frames_write(const struct frames *frames, const struct gateway *gateway, const struct crypto *crypto,
	struct err *err);

#endif
