/*
 * What of a packet can be seen, as bits that a rule of the SPD asks for, or against (RFC 4301 section
 * 4.4.1.1: ANY asks for neither, a value needs its field, OPAQUE needs that it is not there).
 *
 * For spd.c and spd_pairs.c alone.
 */
#ifndef CULVERT_IPSEC_SPD_SEEN_H
#define CULVERT_IPSEC_SPD_SEEN_H

#include "model/selector.h"
#include "net/ipv6_extension.h"
#include "net/pkt.h"

#include <stdint.h>

enum {
	SEEN_PORTS = 1 << 0,       /* or ICMP's type and code, or a mobility header's type */
	SEEN_NO_PROTOCOL = 1 << 1, /* as pkt_hides_protocol */
	SEEN_NEVER = 1 << 2,       /* of no packet */
};

/* A rule is for packets whose bits, under the mask, are these. */
struct seen {
	uint8_t mask;
	uint8_t bits;
};

static inline uint8_t seen_one(const struct pkt *p)
{
	return (p->flags & PKT_HAS_PORTS ? SEEN_PORTS : 0) | (pkt_hides_protocol(p) ? SEEN_NO_PROTOCOL : 0);
}

/* Ports are seen both or not at all, so that no packet has what asks for one alone. */
static inline struct seen seen_wanted(const struct selector *selector)
{
	const struct port_range *source = &selector->source_ports,
				*destination = &selector->destination_ports;
	bool opaque = port_range_is_opaque(source) || port_range_is_opaque(destination);
	bool ports = selector_reads_ports(selector);
	struct seen seen = {0};

	if (opaque && ports)
		return (struct seen){SEEN_NEVER, SEEN_NEVER};
	if (opaque || ports)
		seen = (struct seen){SEEN_PORTS, ports ? SEEN_PORTS : 0};
	if (selector->protocol == SELECTOR_PROTOCOL_OPAQUE) {
		seen.mask |= SEEN_NO_PROTOCOL;
		seen.bits |= SEEN_NO_PROTOCOL;
	} else if (selector->protocol >= 0 && ipv6_is_extension((uint8_t)selector->protocol)) {
		/* The packets that have such a number hide their protocol behind it. */
		seen.mask |= SEEN_NO_PROTOCOL;
	}
	return seen;
}

#endif
