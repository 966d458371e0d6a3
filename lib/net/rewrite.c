#include "net/rewrite.h"

#include "net/icmp.h"
#include "net/stage.h"

#include <stddef.h>
#include <string.h>

#include <rte_byteorder.h>

/* RFC 8200 section 3: version 4 bits, traffic class 8, flow label 20. */
#define IPV6_TRAFFIC_CLASS_SHIFT 20
#define IPV6_TRAFFIC_CLASS_MASK  (0xffu << IPV6_TRAFFIC_CLASS_SHIFT)

/* The 16-bit word of the IPv4 header at `at`, as the checksum sees it. */
static rte_be16_t ipv4_word(const struct rte_ipv4_hdr *ip, size_t at)
{
	rte_be16_t word;

	memcpy(&word, (const uint8_t *)ip + at, sizeof(word));
	return word;
}

static void ipv4_ttl_decrement(struct rte_ipv4_hdr *ip)
{
	const size_t at = offsetof(struct rte_ipv4_hdr, time_to_live); // with the protocol behind it
	rte_be16_t before = ipv4_word(ip, at);
	rte_be16_t after = before - RTE_BE16(1 << 8); // no borrow, since the TTL is not 0

	// One store of both bytes: reading the word back after a store of one of them would stall.
	memcpy((uint8_t *)ip + at, &after, sizeof(after));
	ip->hdr_checksum = checksum_update(ip->hdr_checksum, before, after);
}

/* False if the packet may not go on. */
static bool ttl_decrement_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint8_t ttl = p->family == IP_V4 ? pkt_ipv4(m)->time_to_live : pkt_ipv6(m)->hop_limits;

	if (p->flags & PKT_LOCAL)
		return true;
	if (ttl <= 1) {
		icmp_set_time_exceeded_one(m);
		return false;
	}
	if (p->family == IP_V4)
		ipv4_ttl_decrement(pkt_ipv4(m));
	else
		pkt_ipv6(m)->hop_limits--;
	return true;
}

void ttl_decrement(struct burst *burst, struct burst *expired, struct drops *drops)
{
	STAGE(ttl, burst, drops, expired);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (ttl_decrement_one(m))
			burst->pkts[kept++] = m;
		else
			burst_add_one(expired, m);
	}
	burst->n = kept;
}

uint8_t traffic_class_get_one(struct rte_mbuf *m)
{
	if (pkt_of(m)->family == IP_V4)
		return pkt_ipv4(m)->type_of_service;
	return (uint8_t)(rte_be_to_cpu_32(pkt_ipv6(m)->vtc_flow) >> IPV6_TRAFFIC_CLASS_SHIFT);
}

static void ipv4_traffic_class_set(struct rte_ipv4_hdr *ip, uint8_t traffic_class)
{
	const size_t at = 0; // version and header length, with the TOS behind them
	rte_be16_t before = ipv4_word(ip, at);

	ip->type_of_service = traffic_class;
	ip->hdr_checksum = checksum_update(ip->hdr_checksum, before, ipv4_word(ip, at));
}

void traffic_class_set_one(struct rte_mbuf *m, uint8_t traffic_class)
{
	if (pkt_of(m)->family == IP_V4) {
		ipv4_traffic_class_set(pkt_ipv4(m), traffic_class);
		return;
	}
	struct rte_ipv6_hdr *ip = pkt_ipv6(m);
	uint32_t rest = rte_be_to_cpu_32(ip->vtc_flow) & ~IPV6_TRAFFIC_CLASS_MASK;

	ip->vtc_flow = rte_cpu_to_be_32(rest | (uint32_t)traffic_class << IPV6_TRAFFIC_CLASS_SHIFT);
}

uint16_t ethernet_write(uint8_t *out, const struct rte_ether_addr *to, const struct rte_ether_addr *from,
	uint16_t vlan, uint16_t ether_type)
{
	struct rte_ether_hdr *ether = (struct rte_ether_hdr *)out;

	ether->dst_addr = *to;
	ether->src_addr = *from;
	ether->ether_type = rte_cpu_to_be_16(vlan ? RTE_ETHER_TYPE_VLAN : ether_type);
	if (vlan) {
		struct rte_vlan_hdr *tag = (struct rte_vlan_hdr *)(ether + 1);

		tag->vlan_tci = rte_cpu_to_be_16(vlan);
		tag->eth_proto = rte_cpu_to_be_16(ether_type);
	}
	return vlan ? RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN : RTE_ETHER_HDR_LEN;
}

void ethernet_prepend_one(struct rte_mbuf *m, const struct rte_ether_addr *to,
	const struct rte_ether_addr *from, uint16_t vlan, uint16_t ether_type)
{
	uint16_t bytes = sizeof(struct rte_ether_hdr) + (vlan ? sizeof(struct rte_vlan_hdr) : 0);
	uint8_t *front = (uint8_t *)rte_pktmbuf_prepend(m, bytes);

	assert(front != NULL);
	ethernet_write(front, to, from, vlan, ether_type);
}
