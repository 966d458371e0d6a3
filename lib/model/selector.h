/*
 * A traffic selector (RFC 4301 section 4.4.1.1): which packets a policy is about.
 *
 * Plain data of the configuration. selector_match is the definition that every faster lookup must agree
 * with; ipsec/spd.c is tested against it. The gateway model owns the ranges and frees them.
 * Limits: no names; one range a port, lists of ranges for addresses.
 */
#ifndef CULVERT_MODEL_SELECTOR_H
#define CULVERT_MODEL_SELECTOR_H

#include "base/addr.h"
#include "base/flow.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SELECTOR_PROTOCOL_ANY    (-1)
#define SELECTOR_PROTOCOL_OPAQUE (-2) /* an IPv6 packet whose next layer protocol can't be seen */
#define SELECTOR_PORT_LAST       UINT16_MAX
/* Ports that can't be seen, as RFC 7296 section 3.13.1 writes it. */
#define SELECTOR_PORTS_OPAQUE                                                                                \
	{                                                                                                    \
		SELECTOR_PORT_LAST, 0                                                                        \
	}

struct port_range {
	uint16_t first; /* both ends belong to it, host order */
	uint16_t last;
};

struct selector {
	/* Any of the ranges; none at all is ANY address of either family. */
	struct ip_range *sources;
	size_t n_sources;
	struct ip_range *destinations;
	size_t n_destinations;
	int protocol; /* 0 to 255, SELECTOR_PROTOCOL_ANY, or SELECTOR_PROTOCOL_OPAQUE */
	/* For ICMP, ICMPv6 and the mobility header, type and code, as in struct flow. */
	struct port_range source_ports;
	struct port_range destination_ports;
};

/* A selector that matches every packet. */
void selector_init(struct selector *selector);
void selector_fini(struct selector *selector);

/*
 * True for ANY: it matches packets whose ports can't be seen, which a range, even of all ports seen, does
 * not.
 */
bool port_range_is_any(const struct port_range *range);

/* True for OPAQUE: it matches packets whose ports can't be seen, and no others. */
bool port_range_is_opaque(const struct port_range *range);

/* It needs ports that are seen. */
bool selector_reads_ports(const struct selector *selector);
/* It tells packets whose ports or protocol can't be seen from the others, so they may not be put together. */
bool selector_reads_opaque(const struct selector *selector);

/* Do two selectors say the same, in the same order? */
bool selector_equal(const struct selector *a, const struct selector *b);

/* Does the packet match? */
bool selector_match(const struct selector *selector, const struct flow *flow);

#endif
