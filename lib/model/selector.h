/*
 * A traffic selector (RFC 4301 section 4.4.1.1): which packets a policy is about.
 *
 * Plain data of the configuration. selector_match is the definition that every faster lookup must agree
 * with; ipsec/spd.c is tested against it. The gateway model owns the ranges and frees them.
 * Limits: no names, no mobility header type; one range a port, lists of ranges for addresses.
 */
#ifndef CULVERT_MODEL_SELECTOR_H
#define CULVERT_MODEL_SELECTOR_H

#include "base/addr.h"
#include "base/flow.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SELECTOR_PROTOCOL_ANY (-1)
#define SELECTOR_PORT_LAST    UINT16_MAX

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
	int protocol; /* 0 to 255, or SELECTOR_PROTOCOL_ANY */
	/* For ICMP and ICMPv6, the type's range and the code's range, as in struct flow. */
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

/* Do two selectors say the same, in the same order? */
bool selector_equal(const struct selector *a, const struct selector *b);

/* Does the packet match? */
bool selector_match(const struct selector *selector, const struct flow *flow);

#endif
