#include "net/icmp_error.h"

#include "net/icmp.h"
#include "net/martian.h"
#include "net/pkt.h"
#include "net/rewrite.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <rte_byteorder.h>

/* Internetwork control, as RFC 1812 section 4.3.2.5 asks for ICMP errors. */
#define ICMP_ERROR_TRAFFIC_CLASS 0xc0
#define DSCP_MASK                0xfc

/* What an IP header that the gateway writes says. */
struct ip_conf {
	uint8_t family;
	uint8_t traffic_class;
	uint8_t source[16];
	uint8_t destination[16];
};

static uint16_t ip_header_bytes(uint8_t family)
{
	return family == IP_V4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
}

/* An ICMP error, or of a type so strange that it may be one. */
static bool is_icmp_error(const struct pkt *p)
{
	if (!(p->flags & PKT_HAS_PORTS))
		return false;
	if (p->protocol == IPPROTO_ICMPV6)
		return p->source_port < ICMPV6_INFORMATIONAL || p->source_port == ICMPV6_REDIRECT;
	if (p->protocol != IPPROTO_ICMP)
		return false;
	switch (p->source_port) {
	case ICMPV4_UNREACHABLE:
	case ICMPV4_SOURCE_QUENCH:
	case ICMPV4_REDIRECT:
	case ICMPV4_TIME_EXCEEDED:
	case ICMPV4_PARAMETER_PROBLEM:
		return true;
	default:
		return p->source_port > ICMPV4_ADDRESS_MASK_REPLY;
	}
}

bool icmp_error_allowed_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if (p->flags & (PKT_LOCAL | PKT_LATER_FRAGMENT | PKT_ARP) || is_icmp_error(p))
		return false;
	return !address_is_local(p->family, pkt_source(m)) && !address_is_group(p->family, pkt_source(m)) &&
	       !address_is_group(p->family, pkt_destination(m));
}

/* The whole packet is ID 0 and DF=1: it has nothing to be reassembled with (RFC 6864 section 4.1). */
static void ipv4_header_write(struct rte_mbuf *m, const struct ip_conf *conf)
{
	struct rte_ipv4_hdr *ip = pkt_ipv4(m);

	*ip = (struct rte_ipv4_hdr){
		.version_ihl = RTE_IPV4_VHL_DEF,
		.type_of_service = conf->traffic_class,
		.total_length = rte_cpu_to_be_16(m->data_len),
		.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = ICMP_ERROR_TTL,
		.next_proto_id = IPPROTO_ICMP,
	};
	memcpy(&ip->src_addr, conf->source, 4);
	memcpy(&ip->dst_addr, conf->destination, 4);
	ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void ipv6_header_write(struct rte_mbuf *m, const struct ip_conf *conf)
{
	struct rte_ipv6_hdr *ip = pkt_ipv6(m);

	ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)conf->traffic_class << 20);
	ip->payload_len = rte_cpu_to_be_16((uint16_t)(m->data_len - sizeof(*ip)));
	ip->proto = IPPROTO_ICMPV6;
	ip->hop_limits = ICMP_ERROR_TTL;
	memcpy(&ip->src_addr, conf->source, 16);
	memcpy(&ip->dst_addr, conf->destination, 16);
}

/*
 * The ICMP message at `at`, with ICMPv6's pseudo header (RFC 8200 section 8.1): 0xffff if its checksum is
 * right.
 */
