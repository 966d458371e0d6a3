#include "net/quote.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_esp.h>
#include <rte_udp.h>

#include "net/icmp.h"
#include "net/icmp_error.h"
#include "net/ipv6_extension.h"
#include "net/next_layer.h"
#include "net/parse.h"
#include "net/pkt.h"

#define ICMP_MTU_AT 4 /* in the ICMP header: a word, of which RFC 1191 uses the low half */

/* Bytes of a quote that have not been read. */
struct rest {
	const uint8_t *bytes;
	uint32_t n;
};

static void rest_skip(struct rest *rest, uint32_t n)
{
	rest->bytes += n;
	rest->n -= n;
}

static enum icmp_kind kind_of_ipv4(uint16_t type, uint16_t code)
{
	switch (type) {
	case ICMPV4_UNREACHABLE:
		return code == ICMPV4_CODE_NEEDS_FRAG ? ICMP_KIND_TOO_BIG : ICMP_KIND_UNREACHABLE;
	case ICMPV4_TIME_EXCEEDED:
		return ICMP_KIND_TIME_EXCEEDED;
	case ICMPV4_PARAMETER_PROBLEM:
		return ICMP_KIND_PARAMETER_PROBLEM;
	default:
		return ICMP_KIND_NONE;
	}
}

static enum icmp_kind kind_of_ipv6(uint16_t type)
{
	switch (type) {
	case ICMPV6_UNREACHABLE:
		return ICMP_KIND_UNREACHABLE;
	case ICMPV6_PACKET_TOO_BIG:
		return ICMP_KIND_TOO_BIG;
	case ICMPV6_TIME_EXCEEDED:
		return ICMP_KIND_TIME_EXCEEDED;
	case ICMPV6_PARAMETER_PROBLEM:
		return ICMP_KIND_PARAMETER_PROBLEM;
	default:
		return ICMP_KIND_NONE;
	}
}

enum icmp_kind icmp_kind_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	if ((p->flags & (PKT_HAS_PORTS | PKT_FRAGMENT)) != PKT_HAS_PORTS)
		return ICMP_KIND_NONE;
	if (p->family == IP_V4 && p->protocol == IPPROTO_ICMP)
		return kind_of_ipv4(p->source_port, p->destination_port);
	if (p->family == IP_V6 && p->protocol == IPPROTO_ICMPV6)
		return kind_of_ipv6(p->source_port);
	return ICMP_KIND_NONE;
}

/* *is_later: there is no next layer's header behind it. */
static bool ipv4_read(struct rest *rest, struct quote *quote, bool *is_later)
{
	struct rte_ipv4_hdr ip;
	uint16_t fragment;

	if (rest->n < sizeof(ip))
		return false;
	memcpy(&ip, rest->bytes, sizeof(ip));
	if (ip.version_ihl >> 4 != 4 || rte_ipv4_hdr_len(&ip) < sizeof(ip) || rte_ipv4_hdr_len(&ip) > rest->n)
		return false;
	fragment = rte_be_to_cpu_16(ip.fragment_offset);
	quote->flow.source = ip_addr_from_bytes(IP_V4, &ip.src_addr);
	quote->flow.destination = ip_addr_from_bytes(IP_V4, &ip.dst_addr);
	quote->flow.protocol = ip.next_proto_id;
	quote->has_df = (fragment & RTE_IPV4_HDR_DF_FLAG) != 0;
	quote->is_fragment = (fragment & (RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG)) != 0;
	*is_later = (fragment & RTE_IPV4_HDR_OFFSET_MASK) != 0;
	rest_skip(rest, rte_ipv4_hdr_len(&ip));
	return true;
}

static void esp_read(const struct rest *rest, struct quote *quote)
{
	struct rte_esp_hdr esp;

	if (rest->n < sizeof(esp))
		return;
	memcpy(&esp, rest->bytes, sizeof(esp));
	quote->spi = esp.spi;
	quote->seq = rte_be_to_cpu_32(esp.seq);
	quote->ipsec = IPPROTO_ESP;
}

/* RFC 4302 section 2: SPI and sequence number are the second and the third word. */
static void ah_read(const struct rest *rest, struct quote *quote)
{
	rte_be32_t words[3];

	if (rest->n < sizeof(words))
		return;
	memcpy(words, rest->bytes, sizeof(words));
	quote->spi = words[1];
	quote->seq = rte_be_to_cpu_32(words[2]);
	quote->ipsec = IPPROTO_AH;
}

/* Behind a fragment header: offset and more fragments, 0 in a packet that is whole (RFC 8200 section 4.5). */
static uint16_t ipv6_fragment_field(const uint8_t *header)
{
	rte_be16_t field;

	memcpy(&field, header + 2, sizeof(field));
	return rte_be_to_cpu_16(field) & 0xfff9;
}

/* Up to the next layer's header, or to a later fragment's data. What is cut short before that says nothing.
 */
static bool ipv6_extensions_read(struct rest *rest, struct quote *quote, bool *is_later)
{
	uint32_t bytes;

	for (unsigned headers = 0; !*is_later; headers++) {
		uint8_t protocol = quote->flow.protocol;

		if (ipv6_extension_bytes(protocol, 0) == 0)
			return true;
		if (headers == PARSE_EXT_HEADERS_MAX || rest->n < IPV6_FRAGMENT_HEADER_BYTES)
			return false;
		bytes = ipv6_extension_bytes(protocol, rest->bytes[1]);
		if (bytes > rest->n)
			return false;
		if (protocol == IPPROTO_FRAGMENT) {
			uint16_t field = ipv6_fragment_field(rest->bytes);

			quote->is_fragment = field != 0;
			*is_later = field > 1;
		}
		if (protocol == IPPROTO_AH)
			ah_read(rest, quote);
		quote->flow.protocol = rest->bytes[0];
		rest_skip(rest, bytes);
	}
	return true;
}

