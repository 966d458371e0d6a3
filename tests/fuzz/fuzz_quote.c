/*
 * libFuzzer target: bytes as the quote of an ICMP error, behind a first byte that chooses the error, and the
 * flow that answers it. The error is whole and its checksum right, without which nothing would be read.
 *
 * Nothing lies behind the packet for AddressSanitizer, so a byte read there is seen.
 */
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

/* Checks in every build type, unlike assert. */
static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	require(!quote->has_ipsec || (quoted_bytes >= header + 8 && quote->flow.protocol == IPPROTO_ESP));
	require(!(quote->has_ipsec && quote->flow.has_ports));
	require(ip_addr_equal(&again.source, &quote->flow.source) &&
		ip_addr_equal(&again.destination, &quote->flow.destination) &&
		again.source_port == quote->flow.source_port &&
		again.destination_port == quote->flow.destination_port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t packet[PACKET_BYTES_MAX];
	struct quote quote;

	if (size < 1 || size - 1 > QUOTE_BYTES_MAX)
		return -1;
	size_t chosen = data[0] % RTE_DIM(errors);
	uint8_t family = errors[chosen].family;
	struct packet_spec spec = {.family = family,
		.protocol = family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
		.source_port = errors[chosen].type,
		.destination_port = errors[chosen].code,
		.icmp_word = 1400,
		.payload = data + 1,
		.payload_bytes = (uint16_t)(size - 1)};
	struct rte_mbuf *m = mbuf_exact_of(packet, packet_build(&spec, packet));

	require(parse_inner_one(m, family));
	require(icmp_kind_one(m) == errors[chosen].kind);
	if (quote_read_one(m, &quote))
		require_read(&quote, family, size - 1);
	rte_pktmbuf_free(m);
	require(rte_mempool_in_use_count(eal_pool()) == 0);
	return 0;
}
