/*
 * Packets that are longer than a link or a tunnel takes: which of them the gateway may cut into fragments,
 * and whose senders must be told.
 *
 * Workers only, on parsed packets. fwd/frag.h cuts.
 */
#ifndef CULVERT_NET_OVERSIZE_H
#define CULVERT_NET_OVERSIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "net/pkt.h"

#define IPV4_MTU_MIN 68   /* RFC 791 section 3.2: every link takes this */
#define IPV6_MTU_MIN 1280 /* RFC 8200 section 5 */

static inline bool ipv4_has_df_one(struct rte_mbuf *m)
{
	return (pkt_ipv4(m)->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) != 0;
}

/* Is it too long, or in a buffer that it can't be sent in? */
static inline bool is_oversize_one(struct rte_mbuf *m, uint16_t mtu_bytes)
{
	return pkt_of(m)->ip_len > mtu_bytes || pkt_of(m)->flags & PKT_LARGE;
}

/*
 * May the gateway cut the packet so that it goes through mtu_bytes? What it made itself, since it is the
 * source; IPv4 without DF; and what came in fragments that fit, since it goes on as its source cut it. If so,
 * struct pkt says for frag_fill how long the fragments may be.
 */
static inline bool oversize_is_cut_one(struct rte_mbuf *m, uint16_t mtu_bytes)
{
	struct pkt *p = pkt_of(m);
	bool in_fragments = p->fragment_bytes != 0 && !(p->flags & PKT_LOCAL);

	p->icmp_mtu = mtu_bytes;
	if (p->flags & PKT_LOCAL || p->ip_len <= mtu_bytes)
		return true;
	if (in_fragments && p->fragment_bytes <= mtu_bytes) {
		p->icmp_mtu = p->fragment_bytes;
		return true;
	}
	return p->family == IP_V4 && !ipv4_has_df_one(m);
}

#endif
