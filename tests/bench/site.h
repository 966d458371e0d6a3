/*
 * The gateway that is measured: two ports, and SAs and narrow policies, outbound, inbound or both. Written as
 * YAML, so that it comes up by the code that culvertd uses.
 *
 * Benchmarks only. SA i has the peer 198.18.0.0 + i. Policy i joins 10.1.0.0/16 here with a network of 32
 * addresses there, and is of the SA i modulo their number. Where the shape has several SAs one around the
 * other, "SA i" is all of them, in the configuration from the innermost out. IPv6 addresses are the IPv4
 * ones in 2001:db8::/96.
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
#define SITE_LOCAL_NETWORK    0x0a010000           /* 10.1.0.0/16, host order */
#define SITE_GATEWAY          UINT32_C(0xc0000201) /* 192.0.2.1, its end of all tunnels */
#define SITE_MTU_BYTES        1500
/* The first bytes of all IPv6 addresses: 2001:db8::/96. */
#define SITE_IPV6_PREFIX                                                                                     \
	{                                                                                                    \
		0x20, 0x01, 0x0d, 0xb8                                                                       \
	}

/* Of net_pcap's first device; frames are addressed to it before the device is there. */
#define SITE_SOURCE_MAC                                                                                      \
	{                                                                                                    \
		{                                                                                            \
			0x02, 0x70, 0x63, 0x61, 0x70, 0x00                                                   \
		}                                                                                            \
	}

/* A port's place in the configuration: the protected side's, and the other. */
enum site_port { SITE_PORT_LAN, SITE_PORT_WAN };

/* What its tunnels are made of; each is of the one algorithm, where nothing else is said. */
enum site_shape {
	SITE_PLAIN,     /* an ESP tunnel, IPv4 in IPv4 */
	SITE_ESN,       /* the same with extended sequence numbers */
	SITE_IPV6,      /* the same around IPv6 packets */
	SITE_AH,        /* an AH tunnel, HMAC-SHA-256 */
	SITE_TRANSPORT, /* an ESP tunnel, and around it ESP in transport mode */
	SITE_BUNDLE, /* an IPComp tunnel, around it ESP, around that AH (HMAC-SHA-256), in transport mode */
	SITE_FRAGMENTS, /* as plain; it is the packets that are too long for their path */
	SITE_SHAPES
};

/* What the gateway has SAs and policies for. */
enum site_directions { SITE_OUT = 1, SITE_IN = 2, SITE_BOTH = SITE_OUT | SITE_IN };

struct site {
	/* pcap files that the source repeats from memory, one for each worker; NULL: nothing comes in */
	const char *frames[SITE_QUEUES_MAX];
	bool source_is_ring;             /* net_ring instead: what is sent on it arrives on it */
	enum site_directions directions; /* SITE_IN: the source is the unprotected side */
	enum site_shape shape;
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

/* How many SAs of the configuration are one around the other. */
uint32_t site_steps(enum site_shape shape);

/* First address of a policy's network at the peer, host order. */
uint32_t site_remote_network(uint32_t policy);

#endif
