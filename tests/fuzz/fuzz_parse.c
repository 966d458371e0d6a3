/*
 * libFuzzer target: bytes as a frame from the wire, and as a packet from a tunnel, through parsing and what
 * works on a parsed packet alone: TTL, traffic class, the MSS of a SYN, ICMP errors and echo replies.
 *
 * A packet's tailroom is poisoned, so AddressSanitizer sees a byte read behind it as in a buffer of its size.
 */
#include "fuzz.h"
#include "net/icmp_error.h"
#include "net/mss.h"
#include "net/parse.h"
#include "net/rewrite.h"
#include "support/eal.h"

#include <stdlib.h>
#include <string.h>

#define FRAME_BYTES_MAX 2000

static const uint8_t gateway[16] = {192, 0, 2, 1};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return eal_start();
}

/* What later stages trust of a parsed packet. */
static void require_parsed(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	require(m->nb_segs == 1 && m->data_len == m->pkt_len && m->data_len == p->ip_len);
	require(p->l4 >= (p->family == IP_V4 ? 20 : 40) && p->l4 <= p->ip_len);
	require(!(p->flags & PKT_LATER_FRAGMENT) || p->flags & PKT_FRAGMENT);
	require(!(p->flags & PKT_HAS_PORTS) || (!(p->flags & PKT_LATER_FRAGMENT) && p->ip_len - p->l4 >= 2));
}

/* What the gateway makes of a packet must be one that it would take itself. */
static void require_well_formed(struct rte_mbuf *m)
{
	uint8_t family = pkt_of(m)->family;

	require_parsed(m);
	if (family == IP_V4) {
		require(rte_raw_cksum(pkt_ipv4(m), pkt_of(m)->l4) == 0xffff);
		require(rte_be_to_cpu_16(pkt_ipv4(m)->total_length) == m->data_len);
	} else {
		require(rte_be_to_cpu_16(pkt_ipv6(m)->payload_len) + 40 == m->data_len);
	}
}

static void answer_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);

	if (icmp_echo_reply_one(m)) {
		require_well_formed(m);
		require(!icmp_error_allowed_one(m));
	} else if (icmp_error_allowed_one(m)) {
		p->icmp_type = p->family == IP_V4 ? 3 : 2;
		p->icmp_code = p->family == IP_V4 ? 4 : 0;
		require(icmp_error_make_one(m, gateway));
		require_well_formed(m);
		require(m->data_len <= (p->family == IP_V4 ? 576 : 1280));
	}
}

/* The sum of what is behind the IP headers, with its checksum: the same if a change of both was right. */
static uint16_t payload_sum(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	return (uint16_t)(rte_raw_cksum(rte_pktmbuf_mtod_offset(m, void *, p->l4), p->ip_len - p->l4) %
			  0xffff);
}

static void clamp_one(struct rte_mbuf *m)
{
	const uint16_t mtus[] = {1446, 0};

	for (size_t i = 0; pkt_of(m)->flags & PKT_TCP_SYN && i < RTE_DIM(mtus); i++) {
		uint16_t before = payload_sum(m);

		mss_clamp_one(m, mtus[i]);
		require(payload_sum(m) == before);
	}
}

/* TTL, then a traffic class, then an answer; none of them may spoil a right checksum. */
static void forward_one(struct rte_mbuf *m, struct drops *drops)
{
	struct burst burst = {.n = 1, .pkts = {m}};
	struct burst expired = {0};
	bool checked = pkt_of(m)->family == IP_V6 || rte_raw_cksum(pkt_ipv4(m), pkt_of(m)->l4) == 0xffff;

	require_parsed(m);
	ttl_decrement(&burst, &expired, drops);
	require(burst.n + expired.n == 1);
	traffic_class_set_one(m, (uint8_t)~traffic_class_get_one(m));
	if (checked)
		require_well_formed(m);
	clamp_one(m);
	answer_one(m);
	rte_pktmbuf_free(m);
}

static void fuzz_frame(const uint8_t *frame, size_t length, uint16_t vlan)
{
	const struct parse_port port = {
		.mac = {{0x02, 0x00, 0x5e, 0x00, 0x02, 0x01}}, .vlan = vlan, .index = 3};
	struct burst burst = {.n = 1, .pkts = {mbuf_exact_of(frame, length)}};
	struct burst neigh = {0};
	struct drops drops = {0};

	parse_burst(&burst, &port, &neigh, &drops);
	require(burst.n + neigh.n + drops.total == 1);
	if (burst.n)
		forward_one(burst.pkts[0], &drops);
	if (neigh.n && !(pkt_of(neigh.pkts[0])->flags & PKT_ARP))
		require_parsed(neigh.pkts[0]);
	rte_pktmbuf_free_bulk(neigh.pkts, neigh.n);
}

static void fuzz_inner(const uint8_t *packet, size_t length, uint8_t family)
{
	struct rte_mbuf *m = mbuf_exact_of(packet, length);
	struct drops drops = {0};

	pkt_of(m)->flags = PKT_DECAPSULATED;
	if (parse_inner_one(m, family))
		forward_one(m, &drops);
	else
		rte_pktmbuf_free(m);
}

/* The IPv4 checksum put right, without which the fuzzer would stop at it. */
static void fix_checksum(uint8_t *packet, size_t length)
{
	size_t header = length ? (packet[0] & 15u) * 4 : 0;

	if (header < 20 || header > length || packet[0] >> 4 != 4)
		return;
	memset(packet + 10, 0, 2);
	uint16_t checksum = (uint16_t)~rte_raw_cksum(packet, header);
	memcpy(packet + 10, &checksum, sizeof(checksum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t headers[] = {14, 18};
	uint8_t frame[FRAME_BYTES_MAX];

	if (size > sizeof(frame))
		return -1;
	memcpy(frame, data, size);
	fuzz_frame(frame, size, 0);
	for (size_t i = 0; i < 2; i++) {
		if (size < headers[i])
			break;
		fix_checksum(frame + headers[i], size - headers[i]);
		fuzz_frame(frame, size, i ? 100 : 0);
		fuzz_inner(frame + headers[i], size - headers[i], IP_V4);
		fuzz_inner(frame + headers[i], size - headers[i], IP_V6);
	}
	require(rte_mempool_in_use_count(eal_pool()) == 0);
	return 0;
}
