#include "model/selector.h"

#include <stdlib.h>

void selector_init(struct selector *selector)
{
	*selector = (struct selector){
		.protocol = SELECTOR_PROTOCOL_ANY,
		.source_ports = {0, SELECTOR_PORT_LAST},
		.destination_ports = {0, SELECTOR_PORT_LAST},
	};
}

void selector_fini(struct selector *selector)
{
	free(selector->sources);
	free(selector->destinations);
	selector_init(selector);
}

bool port_range_is_any(const struct port_range *range)
{
	return range->first == 0 && range->last == SELECTOR_PORT_LAST;
}

static bool addresses_match(const struct ip_range *ranges, size_t n_ranges, const struct ip_addr *addr)
{
	for (size_t i = 0; i < n_ranges; i++)
		if (ip_range_contains(&ranges[i], addr))
			return true;
	return n_ranges == 0;
}

bool port_range_is_opaque(const struct port_range *range)
{
	return range->first > range->last;
}

static bool port_range_is_seen(const struct port_range *range)
{
	return !port_range_is_any(range) && !port_range_is_opaque(range);
}

bool selector_reads_ports(const struct selector *selector)
{
	return port_range_is_seen(&selector->source_ports) ||
	       port_range_is_seen(&selector->destination_ports);
}

bool selector_reads_opaque(const struct selector *selector)
{
	return port_range_is_opaque(&selector->source_ports) ||
	       port_range_is_opaque(&selector->destination_ports) ||
	       selector->protocol == SELECTOR_PROTOCOL_OPAQUE;
}

/* RFC 4301 section 4.4.1.1: ANY encompasses OPAQUE, and no number does. */
static bool protocol_matches(int protocol, const struct flow *flow)
{
	if (protocol == SELECTOR_PROTOCOL_ANY)
		return true;
	if (protocol == SELECTOR_PROTOCOL_OPAQUE)
		return flow->hides_protocol;
	return !flow->hides_protocol && protocol == flow->protocol;
}

/*
 * RFC 4301 section 4.4.1.1: ports that can't be seen are OPAQUE, and match that and ANY alone. So a fragment
 * never slips through a policy that was written for a port.
 */
static bool ports_match(const struct port_range *range, bool has_ports, uint16_t port)
{
	if (port_range_is_any(range))
		return true;
	if (port_range_is_opaque(range))
		return !has_ports;
	return has_ports && range->first <= port && port <= range->last;
}

bool selector_match(const struct selector *selector, const struct flow *flow)
{
	return protocol_matches(selector->protocol, flow) &&
	       addresses_match(selector->sources, selector->n_sources, &flow->source) &&
	       addresses_match(selector->destinations, selector->n_destinations, &flow->destination) &&
	       ports_match(&selector->source_ports, flow->has_ports, flow->source_port) &&
	       ports_match(&selector->destination_ports, flow->has_ports, flow->destination_port);
}

static bool ranges_equal(const struct ip_range *a, size_t n_a, const struct ip_range *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!ip_addr_equal(&a[i].first, &b[i].first) || !ip_addr_equal(&a[i].last, &b[i].last))
			return false;
	return true;
}

static bool port_ranges_equal(const struct port_range *a, const struct port_range *b)
{
	return a->first == b->first && a->last == b->last;
}

bool selector_equal(const struct selector *a, const struct selector *b)
{
	return ranges_equal(a->sources, a->n_sources, b->sources, b->n_sources) &&
	       ranges_equal(a->destinations, a->n_destinations, b->destinations, b->n_destinations) &&
	       a->protocol == b->protocol && port_ranges_equal(&a->source_ports, &b->source_ports) &&
	       port_ranges_equal(&a->destination_ports, &b->destination_ports);
}