static bool ipv6_read(struct rest *rest, struct quote *quote, bool *is_later)
{
	struct rte_ipv6_hdr ip;

	if (rest->n < sizeof(ip))
		return false;
	memcpy(&ip, rest->bytes, sizeof(ip));
	if (rest->bytes[0] >> 4 != 6)
		return false;
	quote->flow.source = ip_addr_from_bytes(IP_V6, &ip.src_addr);
	quote->flow.destination = ip_addr_from_bytes(IP_V6, &ip.dst_addr);
	quote->flow.protocol = ip.proto;
	rest_skip(rest, sizeof(ip));
	if (!ipv6_extensions_read(rest, quote, is_later))
		return false;
	quote->flow.hides_protocol = ipv6_is_extension(quote->flow.protocol);
	return true;
}

/* Whether it is ESP that the UDP packet carried, the SA that is then found says. */
static void udp_read(const struct rest *rest, struct quote *quote)
{
	struct rest payload = *rest;

	if (rest->n < sizeof(struct rte_udp_hdr))
		return;
	rest_skip(&payload, sizeof(struct rte_udp_hdr));
	esp_read(&payload, quote);
	quote->in_udp = quote->ipsec != 0;
}

/* What names the SA that sent the packet. */
static void ipsec_read(const struct rest *rest, struct quote *quote)
{
	switch (quote->flow.protocol) {
	case IPPROTO_ESP:
		esp_read(rest, quote);
		return;
	case IPPROTO_AH:
		ah_read(rest, quote);
		return;
	case IPPROTO_UDP:
		udp_read(rest, quote);
		return;
	default:
		return;
	}
}

/* Of ICMP other than echo, it is something else, or unused. */
static void echo_id_read(const struct rest *rest, struct quote *quote)
{
	uint8_t protocol = quote->flow.protocol;

	if ((protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) &&
		rest->n >= ICMP_ECHO_ID_AT + sizeof(quote->echo_id))
		memcpy(&quote->echo_id, rest->bytes + ICMP_ECHO_ID_AT, sizeof(quote->echo_id));
}

static void next_layer_read(const struct rest *rest, struct quote *quote)
{
	struct flow *flow = &quote->flow;

	flow->has_ports = next_layer_ports(flow->protocol, rest->bytes, rest->n, &flow->source_port,
				  &flow->destination_port) == NEXT_LAYER_PORTS;
	echo_id_read(rest, quote);
	if (!quote->ipsec)
		ipsec_read(rest, quote);
}

/* RFC 1191 section 4: of IPv4's word, the upper half is unused, and may be anything. */
static uint32_t mtu_read(const uint8_t *icmp, uint8_t family)
{
	rte_be32_t word;

	memcpy(&word, icmp + ICMP_MTU_AT, sizeof(word));
	return family == IP_V4 ? rte_be_to_cpu_32(word) & UINT16_MAX : rte_be_to_cpu_32(word);
}

/* An IP packet of that family, up to the first bytes behind its headers. */
static bool packet_read(struct rest *rest, uint8_t family, struct quote *quote)
{
	bool is_later = false;

	if (family == IP_V4 ? !ipv4_read(rest, quote, &is_later) : !ipv6_read(rest, quote, &is_later))
		return false;
	if (!is_later)
		next_layer_read(rest, quote);
	return true;
}

bool quote_read_packet(const uint8_t *ip, uint32_t n, struct quote *quote)
{
	struct rest rest = {.bytes = ip, .n = n};

	*quote = (struct quote){.kind = ICMP_KIND_NONE};
	return n > 0 && packet_read(&rest, ip[0] >> 4 == 4 ? IP_V4 : IP_V6, quote);
}

bool quote_read_one(struct rte_mbuf *m, struct quote *quote)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *icmp = rte_pktmbuf_mtod_offset(m, const uint8_t *, p->l4);
	struct rest rest = {.bytes = icmp, .n = p->ip_len - p->l4};

	*quote = (struct quote){.kind = icmp_kind_one(m)};
	if (quote->kind == ICMP_KIND_NONE || rest.n < ICMP_HEADER_BYTES || !icmp_checksum_is_right_one(m))
		return false;
	if (quote->kind == ICMP_KIND_TOO_BIG)
		quote->mtu_bytes = mtu_read(icmp, p->family);
	rest_skip(&rest, ICMP_HEADER_BYTES);
	return packet_read(&rest, p->family, quote);
}

/* RFC 792 and RFC 4443 section 4: what answers an echo is another type. */
static uint16_t echo_reversed(uint8_t protocol, uint16_t type)
{
	uint16_t request = protocol == IPPROTO_ICMP ? ICMPV4_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
	uint16_t reply = protocol == IPPROTO_ICMP ? ICMPV4_ECHO_REPLY : ICMPV6_ECHO_REPLY;

	return type == request ? reply : type == reply ? request : type;
}

struct flow flow_reversed(const struct flow *flow)
{
	struct flow reversed = *flow;

	reversed.source = flow->destination;
	reversed.destination = flow->source;
	if (flow->protocol == IPPROTO_MH) /* one type, which has no reverse */
		return reversed;
	if (flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6) {
		reversed.source_port = echo_reversed(flow->protocol, flow->source_port);
		return reversed;
	}
	reversed.source_port = flow->destination_port;
	reversed.destination_port = flow->source_port;
	return reversed;
}
