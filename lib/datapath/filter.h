/*
 * Which packets someone wants to see (trace.h, capture.h), by what they say of themselves as they are at that
 * moment: a tunnel's packet has the tunnel's addresses.
 *
 * A plain value. Control fills it, workers ask it; packets are looked at without trust, so that frames that
 * nobody has parsed may be. Limits: a packet that is no IP passes only where nothing of IP is asked for; the
 * SPI of ESP in UDP is seen whatever the ports are.
 */
#ifndef CULVERT_DATAPATH_FILTER_H
#define CULVERT_DATAPATH_FILTER_H

#include "base/addr.h"
#include "ipsec/sa.h"
#include "net/quote.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define FILTER_ANY (-1)

struct filter {
	int port; /* index of the port that the packet came in by, or FILTER_ANY, as the next */
	int protocol;
	int source_port; /* ICMP: the type */
	int destination_port;
	/* Family IP_NONE: any. */
	struct ip_prefix source;
	struct ip_prefix destination;
	struct ip_prefix host; /* either of the two */
	uint32_t spi;          /* host order; 0: any */
	/* Name of an SA; "": any. The next two are its own, for packets of which that is not known. */
	char sa[SA_NAME_MAX];
	rte_be32_t sa_spi;
	struct ip_addr sa_destination;
};

/* What can be seen of a packet. */
struct sight {
	uint8_t port_in;
	bool is_ip;          /* quote is of it */
	struct quote quote;  /* its flow, and SPI and sequence number where it is IPsec */
	const struct sa *sa; /* NULL: not known */
};

/* A filter that every packet passes. */
void filter_init(struct filter *filter);

/* Does it let every packet pass that came by a port of its own? Then nobody needs to look at packets. */
bool filter_is_open(const struct filter *filter);

/* Look at the packet, whose data starts with the Ethernet header (is_frame), or else with the IP header. */
void sight_take_one(struct sight *sight, struct rte_mbuf *m, bool is_frame);

/* Does it pass? */
bool filter_match(const struct filter *filter, const struct sight *sight);

#endif
