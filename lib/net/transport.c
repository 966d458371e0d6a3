#include "net/transport.h"

#include "net/ipv6_extension.h"
#include "net/pkt.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define NO_CHECKSUM 0 /* no header begins with its checksum */

/* The byte that says what follows the IP header, which ends at `end`. */
static uint8_t *next_header_at(struct rte_mbuf *m, uint16_t end)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t at = sizeof(struct rte_ipv6_hdr);
	uint8_t *next = &pkt_ipv6(m)->proto;

	if (pkt_of(m)->family == IP_V4)
		return &pkt_ipv4(m)->next_proto_id;
	/* parse_burst has seen that the chain gets there. */
	while (at < end) {
		uint8_t *header = ip + at;

		at += ipv6_extension_bytes(*next, header[1]);
		next = header;
	}
	return next;
}

uint8_t transport_insert_one(struct rte_mbuf *m, uint16_t bytes, uint8_t protocol)
{
	uint16_t end = pkt_of(m)->l4;
	uint8_t *from = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *next, before;

	memmove(from - bytes, from, end);
	m->data_off -= bytes;
	m->data_len += bytes;
	m->pkt_len += bytes;
	next = next_header_at(m, end);
	before = *next;
	*next = protocol;
	return before;
}

void transport_remove_one(struct rte_mbuf *m, uint16_t at, uint16_t bytes, uint8_t protocol)
{
	uint8_t *from = rte_pktmbuf_mtod(m, uint8_t *);

	*next_header_at(m, at) = protocol;
	memmove(from + bytes, from, at);
	m->data_off += bytes;
	m->data_len -= bytes;
	m->pkt_len -= bytes;
}

rte_be16_t transport_checksum_one(struct rte_mbuf *m, uint8_t protocol, uint16_t bytes)
{
	const struct pkt *p = pkt_of(m);
	uint32_t sum = rte_raw_cksum(pkt_source(m), 2 * ip_family_bytes(p->family)); /* and the destination */

	sum += rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, p->l4), bytes);
	sum += (uint32_t)rte_cpu_to_be_16(bytes) + rte_cpu_to_be_16(protocol);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (rte_be16_t)~sum;
}

/* Where the header of a protocol has a checksum that covers IP's addresses. */
static uint16_t checksum_offset(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return offsetof(struct rte_tcp_hdr, cksum);
	case IPPROTO_UDP:
		return offsetof(struct rte_udp_hdr, dgram_cksum);
	case IPPROTO_ICMPV6:
		return offsetof(struct rte_icmp_hdr, icmp_cksum);
	default:
		return NO_CHECKSUM;
	}
}

/* Of a whole UDP packet: true if its checksum is to be made, over *bytes. */
static bool udp_is_summed(const struct rte_udp_hdr *udp, uint16_t *bytes)
{
	uint16_t room = *bytes;

	*bytes = rte_be_to_cpu_16(udp->dgram_len);
	return udp->dgram_cksum != 0 && *bytes >= sizeof(*udp) && *bytes <= room;
}

void transport_checksum_set_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint8_t *header = rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4);
	uint16_t bytes = p->ip_len - p->l4;
	uint16_t at = checksum_offset(p->protocol);
	rte_be16_t checksum = 0;

	if (at == NO_CHECKSUM || p->flags & PKT_FRAGMENT || bytes < at + sizeof(checksum))
		return;
	if (p->protocol == IPPROTO_UDP && !udp_is_summed((const struct rte_udp_hdr *)header, &bytes))
		return;
	memset(header + at, 0, sizeof(checksum));
	checksum = transport_checksum_one(m, p->protocol, bytes);
	if (p->protocol == IPPROTO_UDP && checksum == 0)
		checksum = UINT16_MAX; /* since 0 says that there is none */
	memcpy(header + at, &checksum, sizeof(checksum));
}

void ip_length_set_one(struct rte_mbuf *m, uint16_t bytes)
{
	struct rte_ipv4_hdr *ip = pkt_ipv4(m);

	m->data_len = bytes;
	m->pkt_len = bytes;
	if (pkt_of(m)->family == IP_V6) {
		pkt_ipv6(m)->payload_len = rte_cpu_to_be_16((uint16_t)(bytes - sizeof(struct rte_ipv6_hdr)));
		return;
	}
	ip->total_length = rte_cpu_to_be_16(bytes);
	ip->hdr_checksum = 0;
	ip->hdr_checksum = (rte_be16_t)~rte_raw_cksum(ip, rte_ipv4_hdr_len(ip));
}
