/*
 * libFuzzer target: bytes as an IP packet whose header, with options or extension headers, is made what AH's
 * ICV covers. The first byte is the family; what parse would not let in is left out.
 */
#include "fuzz.h"
#include "net/mutable.h"
#include "net/parse.h"
#include "net/pkt.h"
#include "support/eal.h"

#include <stdlib.h>
#include <string.h>

#define PACKET_BYTES_MAX 1500

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return eal_start();
}

/* A header in memory that ends with it. The caller frees it. */
static uint8_t *exact_copy(const uint8_t *ip, uint16_t bytes)
{
	uint8_t *copy = malloc(bytes);

	require(copy != NULL);
	memcpy(copy, ip, bytes);
	return copy;
}

/* What every router changes: the TTL, or hop limit. */
static uint8_t *ttl_of(uint8_t *ip, uint8_t family)
{
	return &ip[family == IP_V4 ? 8 : 7];
}

static void check_header(const uint8_t *ip, uint16_t bytes, uint8_t family)
{
	uint8_t *sent = exact_copy(ip, bytes), *arrived = exact_copy(ip, bytes);

	(*ttl_of(arrived, family))--;
	if (mutable_clear(sent, bytes, family)) {
		require(mutable_clear(arrived, bytes, family));
		require(memcmp(sent, arrived, bytes) == 0);
		require(*ttl_of(sent, family) == 0);
		/* What is as it arrives stays so. */
		require(mutable_clear(sent, bytes, family));
		require(memcmp(sent, arrived, bytes) == 0);
	} else {
		require(!mutable_clear(arrived, bytes, family));
	}
	free(sent);
	free(arrived);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t family;
	struct rte_mbuf *m;

	if (size < 1 || size > PACKET_BYTES_MAX)
		return -1;
	family = data[0] & 1 ? IP_V6 : IP_V4;
	m = mbuf_of(data + 1, size - 1);
	/* A wrong checksum would end most of them; IPv4's is made right, as far as there is a header. */
	if (family == IP_V4 && size > sizeof(struct rte_ipv4_hdr) && size > rte_ipv4_hdr_len(pkt_ipv4(m))) {
		pkt_ipv4(m)->hdr_checksum = 0;
		pkt_ipv4(m)->hdr_checksum =
			(rte_be16_t)~rte_raw_cksum(pkt_ipv4(m), rte_ipv4_hdr_len(pkt_ipv4(m)));
	}
	if (parse_inner_one(m, family)) {
		if (pkt_of(m)->flags & PKT_AH)
			parse_ah_one(m);
		check_header(rte_pktmbuf_mtod(m, const uint8_t *), pkt_of(m)->l4, family);
	}
	rte_pktmbuf_free(m);
	return 0;
}
