/*
 * What the pipeline knows of a packet: one cache line in the mbuf's private area.
 *
 * Workers only; control reads it for packets handed to it. parse_burst writes the first part, and from then
 * on the mbuf's data starts at the IP header and ends with the IP packet (no Ethernet header, no padding).
 * Later stages trust it: bytes from the wire are checked in parse.c alone.
 */
#ifndef CULVERT_NET_PKT_H
#define CULVERT_NET_PKT_H

#include "base/addr.h"
#include "base/flow.h"
#include "net/ipv6_extension.h"
#include "net/martian.h"

#include <stdbool.h>
#include <stdint.h>

#include <rte_ip.h>
#include <rte_mbuf.h>

struct sa;

/* Ports of the gateway, and two more indexes: for packets that the gateway made itself, and for the host's.
 */
#define PKT_PORTS_MAX 32
#define PKT_PORT_SELF PKT_PORTS_MAX
#define PKT_PORT_HOST (PKT_PORTS_MAX + 1)
#define PKT_PORTS_ALL (PKT_PORTS_MAX + 2)

enum pkt_flag {
	PKT_HAS_PORTS = 1 << 0,      /* source_port and destination_port hold what the packet says */
	PKT_FRAGMENT = 1 << 1,       /* any fragment of a larger packet, the first included */
	PKT_LATER_FRAGMENT = 1 << 2, /* a fragment without the next layer's header */
	PKT_ARP = 1 << 3,            /* data starts at the ARP header */
	PKT_DECAPSULATED = 1 << 4,   /* came out of the inbound SA in `sa` */
	PKT_LOCAL = 1 << 5, /* made by the gateway: its TTL is not decremented, no ICMP error answers it */
	PKT_FRAME = 1 << 6, /* made by control: data starts at the Ethernet header, ready for port_out */
	PKT_UNRESOLVED = 1 << 7,    /* handed to control because its next hop has no known MAC address */
	PKT_ICV_BAD = 1 << 8,       /* crypto ran and the ICV did not verify */
	PKT_CRYPTO_FAILED = 1 << 9, /* the driver could not process it */
	PKT_OWN = 1 << 10,   /* its destination is one of the gateway's own addresses; set by flows_find */
	PKT_LARGE = 1 << 11, /* in a buffer that no port may send: frag_fill copies it into others */
	PKT_AH = 1 << 12,    /* IPv6: one of the headers that l4 is behind is AH */
	PKT_ENCAP = 1 << 13, /* ESP that came in UDP, by source_port; outbound: UDP goes in front of ESP */
	PKT_OUTER_CUT = 1 << 14, /* once encapsulated it is longer than the path takes, and is cut then */
	PKT_TCP_SYN = 1 << 15,   /* a whole TCP header that begins a connection, in no fragment */
	/* Of outbound ESP, where nothing is TCP any more: it carries nothing (RFC 4303 section 2.6). */
	PKT_DUMMY = PKT_TCP_SYN,
};

struct pkt {
	/* Set by parse_burst. */
	uint16_t flags;            /* enum pkt_flag */
	uint8_t port_in;           /* index of the port, or PKT_PORT_SELF or PKT_PORT_HOST */
	uint8_t family;            /* enum ip_family; IP_NONE for ARP */
	uint8_t protocol;          /* next layer protocol, IPv6 extension headers skipped */
	uint8_t port_out;          /* the next hop's */
	uint16_t l4;               /* offset of the next layer's header from the IP header */
	uint16_t ip_len;           /* bytes of the IP packet, its header included */
	uint16_t source_port;      /* host order; ICMP, MH: the type. Valid with PKT_HAS_PORTS */
	uint16_t destination_port; /* host order; ICMP: the code */
	/* An ICMP error that answers this packet, for packets in a burst that icmp_error_burst takes. */
	uint8_t icmp_type;
	uint8_t icmp_code;
	uint16_t icmp_mtu; /* also for packets that frag_fill takes: the most that a fragment may be long */
	/* ESP. */
	uint16_t icv_offset; /* of the ICV from the start of data */
	uint16_t esp_offset; /* of the ESP header from the start of data */
	uint16_t inner_len;  /* outbound: bytes of the packet inside, for the SA's counters */
	struct sa *sa;       /* inbound: found in the SAD; outbound: the policy's */
	uint64_t seq;        /* the whole 64-bit sequence number, also without ESN */
	/* What flows_find finds: the SPD's answer and the route. */
	struct sa *policy_sa; /* of a policy that protects, else NULL; before: the SA it came out of in a
				 bundle */
	uint32_t policy;      /* its index in the SPD's list */
	uint32_t next_hop;    /* index into the route table's next hops, or ROUTE_NONE */
	uint8_t action;       /* enum policy_action, or SPD_NO_POLICY */
	uint8_t depth;        /* SAs that it came out of, one inside the other */
	/* Of a packet that came in fragments and was made whole, else zero. */
	uint16_t fragment_bytes; /* of the longest of them */
	rte_be32_t fragment_id;  /* IPv6: which they had in common */
};

_Static_assert(sizeof(struct pkt) == 64, "one cache line");

static inline struct pkt *pkt_of(struct rte_mbuf *m)
{
	return (struct pkt *)rte_mbuf_to_priv(m);
}

static inline struct rte_ipv4_hdr *pkt_ipv4(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
}

static inline struct rte_ipv6_hdr *pkt_ipv6(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);
}

/* Pointers to the network-order addresses in the IP header: 4 or 16 bytes by pkt->family. */
static inline const uint8_t *pkt_source(struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V4 ? (const uint8_t *)&pkt_ipv4(m)->src_addr
					  : (const uint8_t *)&pkt_ipv6(m)->src_addr;
}

static inline const uint8_t *pkt_destination(struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V4 ? (const uint8_t *)&pkt_ipv4(m)->dst_addr
					  : (const uint8_t *)&pkt_ipv6(m)->dst_addr;
}

/*
 * Is it from or to an address that means nothing on another link? A router must not forward such a packet
 * (RFC 3927 section 2.7, RFC 4291 section 2.5.6).
 */
static inline bool pkt_is_link_local(struct rte_mbuf *m)
{
	if (pkt_of(m)->family == IP_V4)
		return ipv4_is_link_local(pkt_ipv4(m)->src_addr) || ipv4_is_link_local(pkt_ipv4(m)->dst_addr);
	return ipv6_is_link_local(pkt_source(m)) || ipv6_is_link_local(pkt_destination(m));
}

/*
 * Parsing follows extension headers up to the next layer. Only in a later fragment it can't, so where one's
 * number is left, the next layer is not known.
 */
static inline bool pkt_hides_protocol(const struct pkt *p)
{
	return p->family == IP_V6 && ipv6_is_extension(p->protocol);
}

/* The selector values of a parsed packet. */
static inline struct flow pkt_flow(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	return (struct flow){
		.source = ip_addr_from_bytes(p->family, pkt_source(m)),
		.destination = ip_addr_from_bytes(p->family, pkt_destination(m)),
		.protocol = p->protocol,
		.hides_protocol = pkt_hides_protocol(p),
		.has_ports = (p->flags & PKT_HAS_PORTS) != 0,
		.source_port = p->source_port,
		.destination_port = p->destination_port,
	};
}

#endif
