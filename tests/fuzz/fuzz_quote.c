/*
 * libFuzzer target: bytes as the quote of an ICMP error, behind a first byte that chooses the error, and the
 * flow that answers it. The error is whole and its checksum right, without which nothing would be read.
 *
 * Nothing lies behind the packet for AddressSanitizer, so a byte read there is seen.
 */
#include "fuzz.h"
#include "net/icmp.h"
#include "net/parse.h"
#include "net/quote.h"
#include "support/eal.h"
#include "support/packet.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define QUOTE_BYTES_MAX 1400

static const struct {
	uint8_t family, type, code;
	enum icmp_kind kind;
} errors[] = {
	{IP_V4, 3, 4, ICMP_KIND_TOO_BIG},
	{IP_V6, 2, 0, ICMP_KIND_TOO_BIG},
	{IP_V4, 3, 1, ICMP_KIND_UNREACHABLE},
	{IP_V6, 1, 4, ICMP_KIND_UNREACHABLE},
	{IP_V4, 11, 0, ICMP_KIND_TIME_EXCEEDED},
	{IP_V6, 3, 0, ICMP_KIND_TIME_EXCEEDED},
	{IP_V4, 12, 0, ICMP_KIND_PARAMETER_PROBLEM},
	{IP_V6, 4, 1, ICMP_KIND_PARAMETER_PROBLEM},
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return eal_start();
}

/* What those who judge a quote trust. */
static void require_read(const struct quote *quote, uint8_t family, size_t quoted_bytes)
{
	size_t header = family == IP_V4 ? 20 : 40;
	struct flow back = flow_reversed(&quote->flow);
	struct flow again = flow_reversed(&back);

	require(quoted_bytes >= header);
	require(quote->flow.source.family == family && quote->flow.destination.family == family);
	require(!quote->flow.has_ports || quoted_bytes >= header + 2);
	require(!quote->ipsec || quoted_bytes >= header + 8);
	require(quote->ipsec != IPPROTO_ESP || quote->in_udp || quote->flow.protocol == IPPROTO_ESP);
	require(!quote->in_udp || (quote->flow.protocol == IPPROTO_UDP && quoted_bytes >= header + 16));
	require(ip_addr_equal(&again.source, &quote->flow.source) &&
		ip_addr_equal(&again.destination, &quote->flow.destination) &&
		again.source_port == quote->flow.source_port &&
		again.destination_port == quote->flow.destination_port);
}

static void put_be16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

/* The IP header, without a checksum of IPv4, which parse_whole_one does not look at. Returns its length. */
static size_t header_write(uint8_t *packet, uint8_t family, size_t payload_bytes)
{
	static const uint8_t ipv4[] = {
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, IPPROTO_ICMP, 0, 0, 203, 0, 113, 9, 192, 0, 2, 1};
	static const uint8_t ipv6[40] = {0x60, [6] = IPPROTO_ICMPV6, [7] = 64, [8] = 0x20, [9] = 0x01,
		[23] = 9, [24] = 0x20, [25] = 0x01, [39] = 1};

	if (family == IP_V4) {
		memcpy(packet, ipv4, sizeof(ipv4));
		put_be16(packet + 2, sizeof(ipv4) + payload_bytes);
		return sizeof(ipv4);
	}
	memcpy(packet, ipv6, sizeof(ipv6));
	put_be16(packet + 4, payload_bytes);
	return sizeof(ipv6);
}

/* The whole error; returns its length. */
static size_t error_write(uint8_t *packet, size_t chosen, const uint8_t *quote, size_t n)
{
	uint8_t family = errors[chosen].family;
	size_t l4 = header_write(packet, family, ICMP_HEADER_BYTES + n);
	size_t length = l4 + ICMP_HEADER_BYTES + n;
	uint8_t *icmp = packet + l4;

	memset(icmp, 0, ICMP_HEADER_BYTES);
	icmp[0] = errors[chosen].type;
	icmp[1] = errors[chosen].code;
	memcpy(icmp + ICMP_HEADER_BYTES, quote, n);
	put_be16(icmp + 2, packet_l4_checksum(packet, l4, length, packet[family == IP_V4 ? 9 : 6]));
	return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t packet[PACKET_BYTES_MAX];
	struct quote quote;

	if (size < 1 || size - 1 > QUOTE_BYTES_MAX)
		return -1;
	size_t chosen = data[0] % RTE_DIM(errors);
	uint8_t family = errors[chosen].family;
	struct rte_mbuf *m = mbuf_exact_of(packet, error_write(packet, chosen, data + 1, size - 1));

	pkt_of(m)->family = family;
	require(parse_whole_one(m));
	require(icmp_kind_one(m) == errors[chosen].kind);
	if (quote_read_one(m, &quote))
		require_read(&quote, family, size - 1);
	rte_pktmbuf_free(m);
	require(rte_mempool_in_use_count(eal_pool()) == 0);
	return 0;
}
