#include "net/parse.h"

#include "net/ipv6_extension.h"
#include "net/martian.h"
#include "net/next_layer.h"
#include "net/stage.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_prefetch.h>
#include <rte_tcp.h>

/* Packets whose headers are on their way to the cache while one is parsed. */
#define PREFETCH_AHEAD 4

/* What is to be done with a packet: one of these, or an enum drop_reason, none of which is negative. */
enum {
	PARSE_KEEP = -1,
	PARSE_NEIGH = -2,
};

#define VLAN_ID_MASK 0xfff
#define ARP_BYTES    28    /* RFC 826 for Ethernet and IPv4 */
#define IP_BYTES_MAX 65535 /* of IPv4 with its header (RFC 791 section 3.1), of IPv6 without */

#define IPV6_EXT_HEADER_BYTES_MIN 8 /* RFC 8200 section 4 */

/* RFC 4861 section 4: router solicitation to redirect. */
#define ND_TYPE_FIRST 133
#define ND_TYPE_LAST  137

static rte_be16_t be16_at(const uint8_t *bytes)
{
	rte_be16_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/*
 * A fragment at `offset` in its packet, of `bytes` with what is in front of it; false if it reaches past the
 * largest packet. One that is the whole packet is no fragment (IPv6 may mark it as one all the same, RFC
 * 6946).
 */
static bool parse_fragment(struct pkt *p, uint32_t offset, bool more, uint32_t bytes)
{
	if (offset == 0 && !more)
		return true;
	p->flags |= PKT_FRAGMENT;
	if (offset != 0)
		p->flags |= PKT_LATER_FRAGMENT;
	return offset + bytes <= IP_BYTES_MAX;
}

/* Rare, and told here because later stages would have to touch the header for it. */
static inline bool is_tcp_syn(const struct pkt *p, const uint8_t *l4, unsigned bytes)
{
	const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)l4;

	return bytes >= sizeof(*tcp) && tcp->tcp_flags & RTE_TCP_SYN_FLAG && !(p->flags & PKT_FRAGMENT);
}

/*
 * Record what selectors see of the next layer's header (RFC 4301 section 4.4.1.1); false if it is cut short.
 */
static inline bool parse_next_layer(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const uint8_t *l4 = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4);
	unsigned bytes = p->ip_len - p->l4;

	if (p->flags & PKT_LATER_FRAGMENT)
		return true;
	if (p->protocol == IPPROTO_TCP && is_tcp_syn(p, l4, bytes))
		p->flags |= PKT_TCP_SYN;
	switch (next_layer_ports(p->protocol, l4, bytes, &p->source_port, &p->destination_port)) {
	case NEXT_LAYER_SHORT:
		return false;
	case NEXT_LAYER_PORTS:
		p->flags |= PKT_HAS_PORTS;
		return true;
	default:
		return true;
	}
}

/* A host's address that needs no closer look, as nearly all are: 1.0.0.0 to 126.255.255.255, 128.0.0.0 to
 * 223.255.255.255. */
static inline bool ipv4_is_plain(rte_be32_t address)
{
	uint32_t value = rte_be_to_cpu_32(address);

	return value - UINT32_C(0x01000000) < UINT32_C(0x7e000000) ||
	       value - UINT32_C(0x80000000) < UINT32_C(0x60000000);
}

/* The packet may go on by its addresses: PARSE_KEEP. */
static int parse_addresses(struct rte_mbuf *m)
{
	uint8_t family = pkt_of(m)->family;
	const uint8_t *source = pkt_source(m);
	const uint8_t *destination = pkt_destination(m);

	if (address_is_local(family, source) || address_is_group(family, source))
		return DROP_in_martian;
	if (address_is_local(family, destination))
		return DROP_in_martian;
	if (address_is_group(family, destination))
		return DROP_in_multicast;
	return PARSE_KEEP;
}

/*
 * Cut off Ethernet or TFC padding; from here on the mbuf ends with the IP packet. It is one segment, see
 * parse_buffer.
 */
static void parse_trim(struct rte_mbuf *m, uint32_t ip_len)
{
	pkt_of(m)->ip_len = (uint16_t)ip_len;
	m->data_len = (uint16_t)ip_len;
	m->pkt_len = ip_len;
}

