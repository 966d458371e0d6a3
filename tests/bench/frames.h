/*
 * The frames that a source repeats, in a pcap file: UDP packets with random addresses inside the policies, in
 * clear, or in ESP as the peers send them.
 *
 * Benchmarks only, main thread, after EAL and the crypto devices are up.
 */
#ifndef CULVERT_TESTS_BENCH_FRAMES_H
#define CULVERT_TESTS_BENCH_FRAMES_H

#include "base/err.h"
#include "bench/site.h"
#include "ipsec/crypto.h"
#include "model/gateway.h"

#include <stdbool.h>
#include <stddef.h>
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

/* What is wrong with inbound frames, or comes beside them. */
enum frames_fault {
	FRAMES_GOOD,
	FRAMES_FORGED,   /* a bit of the ICV; the number is fresh, so that only the crypto can tell */
	FRAMES_REPLAYED, /* nothing, but their windows are not put back after the first round */
	FRAMES_UNKNOWN,  /* the SPI: a random one that no SA has */
	/* Nothing, but behind each comes a fragment in clear to the gateway, of a packet that has no other */
	FRAMES_FRAGMENTS,
};

/*
 * Where fragments are among the frames: twice as many of them as a worker holds at most, so that none is
 * still there when it comes again.
 */
#define FRAMES_WITH_FRAGMENTS 8192

struct frames {
	const char *path; /* the file is made anew */
	uint32_t n_frames;
	enum site_shape shape;
	uint16_t inner_bytes; /* of the IP packet inside the tunnel, 28 at least; or FRAMES_IMIX */
	uint32_t n_sas;       /* as the site has them: all of a bundle are one */
	uint32_t n_policies;
	bool inbound;
	enum frames_fault fault;
	/*
	 * Policy i belongs to queue i % n_queues, so that an SA is of one queue, as a NIC's RSS has it
	 * inbound. Where there are fewer SAs than queues, all queues have all of them: inbound, the numbers
	 * of an SA then go round the queues packet by packet.
	 */
	uint32_t queue;
	uint32_t n_queues;
	uint32_t *sas; /* out: the SA of each frame, innermost; of a fragment in clear, of the one before */
};

/* One frame, and all of a file. */
struct frame {
	uint8_t *bytes;
	uint16_t n_bytes;
};

struct frame_list {
	struct frame *frames;
	size_t n;
};

/* How many frames there are for that many policies. */
uint32_t frames_count(uint32_t n_policies, enum frames_fault fault);

/* Whether the queues have SAs in common. */
static inline bool frames_share_sas(uint32_t n_sas, uint32_t n_queues)
{
	return n_sas < n_queues;
}

/*
 * Write the frames, each to a random policy of its queue. Those of an inbound SA have sequence numbers
 * counting up from 1, or where the queues share it, from the queue's own plus 1, in steps of n_queues.
 * `gateway` is the one under measurement, and its keys are used. Returns 0 or -errno.
 */
int frames_write(const struct frames *frames, const struct gateway *gateway, const struct crypto *crypto,
	struct err *err);

/* Read what frames_write has written. Returns 0 or -EIO; frames_free in any case. */
int frames_read(const char *path, struct frame_list *list, struct err *err);
/* Leaves an empty list. */
void frames_free(struct frame_list *list);

#endif
