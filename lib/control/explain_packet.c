#include "control/explain_packet.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_ip.h>

#include "net/pkt.h"
#include "net/rewrite.h"

#define TTL                 64
#define DSCP_SHIFT          2
#define TRAFFIC_CLASS_SHIFT 20 /* RFC 8200 section 3 */
/* Of the next layer's header, at least: TCP's is the longest of those with ports. */
#define PORTS_BYTES      20
#define ICMP_BYTES       8
#define IPSEC_BYTES      12
#define ICMP_CHECKSUM_AT 2
#define TCP_OFFSET_AT    12
#define TCP_OFFSET       (5 << 4)
#define TCP_FLAGS_AT     13
#define TCP_ACK          0x10
#define UDP_LENGTH_AT    4

static bool is_icmp(uint8_t protocol)
{
	return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

static uint16_t header_bytes(const struct flow *flow)
{
	if (is_icmp(flow->protocol))
		return ICMP_BYTES;
	return flow->has_ports ? PORTS_BYTES : IPSEC_BYTES;
}

static void put_ip(uint8_t *ip, const struct explain_query *query, const struct flow *flow, uint16_t bytes)
{
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)ip;
	struct rte_ipv6_hdr *v6 = (struct rte_ipv6_hdr *)ip;
	uint8_t class = (uint8_t)(query->dscp << DSCP_SHIFT);

	if (flow->source.family == IP_V6) {
		v6->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t) class << TRAFFIC_CLASS_SHIFT);
		v6->payload_len = rte_cpu_to_be_16((uint16_t)(bytes - sizeof(*v6)));
		v6->proto = flow->protocol;
		v6->hop_limits = TTL;
		memcpy(&v6->src_addr, flow->source.bytes, 16);
		memcpy(&v6->dst_addr, flow->destination.bytes, 16);
		return;
	}
	v4->version_ihl = RTE_IPV4_VHL_DEF;
	v4->type_of_service = class;
	v4->total_length = rte_cpu_to_be_16(bytes);
	v4->fragment_offset = query->df ? RTE_BE16(RTE_IPV4_HDR_DF_FLAG) : 0;
	v4->time_to_live = TTL;
	v4->next_proto_id = flow->protocol;
	memcpy(&v4->src_addr, flow->source.bytes, 4);
	memcpy(&v4->dst_addr, flow->destination.bytes, 4);
	v4->hdr_checksum = rte_ipv4_cksum(v4);
}

static void put_icmp(uint8_t *ip, uint8_t *icmp, const struct flow *flow, uint16_t bytes)
{
	rte_be16_t checksum;

	icmp[0] = (uint8_t)flow->source_port;
	icmp[1] = (uint8_t)flow->destination_port;
	checksum = flow->source.family == IP_V6 ? rte_ipv6_udptcp_cksum((struct rte_ipv6_hdr *)ip, icmp)
						: (rte_be16_t)~rte_raw_cksum(icmp, bytes);
	memcpy(icmp + ICMP_CHECKSUM_AT, &checksum, sizeof(checksum));
}

static void put_ports(uint8_t *l4, const struct flow *flow, uint16_t bytes)
{
	const rte_be16_t ports[2] = {
		rte_cpu_to_be_16(flow->source_port), rte_cpu_to_be_16(flow->destination_port)};
	rte_be16_t length = rte_cpu_to_be_16(bytes);

	memcpy(l4, ports, sizeof(ports));
	if (flow->protocol == IPPROTO_TCP) {
		l4[TCP_OFFSET_AT] = TCP_OFFSET;
		l4[TCP_FLAGS_AT] = TCP_ACK;
	} else {
		memcpy(l4 + UDP_LENGTH_AT, &length, sizeof(length));
	}
}

/* RFC 4303 section 2, RFC 4302 section 2, RFC 3173 section 3.1. */
static void put_spi(uint8_t *l4, uint8_t protocol, uint32_t spi)
{
	rte_be32_t word = rte_cpu_to_be_32(spi);

	if (protocol == SA_IPCOMP)
		memcpy(l4 + 2, (uint8_t *)&word + 2, 2);
	else
		memcpy(l4 + (protocol == SA_AH ? 4 : 0), &word, sizeof(word));
}

struct rte_mbuf *explain_packet_make(
	const struct explain_query *query, bool inner, struct rte_mempool *pool, uint8_t port)
{
	const struct flow *flow = inner ? &query->inner : &query->flow;
	uint16_t ip_bytes =
		flow->source.family == IP_V4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	uint16_t bytes = RTE_MAX(query->bytes, (uint16_t)(ip_bytes + header_bytes(flow)));
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	uint8_t *ip = m ? (uint8_t *)rte_pktmbuf_append(m, bytes) : NULL;

	if (!ip) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memset(ip, 0, bytes);
	*pkt_of(m) = (struct pkt){.port_in = port};
	put_ip(ip, query, flow, bytes);
	if (is_icmp(flow->protocol))
		put_icmp(ip, ip + ip_bytes, flow, (uint16_t)(bytes - ip_bytes));
	else if (flow->has_ports)
		put_ports(ip + ip_bytes, flow, (uint16_t)(bytes - ip_bytes));
	else if (query->has_spi && !inner)
		put_spi(ip + ip_bytes, flow->protocol, query->spi);
	return m;
}

void explain_packet_frame(struct rte_mbuf *m, const struct rte_ether_addr *to, uint16_t vlan, uint8_t family)
{
	const struct rte_ether_addr from = {{0x02}};

	ethernet_prepend_one(m, to, &from, vlan, family == IP_V4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
}
