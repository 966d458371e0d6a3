/*
 * The gateway that is measured: two ports, and SAs and narrow policies, outbound, inbound or both. Written as
 * YAML, so that it comes up by the code that culvertd uses.
 *
 * Benchmarks only. SA i has the peer 198.18.0.0 + i. Policy i joins 10.1.0.0/16 here with a network of 32
 * addresses there, and is of the SA i modulo their number.
 */
#ifndef CULVERT_TESTS_BENCH_SITE_H
#define CULVERT_TESTS_BENCH_SITE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Peers lie in 198.18.0.0/15, their networks in 10.64.0.0/10. */
#define SITE_SAS_MAX      131072
#define SITE_POLICIES_MAX 131072
#define SITE_QUEUES_MAX   2
/* Addresses in a policy's network. */
#define SITE_REMOTE_ADDRESSES 32
#define SITE_LOCAL_NETWORK    0x0a010000 /* 10.1.0.0/16, host order */

/* Of net_pcap's first device; frames are addressed to it before the device is there. */
#define SITE_SOURCE_MAC                                                                                      \
	{                                                                                                    \
		{                                                                                            \
			0x02, 0x70, 0x63, 0x61, 0x70, 0x00                                                   \
		}                                                                                            \
	}

/* A port's place in the configuration: the protected side's, and the other. */
enum site_port { SITE_PORT_LAN, SITE_PORT_WAN };

/* What the gateway has SAs and policies for. */
enum site_directions { SITE_OUT = 1, SITE_IN = 2, SITE_BOTH = SITE_OUT | SITE_IN };

struct site {
	/* pcap files that the source repeats from memory, one for each worker; NULL: nothing comes in */
	const char *frames[SITE_QUEUES_MAX];
	bool source_is_ring;             /* net_ring instead: what is sent on it arrives on it */
	enum site_directions directions; /* SITE_IN: the source is the unprotected side */
	bool hugepages;
	const char *cpus;      /* the workers', with commas */
	const char *algorithm; /* as the configuration has it */
	bool in_udp;           /* ESP goes in UDP */
	uint32_t n_sas;        /* in a direction */
	uint32_t n_policies;   /* likewise */
	uint32_t replay_window_pkts;
	uint32_t packets; /* buffers; 0: the gateway's own choice */
};

/* Write the configuration to a file that only its owner reads, with fresh random keys. Returns 0 or -EIO. */
int site_write(const struct site *site, const char *path, struct err *err);

/* First address of a policy's network at the peer, host order. */
uint32_t site_remote_network(uint32_t policy);

#endif
