/*
 * libFuzzer target: bytes as a packet out of ESP, through IPComp on the way in; what comes out, compressed
 * and decompressed again, must be the same packet.
 *
 * The first byte chooses the families, the mode, and whether IPComp's header is there; the second is the next
 * header; the rest is the payload. The SAs are those of IPComp alone, since no key can be in its way.
 */
#include "fuzz.h"
#include "ipsec/ipcomp.h"
#include "net/parse.h"
#include "support/eal.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_malloc.h>
#include <rte_rcu_qsbr.h>

#define CHOICE_BYTES      2
#define CHOICES           4 /* family and mode */
#define CHOICE_PLAIN      4 /* without IPComp's header */
#define CPI               0x0101
#define LARGE_BUFFERS     8
#define PAYLOAD_BYTES_MAX 1800

/* Both ends of a choice, and the SA around the inbound one. */
static struct ends {
	struct sa *out, *in, *around;
} all_ends[CHOICES];
static struct ipcomp *ipcomp;
static struct sad *sad;
static struct rte_mempool *large;
static struct crypto no_crypto;

static struct sa *sa_make(unsigned choice, uint32_t cpi, bool inbound)
{
	bool v6 = choice & 1;
	struct sa_conf conf = {
		.name = (char[]){"fuzz"},
		.spi = cpi,
		.protocol = SA_IPCOMP,
		.mode = choice & 2 ? SA_TRANSPORT : SA_TUNNEL,
		.dscp = SA_DSCP_COPY,
	};
	struct sa_params params = {
		.conf = &conf, .inbound = inbound, .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct sa *sa = NULL;
	struct err err;