/*
 * The checksum of a header without options, as nearly all are. The sum is the same in words of any size, once
 * it is folded (RFC 1071 section 2): a number added to itself with its halves exchanged has in its upper half
 * their sum, with the carry.
 */
static inline bool ipv4_sum_plain_is_right(const struct rte_ipv4_hdr *ip)
{
	uint64_t first, second, sum;
	uint32_t last, folded;

	memcpy(&first, ip, sizeof(first));
	memcpy(&second, (const uint8_t *)ip + sizeof(first), sizeof(second));
	memcpy(&last, &ip->dst_addr, sizeof(last));
	sum = first + second;
	sum += sum < second;
	sum += last;
	sum += sum < last;
	sum += sum << 32 | sum >> 32;
	folded = (uint32_t)(sum >> 32);
	folded += folded << 16 | folded >> 16;
	return folded >> 16 == UINT16_MAX;
}

static bool ipv4_checksum_is_right(const struct rte_ipv4_hdr *ip, uint32_t header)
{
	return header == sizeof(*ip) ? ipv4_sum_plain_is_right(ip) : rte_raw_cksum(ip, header) == UINT16_MAX;
}

static int parse_ipv4(struct rte_mbuf *m, bool checksum_good)
{
	const struct rte_ipv4_hdr *ip = pkt_ipv4(m);
	struct pkt *p = pkt_of(m);

	if (m->data_len < sizeof(*ip) || ip->version_ihl >> 4 != 4)
		return DROP_in_hdr;
	uint32_t header = rte_ipv4_hdr_len(ip);
	uint32_t total = rte_be_to_cpu_16(ip->total_length);
	if (header < sizeof(*ip) || total < header || total > m->data_len)
		return DROP_in_hdr;
	if (!checksum_good && !ipv4_checksum_is_right(ip, header))
		return DROP_in_checksum;

	parse_trim(m, total);
	p->family = IP_V4;
	p->protocol = ip->next_proto_id;
	p->l4 = (uint16_t)header;
	uint16_t fragment = rte_be_to_cpu_16(ip->fragment_offset);
	uint32_t offset = (fragment & RTE_IPV4_HDR_OFFSET_MASK) * RTE_IPV4_HDR_OFFSET_UNITS;
	if (!parse_fragment(p, offset, fragment & RTE_IPV4_HDR_MF_FLAG, total) || !parse_next_layer(m))
		return DROP_in_hdr;
	return ipv4_is_plain(ip->src_addr) && ipv4_is_plain(ip->dst_addr) ? PARSE_KEEP : parse_addresses(m);
}

/* Read the fragment header at `at`; false if it is one too many or impossible. */
static bool parse_fragment_header(struct rte_mbuf *m, uint32_t at, bool *fragment_header)
{
	const uint8_t *header = rte_pktmbuf_mtod_offset(m, const uint8_t *, at);
	uint16_t field = rte_be_to_cpu_16(be16_at(header + 2));

	if (*fragment_header)
		return false; // reassembly could take the other one for the packet's
	*fragment_header = true;
	return parse_fragment(
		pkt_of(m), field & 0xfff8, field & 1, rte_be_to_cpu_16(pkt_ipv6(m)->payload_len));
}

/*
 * Follow the chain of extension headers (RFC 8200 section 4) to the next layer, or to a later fragment's
 * data, whose headers are not here. False if it is too long, cut short, or out of order.
 */
static bool parse_extensions(struct rte_mbuf *m, bool *fragment_header)
{
	struct pkt *p = pkt_of(m);
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t protocol = pkt_ipv6(m)->proto;
	uint32_t at = sizeof(struct rte_ipv6_hdr);

	for (unsigned headers = 0; ipv6_extension_bytes(protocol, 0) && !(p->flags & PKT_LATER_FRAGMENT);
		headers++) {
		if (headers == PARSE_EXT_HEADERS_MAX || at + IPV6_EXT_HEADER_BYTES_MIN > p->ip_len)
			return false;
		if (protocol == IPPROTO_HOPOPTS && headers > 0)
			return false; // section 4.1: only directly behind the IPv6 header
		uint32_t bytes = ipv6_extension_bytes(protocol, ip[at + 1]);
		if (at + bytes > p->ip_len)
			return false;
		if (protocol == IPPROTO_FRAGMENT && !parse_fragment_header(m, at, fragment_header))
			return false;
		if (protocol == IPPROTO_AH)
			p->flags |= PKT_AH;
		protocol = ip[at];
		at += bytes;
	}
	p->protocol = protocol;
	p->l4 = (uint16_t)at;
	return true;
}

