/*
 * libFuzzer target: bytes as a train of fragments of a few packets, of both families, through reassembly, and
 * what is whole through fragmentation and reassembly again, which must give the same bytes.
 *
 * A step of six bytes is a fragment: flags and packet, offset, length, time. Its payload is a function of the
 * packet and the place, so that it can be checked.
 */
#include "fuzz.h"
#include "fwd/frag.h"
#include "fwd/reass.h"
#include "net/oversize.h"
#include "net/parse.h"
#include "support/eal.h"

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#define STEP_BYTES        6
#define STEPS_MAX         512
#define PROTOCOL          253 /* without a header that anybody reads (RFC 3692) */
#define LARGE_BUFFERS     8
#define PAYLOAD_BYTES_MAX 1900
#define PACKET_BYTES_MAX  (PAYLOAD_BYTES_MAX + 48)

static struct reass *reass;
static struct rte_mempool *large;
static uint64_t generated;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct err err;

	(void)argc, (void)argv;
	if (eal_start() != 0)
		return -1;
	large = rte_pktmbuf_pool_create(
		"fuzz-large", LARGE_BUFFERS, 0, sizeof(struct pkt), UINT16_MAX, SOCKET_ID_ANY);
	require(large != NULL);
	struct reass_conf conf = {.large = large, .socket = SOCKET_ID_ANY};
	return reass_create(&conf, &reass, &err);
}

static uint8_t byte_at(uint32_t id, size_t at)
{
	return (uint8_t)(at * 31 + at / 256 + id * 7);
}

/* What a step says. */
struct piece {
	bool v6, more, df;
	uint8_t traffic_class;
	uint32_t id;
	uint16_t offset;
	uint16_t bytes;
};

