/*
 * The gateway that is measured: one worker, two ports, and n tunnels, each with an SA and a narrow policy in
 * either direction. Written as YAML, so that it comes up by the code that culvertd uses.
 *
 * Benchmarks only. Tunnel i joins 10.1.0.0/16 here with a network of 64 addresses at the peer 198.18.0.0 + i.
 */
#ifndef CULVERT_TESTS_BENCH_SITE_H
#define CULVERT_TESTS_BENCH_SITE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Peers lie in 198.18.0.0/15, their networks in 10.64.0.0/10. */
#define SITE_TUNNELS_MAX 65536
/* Addresses in a peer's network. */
#define SITE_REMOTE_ADDRESSES 64
#define SITE_LOCAL_NETWORK    0x0a010000 /* 10.1.0.0/16, host order */

/* Of net_pcap's first device; frames are addressed to it before the device is there. */
#define SITE_SOURCE_MAC                                                                                      \
	{                                                                                                    \
		{                                                                                            \
			0x02, 0x70, 0x63, 0x61, 0x70, 0x00                                                   \
		}                                                                                            \
	}

struct site {
	const char *frames; /* pcap file that the source repeats from memory; NULL: nothing comes in */
	bool inbound;       /* the source is the unprotected side */
	bool hugepages;
	const char *crypto; /* the device that encrypts */
	unsigned cpu;       /* the worker's */
	uint32_t n_tunnels;
	uint32_t replay_window_pkts;
};

/* Write the configuration to a file that only its owner reads, with fresh random keys. Returns 0 or -EIO. */
int site_write(const struct site *site, const char *path, struct err *err);

/* First address of the peer's network of a tunnel, host order. */
uint32_t site_remote_network(uint32_t tunnel);

#endif
