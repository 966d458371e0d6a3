#include "datapath/filter.h"

#include <string.h>

#include <rte_ether.h>

void filter_init(struct filter *filter)
{
	*filter = (struct filter){
		.port = FILTER_ANY,
		.protocol = FILTER_ANY,
		.source_port = FILTER_ANY,
		.destination_port = FILTER_ANY,
	};
}

static bool asks_for_ip(const struct filter *filter)
{
	return filter->protocol != FILTER_ANY || filter->source_port != FILTER_ANY ||
	       filter->destination_port != FILTER_ANY || filter->source.addr.family != IP_NONE ||
	       filter->destination.addr.family != IP_NONE || filter->host.addr.family != IP_NONE;
}

bool filter_is_open(const struct filter *filter)
{
	return !asks_for_ip(filter) && filter->spi == 0 && filter->sa[0] == '\0';
}

/* Bytes in front of the IP header; 0: it is no IP. */
static uint32_t link_header_bytes(const uint8_t *frame, uint32_t n)
{
	uint32_t at = offsetof(struct rte_ether_hdr, ether_type);
	rte_be16_t type;

	for (unsigned tags = 0; tags < 2; tags++) {
		if (at + sizeof(type) > n)
			return 0;
		memcpy(&type, frame + at, sizeof(type));
		if (type != RTE_BE16(RTE_ETHER_TYPE_VLAN))
			break;
		at += sizeof(struct rte_vlan_hdr);
	}
	if (type != RTE_BE16(RTE_ETHER_TYPE_IPV4) && type != RTE_BE16(RTE_ETHER_TYPE_IPV6))
		return 0;
	return at + sizeof(type);
}

void sight_take_one(struct sight *sight, struct rte_mbuf *m, bool is_frame)
{
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t n = rte_pktmbuf_data_len(m);
	uint32_t skipped = is_frame ? link_header_bytes(bytes, n) : 0;

	sight->is_ip =
		(!is_frame || skipped > 0) && quote_read_packet(bytes + skipped, n - skipped, &sight->quote);
}

static bool prefix_has(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	return prefix->addr.family == IP_NONE || ip_prefix_contains(prefix, addr);
}

static bool number_is(int wanted, bool is_there, int value)
{
	return wanted == FILTER_ANY || (is_there && wanted == value);
}

static bool flow_match(const struct filter *filter, const struct flow *flow)
{
	return number_is(filter->protocol, true, flow->protocol) &&
	       number_is(filter->source_port, flow->has_ports, flow->source_port) &&
	       number_is(filter->destination_port, flow->has_ports, flow->destination_port) &&
	       prefix_has(&filter->source, &flow->source) &&
	       prefix_has(&filter->destination, &flow->destination) &&
	       (prefix_has(&filter->host, &flow->source) || prefix_has(&filter->host, &flow->destination));
}

static bool spi_match(const struct filter *filter, const struct sight *sight)
{
	if (filter->spi == 0)
		return true;
	return sight->is_ip && sight->quote.ipsec && rte_be_to_cpu_32(sight->quote.spi) == filter->spi;
}

/* By the SA that is known, or by what an ESP or AH header says. */
static bool sa_match(const struct filter *filter, const struct sight *sight)
{
	if (filter->sa[0] == '\0')
		return true;
	if (sight->sa && strcmp(sight->sa->name, filter->sa) == 0)
		return true;
	return sight->is_ip && sight->quote.ipsec && filter->sa_spi != 0 &&
	       sight->quote.spi == filter->sa_spi &&
	       ip_addr_equal(&sight->quote.flow.destination, &filter->sa_destination);
}

bool filter_match(const struct filter *filter, const struct sight *sight)
{
	if (filter->port != FILTER_ANY && filter->port != sight->port_in)
		return false;
	if (asks_for_ip(filter) && (!sight->is_ip || !flow_match(filter, &sight->quote.flow)))
		return false;
	return spi_match(filter, sight) && sa_match(filter, sight);
}