static void put_be16(uint8_t *out, unsigned value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

/* Returns the header's length. */
static size_t ipv4_write(uint8_t *out, const struct piece *piece)
{
	static const uint8_t header[20] = {0x45, [8] = 64, PROTOCOL, [12] = 10, 1, 0, 1, 10, 2, 0, 1};

	memcpy(out, header, sizeof(header));
	out[1] = piece->traffic_class;
	put_be16(out + 2, (unsigned)sizeof(header) + piece->bytes);
	out[5] = (uint8_t)piece->id;
	put_be16(out + 6, (piece->df ? 0x4000u : 0) | (piece->more ? 0x2000u : 0) | piece->offset / 8u);
	uint16_t checksum = (uint16_t)~rte_raw_cksum(out, sizeof(header));
	memcpy(out + 10, &checksum, sizeof(checksum));
	return sizeof(header);
}

static size_t ipv6_write(uint8_t *out, const struct piece *piece)
{
	static const uint8_t header[48] = {0x60, [6] = 44, 64, 0xfd, [23] = 1, 0xfd, [39] = 2, PROTOCOL};

	memcpy(out, header, sizeof(header));
	out[1] = (uint8_t)(piece->traffic_class << 4);
	put_be16(out + 4, 8u + piece->bytes);
	put_be16(out + 42, piece->offset | piece->more);
	out[47] = (uint8_t)piece->id;
	return sizeof(header);
}

/* The fragment of a step; NULL where parse would not let it in. */
static struct rte_mbuf *fragment_of(const uint8_t step[STEP_BYTES])
{
	struct piece piece = {
		.v6 = step[0] & 1,
		.more = (step[0] & 2) != 0,
		.df = (step[0] & 4) != 0,
		.traffic_class = step[0] & 8 ? 3 : 2,
		.id = step[0] >> 4,
		.offset = (uint16_t)((step[1] << 8 | step[2]) & ~7),
		.bytes = (uint16_t)(step[3] << 3 | step[4] >> 5),
	};
	uint8_t bytes[PACKET_BYTES_MAX];

	if (piece.bytes > PAYLOAD_BYTES_MAX)
		return NULL;
	size_t header = piece.v6 ? ipv6_write(bytes, &piece) : ipv4_write(bytes, &piece);
	for (size_t i = 0; i < piece.bytes; i++)
		bytes[header + i] = byte_at(piece.id, piece.offset + i);
	struct rte_mbuf *m = mbuf_of(bytes, header + piece.bytes);
	if (parse_inner_one(m, piece.v6 ? IP_V6 : IP_V4) && pkt_of(m)->flags & PKT_FRAGMENT)
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

static void require_whole(struct rte_mbuf *m, uint32_t id)
{
	const struct pkt *p = pkt_of(m);
	const uint8_t *bytes = rte_pktmbuf_mtod(m, const uint8_t *);

	require(m->nb_segs == 1 && m->data_len == m->pkt_len && m->data_len == p->ip_len);
	require(!(p->flags & (PKT_FRAGMENT | PKT_LATER_FRAGMENT)));
	require(p->l4 == (p->family == IP_V4 ? 20 : 40) && p->protocol == PROTOCOL);
	require(p->family == IP_V6 || rte_raw_cksum(bytes, 20) == 0xffff);
	for (size_t at = 0; at + p->l4 < p->ip_len; at++)
		require(bytes[p->l4 + at] == byte_at(id, at));
}

/* Cut what is whole to a size that the input chose, and put it together again. */
static void cut_and_join(struct rte_mbuf *m, uint32_t id, uint16_t mtu, struct drops *drops)
{
	struct frag frag = {.packets = eal_pool(), .generated = &generated};
	struct burst oversize = {.n = 1, .pkts = {m}};
	struct frag_cut cut = {.from = &oversize};
	uint16_t bytes = pkt_of(m)->ip_len;
	struct burst out, whole = {.n = 0};

	pkt_of(m)->flags |= PKT_LOCAL; /* so that it may be cut */
	if (bytes <= mtu || !oversize_is_cut_one(m, mtu)) {
		rte_pktmbuf_free(m);
		return;
	}
	while (frag_fill(&frag, &cut, &out, drops))
		for (uint16_t i = 0; i < out.n; i++) {
			require(whole.n == 0 && out.pkts[i]->pkt_len <= mtu);
			require(parse_inner_one(out.pkts[i], pkt_of(out.pkts[i])->family));
			pkt_of(out.pkts[i])->port_in = 1; /* apart from what waits */
			whole = (struct burst){.n = 1, .seen = PKT_FRAGMENT, .pkts = {out.pkts[i]}};
			reass_burst(reass, &whole, NULL, 1, drops);
		}
	if (whole.n == 0)
		return; /* more than REASS_FRAGMENTS_MAX */
	require(pkt_of(whole.pkts[0])->ip_len == bytes);
	require_whole(whole.pkts[0], id);
	rte_pktmbuf_free(whole.pkts[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now_tsc = 1;
	struct drops drops = {0};

	if (size > STEPS_MAX * STEP_BYTES)
		return -1;
	for (; size >= STEP_BYTES; data += STEP_BYTES, size -= STEP_BYTES) {
		struct rte_mbuf *m = fragment_of(data);
		struct burst burst = {.n = 1, .seen = PKT_FRAGMENT, .pkts = {m}};

		now_tsc += data[5] * (rte_get_tsc_hz() / 16);
		if (!m)
			continue;
		reass_burst(reass, &burst, NULL, now_tsc, &drops);
		if (burst.n == 0)
			continue;
		require_whole(burst.pkts[0], data[0] >> 4);
		cut_and_join(burst.pkts[0], data[0] >> 4, (uint16_t)(68 + 8 * data[5]), &drops);
	}
	reass_drop_all(reass, DROP_shutdown, &drops);
	require(reass_counters(reass)->held == 0);
	require(rte_mempool_in_use_count(eal_pool()) == 0 && rte_mempool_in_use_count(large) == 0);
	return 0;
}