static bool is_neighbour_discovery(const struct pkt *p)
{
	return p->protocol == IPPROTO_ICMPV6 && p->flags & PKT_HAS_PORTS && p->source_port >= ND_TYPE_FIRST &&
	       p->source_port <= ND_TYPE_LAST;
}

/* It goes by multicast, and from `::` while an address is being claimed (RFC 4862 section 5.4). */
static int parse_neighbour_discovery(struct rte_mbuf *m)
{
	const uint8_t *source = pkt_source(m);
	bool martian = address_is_local(IP_V6, source) || address_is_group(IP_V6, source);

	return martian && !ipv6_is_unspecified(source) ? DROP_in_martian : PARSE_NEIGH;
}

static int parse_ipv6(struct rte_mbuf *m)
{
	const struct rte_ipv6_hdr *ip = pkt_ipv6(m);
	struct pkt *p = pkt_of(m);
	bool fragment_header = false;

	if (m->data_len < sizeof(*ip) || *(const uint8_t *)ip >> 4 != 6)
		return DROP_in_hdr;
	// A jumbogram has the length 0 (RFC 2675): its hop-by-hop header lies outside and counts as cut
	// short.
	uint32_t total = sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len);
	if (total > m->data_len)
		return DROP_in_hdr;

	parse_trim(m, total);
	p->family = IP_V6;
	if (!parse_extensions(m, &fragment_header) || !parse_next_layer(m))
		return DROP_in_hdr;
	if (is_neighbour_discovery(p) && !fragment_header) // RFC 6980 section 5 allows none in fragments
		return parse_neighbour_discovery(m);
	return parse_addresses(m);
}

static int parse_ip(struct rte_mbuf *m, uint8_t family, bool checksum_good)
{
	return family == IP_V4 ? parse_ipv4(m, checksum_good) : parse_ipv6(m);
}

static int parse_arp(struct rte_mbuf *m)
{
	if (m->data_len < ARP_BYTES)
		return DROP_nd_bad;
	rte_pktmbuf_trim(m, m->data_len - ARP_BYTES);
	pkt_of(m)->flags = PKT_ARP;
	return PARSE_NEIGH;
}

/* One segment that nobody else reads, since crypto works in place. */
static bool parse_buffer(struct rte_mbuf *m)
{
	if (!RTE_MBUF_DIRECT(m) || rte_mbuf_refcnt_read(m) != 1)
		return false;
	return m->nb_segs == 1 || rte_pktmbuf_linearize(m) == 0;
}

/*
 * Check the frame's addresses and tag, and take its Ethernet header off: *ether_type is then that of data.
 * *group says that it was sent to more than one station.
 */
static int parse_ethernet(
	struct rte_mbuf *m, const struct parse_port *port, rte_be16_t *ether_type, bool *group)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	uint16_t header = sizeof(*ether);
	uint16_t vlan = 0;

	if (m->data_len < header)
		return DROP_in_hdr;
	*group = rte_is_multicast_ether_addr(&ether->dst_addr);
	if (!*group && !rte_is_same_ether_addr(&ether->dst_addr, &port->mac))
		return DROP_eth_not_ours;
	*ether_type = ether->ether_type;
	if (*ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN)) {
		const struct rte_vlan_hdr *tag = (const struct rte_vlan_hdr *)(ether + 1);

		header += sizeof(*tag);
		if (m->data_len < header)
			return DROP_in_hdr;
		vlan = rte_be_to_cpu_16(tag->vlan_tci) & VLAN_ID_MASK;
		*ether_type = tag->eth_proto;
	}
	if (vlan != port->vlan)
		return DROP_eth_vlan;
	m->data_off += header;
	m->data_len -= header;
	m->pkt_len -= header;
	return PARSE_KEEP;
}

