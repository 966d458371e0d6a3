/*
 * The tunnel's IP header in front of a packet (RFC 4301 section 5.1.2), whatever is behind it: ESP, AH or
 * IPComp.
 *
 * Workers only; for the files that encapsulate. The SA's outer_header is the template.
 */
#ifndef CULVERT_IPSEC_OUTER_H
#define CULVERT_IPSEC_OUTER_H

#include "ipsec/sa.h"
#include "net/oversize.h"
#include "net/pkt.h"
#include "net/rewrite.h"

#include <stdint.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>

/* What goes in front of the tunnel's header on the link: neigh_resolve counts on the room. */
#define LINK_HEADER_BYTES (sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr))

/* RFC 8200 section 3 */
#define TRAFFIC_CLASS_SHIFT 20
#define FLOW_LABEL_MASK     0xfffffu

static inline void outer_ipv4_write_one(
	uint8_t *out, const struct sa *sa, uint8_t traffic_class, uint16_t length)
{
	const struct rte_ipv4_hdr *template = (const struct rte_ipv4_hdr *)sa->outer_header;
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;
	uint32_t sum;

	*ip = *template;
	ip->type_of_service = traffic_class;
	ip->total_length = rte_cpu_to_be_16(length);
	/*
	 * The template's checksum is of a zero TOS and length: what they add is all that changes (RFC 1624).
	 */
	sum = (uint16_t) ~template->hdr_checksum + rte_cpu_to_be_16(traffic_class) +
	      (uint32_t)ip->total_length;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->hdr_checksum = (rte_be16_t)~sum;
}

/*
 * The header of a packet that routers may fragment, as its SA or the inner packet says. Its ID is unique for
 * as long as 16 bits allow (RFC 6864 section 4.2); where they are too few, the ICV finds fragments that were
 * mixed up.
 */
static inline void outer_df_clear_one(uint8_t *out, const struct sa *sa, struct rte_mbuf *inner, uint64_t seq)
{
	struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;
	rte_be16_t id = rte_cpu_to_be_16((uint16_t)(sa->outer_id + seq));

	if (sa->df == SA_DF_COPY && (pkt_of(inner)->family == IP_V6 || ipv4_has_df_one(inner)))
		return;
	ip->hdr_checksum = checksum_update(ip->hdr_checksum, ip->fragment_offset, 0);
	ip->hdr_checksum = checksum_update(ip->hdr_checksum, ip->packet_id, id);
	ip->fragment_offset = 0;
	ip->packet_id = id;
}

/*
 * RFC 6438 section 3: a hash of the inner flow, so that routers may balance flows and keep each in order.
 * Fragments of a flow have the same one, whether their ports can be seen or not. 0 is no label.
 */
static inline uint32_t flow_label_one(struct rte_mbuf *m, uint32_t seed)
{
	const struct pkt *p = pkt_of(m);
	bool has_ports = (p->flags & (PKT_HAS_PORTS | PKT_FRAGMENT)) == PKT_HAS_PORTS;
	uint32_t ports = has_ports ? (uint32_t)p->source_port << 16 | p->destination_port : 0;
	uint32_t hash = rte_hash_crc_8byte((uint64_t)p->protocol << 32 | ports, seed);
	uint64_t addresses[4];
	unsigned n = p->family == IP_V4 ? 1 : 4;

	memcpy(addresses, pkt_source(m), n * sizeof(addresses[0]));
	for (unsigned i = 0; i < n; i++)
		hash = rte_hash_crc_8byte(addresses[i], hash);
	return RTE_MAX(hash & FLOW_LABEL_MASK, 1u);
}

static inline void outer_ipv6_write_one(
	uint8_t *out, const struct sa *sa, uint8_t traffic_class, uint32_t flow_label, uint16_t length)
{
	struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)out;

	memcpy(ip, sa->outer_header, sizeof(*ip));
	ip->vtc_flow |= rte_cpu_to_be_32((uint32_t)traffic_class << TRAFFIC_CLASS_SHIFT | flow_label);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(length - sizeof(*ip)));
}

/* Write it in front of `inner`, at `out`; the outer packet is `length` bytes long. */
static inline void outer_write_one(
	uint8_t *out, const struct sa *sa, struct rte_mbuf *inner, uint16_t length, uint64_t seq)
{
	uint8_t traffic_class = (traffic_class_get_one(inner) & sa->class_copied) | sa->class_fixed;

	if (sa->family == IP_V6) {
		outer_ipv6_write_one(out, sa, traffic_class, flow_label_one(inner, sa->label_seed), length);
		return;
	}
	outer_ipv4_write_one(out, sa, traffic_class, length);
	if (unlikely(sa->df != SA_DF_SET))
		outer_df_clear_one(out, sa, inner, seq);
}

#endif