	require(ip_addr_parse(v6 ? "2001:db8::1" : "192.0.2.1", &conf.source) == 0);
	require(ip_addr_parse(v6 ? "2001:db8:1::1" : "198.51.100.1", &conf.destination) == 0);
	require(sa_create(&params, &no_crypto, &sa, &err) == 0);
	return sa;
}

static void ends_make(unsigned choice)
{
	struct ends *ends = &all_ends[choice];
	struct err err;

	ends->out = sa_make(choice, CPI + choice, false);
	ends->in = sa_make(choice, CPI + choice, true);
	ends->around = sa_make(choice, CPI + CHOICES + choice, true);
	ends->in->around = ends->around;
	ends->around->has_inside = true;
	ends->around->ipcomp_inside = sa_is_transport(ends->in) ? NULL : ends->in;
	require(sad_add(sad, ends->in, &err) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sad_conf sad_conf = {.capacity = 2 * CHOICES, .n_workers = 1, .socket = SOCKET_ID_ANY};
	struct ipcomp_conf conf = {.socket = SOCKET_ID_ANY};
	struct err err;

	(void)argc, (void)argv;
	if (eal_start() != 0)
		return -1;
	large = rte_pktmbuf_pool_create(
		"fuzz-large", LARGE_BUFFERS, 0, sizeof(struct pkt), UINT16_MAX, SOCKET_ID_ANY);
	require(large != NULL);
	conf.large = large;
	sad_conf.qsbr = rte_zmalloc(NULL, rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
	require(sad_conf.qsbr && rte_rcu_qsbr_init(sad_conf.qsbr, 1) == 0);
	require(sad_create(&sad_conf, &sad, &err) == 0);
	for (unsigned choice = 0; choice < CHOICES; choice++)
		ends_make(choice);
	return ipcomp_create(&conf, &ipcomp, &err);
}

/* The header of a packet between the ends. Returns its length. */
static uint16_t header_write(uint8_t *out, const struct ends *ends, uint8_t protocol, uint16_t bytes)
{
	const struct sa *sa = ends->in;
	bool v6 = sa->family == IP_V6;
	struct rte_ipv4_hdr *v4 = (struct rte_ipv4_hdr *)out;
	static const uint8_t ipv4[20] = {0x45, [8] = 64}, ipv6[40] = {0x60, [7] = 64};

	memcpy(out, v6 ? ipv6 : ipv4, v6 ? sizeof(ipv6) : sizeof(ipv4));
	memcpy(out + (v6 ? 8 : 12), sa->source.bytes, ip_family_bytes(sa->family));
	memcpy(out + (v6 ? 24 : 16), sa->destination.bytes, ip_family_bytes(sa->family));
	out[v6 ? 6 : 9] = protocol;
	out[v6 ? 4 : 2] = (uint8_t)((bytes + (v6 ? 0 : sizeof(ipv4))) >> 8);
	out[v6 ? 5 : 3] = (uint8_t)(bytes + (v6 ? 0 : sizeof(ipv4)));
	if (!v6)
		v4->hdr_checksum = rte_ipv4_cksum(v4);
	return v6 ? sizeof(ipv6) : sizeof(ipv4);
}

/* The packet as the SA around leaves it; NULL where it would not. */
static struct rte_mbuf *packet_of(const uint8_t *data, size_t size)
{
	unsigned choice = data[0] % CHOICES;
	const struct ends *ends = &all_ends[choice];
	bool is_plain = (data[0] & CHOICE_PLAIN) != 0;
	uint16_t ipcomp_bytes = is_plain ? 0 : IPCOMP_BYTES;
	uint16_t payload_bytes = (uint16_t)(size - CHOICE_BYTES);
	const uint8_t ipcomp_header[IPCOMP_BYTES] = {data[1], 0, CPI >> 8, (uint8_t)(CPI + choice)};
	uint8_t bytes[40 + IPCOMP_BYTES + PAYLOAD_BYTES_MAX];
	uint16_t at =
		header_write(bytes, ends, is_plain ? data[1] : IPPROTO_COMP, ipcomp_bytes + payload_bytes);

	memcpy(bytes + at, ipcomp_header, ipcomp_bytes);
	memcpy(bytes + at + ipcomp_bytes, data + CHOICE_BYTES, payload_bytes);
	struct rte_mbuf *m = mbuf_of(bytes, at + (size_t)ipcomp_bytes + payload_bytes);
	pkt_of(m)->flags = PKT_DECAPSULATED;
	pkt_of(m)->sa = ends->around;
	if (parse_inner_one(m, ends->in->family))
		return m;
	rte_pktmbuf_free(m);
	return NULL;
}

/* What comes in of one packet, or NULL. */
static struct rte_mbuf *receive(struct rte_mbuf *m, const struct sa_tally *tally)
{
	struct burst burst = {.n = 1, .pkts = {m}};

	ipcomp_in(ipcomp, &burst, sad, tally);
	return burst.n > 0 ? burst.pkts[0] : NULL;
}

static void require_sound(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);

	require(m->nb_segs == 1 && m->data_len == m->pkt_len && m->data_len == p->ip_len);
	require(p->l4 <= p->ip_len && m->data_off + m->data_len <= m->buf_len);
	require(p->family == (*rte_pktmbuf_mtod(m, uint8_t *) >> 4 == 4 ? IP_V4 : IP_V6));
}

/* Out again by the same SAs, and in again. */
static void require_same_again(struct rte_mbuf *m, const struct ends *ends, const struct sa_tally *tally)
{
	static uint8_t before[UINT16_MAX];
	const struct pkt *p = pkt_of(m);
	struct burst burst = {.n = 1, .pkts = {m}};
	uint16_t bytes = m->data_len;
	uint8_t family = p->family;
	/* In transport mode nobody could tell it from a compressed one, or AH would come first. */
	bool is_ambiguous = p->protocol == IPPROTO_COMP || p->flags & PKT_AH;

	/* What is longer is cut first. */
	if (bytes > PAYLOAD_BYTES_MAX || (sa_is_transport(ends->in) && is_ambiguous))
		goto end;
	memcpy(before, rte_pktmbuf_mtod(m, void *), bytes);
	pkt_of(m)->sa = ends->out;
	ipcomp_out(ipcomp, &burst, tally);
	require(burst.n == 1 && m->data_len <= bytes + ends->out->outer_bytes);
	require_sound(m);
	require(parse_inner_one(m, pkt_of(m)->family));
	pkt_of(m)->sa = ends->around;
	m = receive(m, tally);
	require(m && pkt_of(m)->family == family && m->data_len == bytes);
	require(memcmp(before, rte_pktmbuf_mtod(m, void *), bytes) == 0);
end:
	rte_pktmbuf_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct drops drops;
	const struct sa_tally tally = {.drops = &drops};
	struct rte_mbuf *m;

	if (size < CHOICE_BYTES || size > PAYLOAD_BYTES_MAX)
		return -1;
	m = packet_of(data, size);
	m = m ? receive(m, &tally) : NULL;
	if (m) {
		require_sound(m);
		require_same_again(m, &all_ends[data[0] % CHOICES], &tally);
	}
	require(rte_mempool_in_use_count(eal_pool()) == 0 && rte_mempool_in_use_count(large) == 0);
	return 0;
}
