/*
 * Changes to headers on the way through: TTL, ECN, checksums, and the Ethernet header in front.
 *
 * Workers only, on parsed packets. Checksums are updated incrementally (RFC 1624 equation 3).
 */
#ifndef CULVERT_NET_REWRITE_H
#define CULVERT_NET_REWRITE_H

#include "net/burst.h"
#include "net/drop.h"

#include <stdint.h>

#include <rte_ether.h>

/* The checksum field after one 16-bit word under it changed from `from` to `to`; all in network order. */
static inline rte_be16_t checksum_update(rte_be16_t checksum, rte_be16_t from, rte_be16_t to)
{
	uint32_t sum = (uint16_t)~checksum + (uint16_t)~from + (uint32_t)to;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (rte_be16_t)~sum;
}

/*
 * Take one from the TTL or hop limit of each packet that is not PKT_LOCAL, and correct the IPv4 checksum.
 * Those that would reach zero are moved to *expired unchanged, with the ICMP error to send set in struct pkt
 * (time exceeded: RFC 792, RFC 4443 section 3.3).
 */
void ttl_decrement(struct burst *burst, struct burst *expired, struct drops *drops);

/* The six DSCP and two ECN bits of the packet's header (IPv4 TOS, IPv6 traffic class). */
uint8_t traffic_class_get_one(struct rte_mbuf *m);
/* Set them; the IPv4 checksum follows. */
void traffic_class_set_one(struct rte_mbuf *m, uint8_t traffic_class);

/*
 * Write an Ethernet header, with an 802.1Q tag unless vlan is 0; returns its length, at most
 * RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN.
 */
uint16_t ethernet_write(uint8_t *out, const struct rte_ether_addr *to, const struct rte_ether_addr *from,
	uint16_t vlan, uint16_t ether_type);
/* Put an Ethernet header in front, with an 802.1Q tag unless vlan is 0. The mbuf's headroom has the space. */
void ethernet_prepend_one(struct rte_mbuf *m, const struct rte_ether_addr *to,
	const struct rte_ether_addr *from, uint16_t vlan, uint16_t ether_type);

#endif