static uint16_t icmp_sum(struct rte_mbuf *m, uint8_t family, uint16_t at)
{
	uint16_t bytes = (uint16_t)(m->data_len - at);
	uint32_t sum = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, void *, at), bytes);

	if (family == IP_V6) {
		sum += rte_raw_cksum(
			rte_pktmbuf_mtod_offset(m, void *, offsetof(struct rte_ipv6_hdr, src_addr)),
			2 * sizeof(pkt_ipv6(m)->src_addr));
		sum += (uint32_t)rte_cpu_to_be_16(bytes) + RTE_BE16(IPPROTO_ICMPV6);
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/*
 * Write the IP header at the start of data and the checksum of the ICMP message behind it, and describe both.
 */
static void icmp_finish(struct rte_mbuf *m, const struct ip_conf *conf)
{
	struct pkt *p = pkt_of(m);
	uint16_t l4 = ip_header_bytes(conf->family);
	uint8_t *icmp = rte_pktmbuf_mtod_offset(m, uint8_t *, l4);

	if (conf->family == IP_V4)
		ipv4_header_write(m, conf);
	else
		ipv6_header_write(m, conf);
	memset(icmp + 2, 0, 2);
	rte_be16_t checksum = (rte_be16_t)~icmp_sum(m, conf->family, l4);
	memcpy(icmp + 2, &checksum, sizeof(checksum));
	*p = (struct pkt){
		/* An answer to what came out of a tunnel goes back into one: that flag stays. */
		.flags = PKT_LOCAL | PKT_HAS_PORTS | (p->flags & (PKT_DECAPSULATED | PKT_LARGE)),
		.port_in = p->port_in,
		.family = conf->family,
		.protocol = conf->family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.l4 = l4,
		.ip_len = m->data_len,
		.source_port = icmp[0],
		.destination_port = icmp[1],
		.sa = p->sa,
	};
}

/*
 * Type, code and MTU: in the low half of the last word for IPv4 (RFC 1191 section 4), in all of it for IPv6.
 */
static void icmp_header_write(uint8_t *icmp, const struct pkt *p)
{
	bool has_mtu = p->family == IP_V4
			       ? p->icmp_type == ICMPV4_UNREACHABLE && p->icmp_code == ICMPV4_CODE_NEEDS_FRAG
			       : p->icmp_type == ICMPV6_PACKET_TOO_BIG;

	memset(icmp, 0, ICMP_HEADER_BYTES);
	icmp[0] = p->icmp_type;
	icmp[1] = p->icmp_code;
	if (has_mtu) {
		rte_be16_t mtu = rte_cpu_to_be_16(p->icmp_mtu);

		memcpy(icmp + 6, &mtu, sizeof(mtu));
	}
}

bool icmp_error_make_one(struct rte_mbuf *m, const void *source)
{
	const struct pkt *p = pkt_of(m);
	struct ip_conf conf = {.family = p->family, .traffic_class = ICMP_ERROR_TRAFFIC_CLASS};
	uint16_t header = ip_header_bytes(p->family);
	uint16_t limit = p->family == IP_V4 ? ICMP_ERROR_IPV4_BYTES_MAX : ICMP_ERROR_IPV6_BYTES_MAX;
	uint16_t quote = RTE_MIN(p->ip_len, limit - header - ICMP_HEADER_BYTES);

	if (rte_pktmbuf_headroom(m) < header + ICMP_HEADER_BYTES)
		return false;
	memcpy(conf.source, source, ip_family_bytes(p->family));
	memcpy(conf.destination, pkt_source(m), ip_family_bytes(p->family));
	rte_pktmbuf_trim(m, m->data_len - quote);
	rte_pktmbuf_prepend(m, header + ICMP_HEADER_BYTES);
	icmp_header_write(rte_pktmbuf_mtod_offset(m, uint8_t *, header), p);
	icmp_finish(m, &conf);
	return true;
}

bool icmp_checksum_is_right_one(struct rte_mbuf *m)
{
	return icmp_sum(m, pkt_of(m)->family, pkt_of(m)->l4) == 0xffff;
}

static bool is_echo_request(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	bool request = p->family == IP_V4
			       ? p->protocol == IPPROTO_ICMP && p->source_port == ICMPV4_ECHO_REQUEST
			       : p->protocol == IPPROTO_ICMPV6 && p->source_port == ICMPV6_ECHO_REQUEST;

	return request && p->flags & PKT_HAS_PORTS && !(p->flags & PKT_FRAGMENT) &&
	       p->destination_port == 0 && p->ip_len - p->l4 >= ICMP_HEADER_BYTES &&
	       icmp_checksum_is_right_one(m);
}

/* IPv4 options and IPv6 extension headers of the request are left out of the reply. */
bool icmp_echo_reply_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct ip_conf conf = {.family = p->family};
	uint16_t header = ip_header_bytes(p->family);

	if (!is_echo_request(m))
		return false;
	conf.traffic_class = traffic_class_get_one(m) & DSCP_MASK;
	memcpy(conf.source, pkt_destination(m), ip_family_bytes(p->family));
	memcpy(conf.destination, pkt_source(m), ip_family_bytes(p->family));
	rte_pktmbuf_adj(m, p->l4 - header);
	*rte_pktmbuf_mtod_offset(m, uint8_t *, header) =
		p->family == IP_V4 ? ICMPV4_ECHO_REPLY : ICMPV6_ECHO_REPLY;
	icmp_finish(m, &conf);
	return true;
}
