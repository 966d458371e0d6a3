/*
 * The frames that a source repeats, in a pcap file: UDP packets of one length with random addresses inside
 * the tunnels' policies, in clear, or in ESP as the peers send them.
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
 * Few enough to be in the second-level cache with small packets, as frames that a NIC has just written are.
 */
#define FRAMES_COUNT 1024

struct frames {
	const char *path;     /* the file is made anew */
	uint16_t inner_bytes; /* of the IP packet inside the tunnel, 28 at least */
	uint32_t n_tunnels;   /* frames go round them */
	bool inbound;
};

/*
 * Write FRAMES_COUNT frames. Those of an inbound tunnel have sequence numbers counting up from 1. `gateway`
 * is the one under measurement, and its keys are used. Returns 0 or -errno.
 */
int frames_write(const struct frames *frames, const struct gateway *gateway, const struct crypto *crypto,
	struct err *err);

#endif