static int parse_frame_one(struct rte_mbuf *m, const struct parse_port *port)
{
	bool checksum_good = (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	rte_be16_t ether_type;
	bool group;

	*pkt_of(m) = (struct pkt){.port_in = port->index};
	if (!parse_buffer(m))
		return DROP_in_buf;
	int verdict = parse_ethernet(m, port, &ether_type, &group);
	if (verdict != PARSE_KEEP)
		return verdict;
	if (ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
		verdict = parse_ip(m, IP_V4, checksum_good);
	else if (ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
		verdict = parse_ip(m, IP_V6, false);
	else if (ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP))
		verdict = parse_arp(m);
	else
		verdict = DROP_eth_type;
	// RFC 1122 section 3.3.6: a unicast packet in a broadcast frame is to be discarded.
	return group && verdict == PARSE_KEEP ? DROP_in_multicast : verdict;
}

static void parse_prefetch(struct rte_mbuf *m)
{
	rte_prefetch0(rte_pktmbuf_mtod(m, void *));
	rte_prefetch0(pkt_of(m));
}

void parse_burst(struct burst *burst, const struct parse_port *port, struct burst *neigh, struct drops *drops)
{
	STAGE(parse, burst, drops, neigh);
	uint16_t kept = 0, seen = 0;

	for (uint16_t i = 0; i < RTE_MIN(burst->n, PREFETCH_AHEAD); i++)
		parse_prefetch(burst->pkts[i]);
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		if (i + PREFETCH_AHEAD < burst->n)
			parse_prefetch(burst->pkts[i + PREFETCH_AHEAD]);
		int verdict = parse_frame_one(m, port);
		seen |= pkt_of(m)->flags;
		if (verdict == PARSE_KEEP)
			burst->pkts[kept++] = m;
		else if (verdict == PARSE_NEIGH)
			burst_add_one(neigh, m);
		else
			drop_one(drops, m, (enum drop_reason)verdict);
	}
	burst->n = kept;
	burst->seen = seen;
}

bool parse_inner_one(struct rte_mbuf *m, uint8_t family)
{
	struct pkt *p = pkt_of(m);

	*p = (struct pkt){
		.flags = p->flags & (PKT_DECAPSULATED | PKT_LARGE),
		.port_in = p->port_in,
		.depth = p->depth,
		.sa = p->sa,
		.seq = p->seq,
	};
	// What the NIC said of a checksum was about the outer header. Neighbour discovery is for the link
	// only.
	return parse_ip(m, family, false) == PARSE_KEEP && !pkt_is_link_local(m);
}

enum drop_reason parse_host_one(struct rte_mbuf *m)
{
	uint8_t version = *rte_pktmbuf_mtod(m, const uint8_t *) >> 4;
	int verdict = parse_ip(m, version == 6 ? IP_V6 : IP_V4, false);

	// It has no neighbours: what it says of its link is for nobody.
	if (verdict == PARSE_NEIGH || (verdict == PARSE_KEEP && pkt_is_link_local(m)))
		return DROP_in_link_local;
	return verdict == PARSE_KEEP ? DROP_COUNT : (enum drop_reason)verdict;
}

void parse_ah_one(struct rte_mbuf *m)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	uint8_t protocol = pkt_ipv6(m)->proto;
	uint32_t at = sizeof(struct rte_ipv6_hdr);

	/* parse_extensions has been here, and found it. */
	while (protocol != IPPROTO_AH) {
		uint8_t next = ip[at];

		at += ipv6_extension_bytes(protocol, ip[at + 1]);
		protocol = next;
	}
	pkt_of(m)->protocol = IPPROTO_AH;
	pkt_of(m)->l4 = (uint16_t)at;
}

bool parse_whole_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	*p = (struct pkt){
		.flags = p->flags & (PKT_DECAPSULATED | PKT_LARGE),
		.port_in = p->port_in,
		.depth = p->depth,
		.family = p->family,
		.sa = p->sa,
		.seq = p->seq,
		.fragment_bytes = p->fragment_bytes,
		.fragment_id = p->fragment_id,
	};
	// Who made it whole wrote the checksum. RFC 6980 section 5 allows no neighbour discovery in
	// fragments.
	return parse_ip(m, p->family, true) == PARSE_KEEP;
}
