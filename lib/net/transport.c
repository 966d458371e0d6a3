#include "net/transport.h"

#include "net/ipv6_extension.h"
#include "net/pkt.h"

#include <string.h>

#include <rte_ip.h>

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
