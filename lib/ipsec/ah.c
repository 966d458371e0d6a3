#include "ipsec/ah.h"

#include "ipsec/esp_in.h"
#include "ipsec/esp_out.h"
#include "ipsec/outer.h"
#include "ipsec/verdict.h"
#include "net/mutable.h"
#include "net/parse.h"
#include "net/stage.h"
#include "net/transport.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_prefetch.h>

/* RFC 4302 section 2.2: the length field counts words of four bytes, and leaves out two. */
#define AH_LENGTH_UNIT 4
#define AH_LENGTH_LESS 2

/*
 * Behind the packet while the crypto works: outbound the ICV that it makes, inbound the one that came; with
 * extended sequence numbers their upper half is first there (RFC 4302 section 2.5.1), which is shorter.
 */
#define ICV_SLOT_BYTES ESP_ICV_BYTES_MAX

/* RFC 4302 section 2; the ICV and its padding follow. */
struct ah_header {
	uint8_t next_header;
	uint8_t length;
	uint16_t reserved;
	rte_be32_t spi;
	rte_be32_t seq;
} __attribute__((packed));

_Static_assert(sizeof(struct ah_header) == AH_FIXED_BYTES, "RFC 4302 figure 1");

static inline uint8_t length_field(uint16_t ah_bytes)
{
	return (uint8_t)(ah_bytes / AH_LENGTH_UNIT - AH_LENGTH_LESS);
}

static inline struct ah_header *header_one(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod_offset(m, struct ah_header *, pkt_of(m)->l4);
}

static inline uint8_t *icv_one(struct rte_mbuf *m)
{
	return (uint8_t *)(header_one(m) + 1);
}

/* Where the IP header is kept; NULL where there is no room. The same before and after the crypto. */
static uint8_t *saved_place_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	uint16_t tail = m->buf_len - m->data_off - p->ip_len;

	if (p->l4 <= rte_pktmbuf_headroom(m))
		return data - p->l4;
	return ICV_SLOT_BYTES + p->l4 <= tail ? data + p->ip_len + ICV_SLOT_BYTES : NULL;
}

static void length_set_one(struct rte_mbuf *m, uint16_t bytes)
{
	m->data_len = bytes;
	m->pkt_len = bytes;
}

/*
 * The packet as the ICV covers it, and as ipsec/crypto.h wants it: its data ends behind the ICV. Room there
 * must be. False if its IP options are malformed: it is to be dropped then.
 */
static bool cover_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);

	p->esp_offset = 0;
	p->icv_offset = p->ip_len;
	memcpy(saved_place_one(m), ip, p->l4);
	memcpy(ip + p->icv_offset, icv_one(m), p->sa->icv_bytes);
	memset(icv_one(m), 0, p->sa->icv_bytes);
	length_set_one(m, p->ip_len + p->sa->icv_bytes);
	return mutable_clear(ip, p->l4, p->family);
}

/* The reverse, but for the ICV. */
static void uncover_one(struct rte_mbuf *m)
{
	memcpy(rte_pktmbuf_mtod(m, uint8_t *), saved_place_one(m), pkt_of(m)->l4);
	length_set_one(m, pkt_of(m)->ip_len);
}

/* On the way out. */

/* Room for AH and all that is in front of it, for the link's header, and for what the crypto needs. */
static bool has_room_out_one(struct rte_mbuf *m, uint16_t front)
{
	const struct pkt *p = pkt_of(m);
	uint16_t ip_bytes = sa_is_transport(p->sa) ? p->l4 : p->sa->outer_bytes;
	uint16_t head = rte_pktmbuf_headroom(m), tail = rte_pktmbuf_tailroom(m);

	return front + LINK_HEADER_BYTES <= head && ICV_SLOT_BYTES <= tail &&
	       (front + ip_bytes <= head || ICV_SLOT_BYTES + ip_bytes <= tail);
}

/* AH is the next layer from here on. */
static void pkt_describe_one(struct pkt *p, const struct sa *sa, uint16_t front, uint64_t seq)
{
	p->flags = PKT_LOCAL | (p->flags & (PKT_OUTER_CUT | PKT_LARGE));
	p->family = sa->family;
	p->protocol = IPPROTO_AH;
	p->l4 = sa_is_transport(sa) ? p->l4 : sa->outer_bytes;
	p->inner_len = p->ip_len;
	p->ip_len += front;
	p->seq = seq;
}

/* The tunnel's header in front; returns what follows AH. */
static uint8_t tunnel_one(struct rte_mbuf *m, const struct sa *sa, uint16_t front, uint64_t seq)
{
	uint8_t *inner = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t next_header = pkt_of(m)->family == IP_V4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	outer_write_one(inner - front, sa, m, front + pkt_of(m)->ip_len, seq);
	pkt_describe_one(pkt_of(m), sa, front, seq);
	m->data_off -= front;
	length_set_one(m, pkt_of(m)->ip_len);
	return next_header;
}

/* The packet's own IP header goes to the front (RFC 4302 section 3.1.1); returns what follows AH. */
static uint8_t transport_one(struct rte_mbuf *m, const struct sa *sa, uint16_t front, uint64_t seq)
{
	uint8_t next_header = transport_insert_one(m, front, IPPROTO_AH);

	pkt_describe_one(pkt_of(m), sa, front, seq);
	ip_length_set_one(m, pkt_of(m)->ip_len);
	return next_header;
}

static bool encapsulate_one(struct rte_mbuf *m, const struct sa *sa, uint16_t front, uint64_t seq)
{
	uint8_t next_header =
		sa_is_transport(sa) ? transport_one(m, sa, front, seq) : tunnel_one(m, sa, front, seq);
	struct ah_header *ah = header_one(m);

	memset(ah, 0, sa_ah_bytes(sa));
	ah->next_header = next_header;
	ah->length = length_field(sa_ah_bytes(sa));
	ah->spi = sa->spi;
	ah->seq = rte_cpu_to_be_32((uint32_t)seq);
	return cover_one(m);
}

/* n packets of one SA, and as many numbers; returns how many were encapsulated, and drops the others. */
static uint16_t encapsulate_numbered(struct rte_mbuf **pkts, uint16_t n, uint64_t first,
	struct rte_mbuf **kept, const struct sa_tally *tally)
{
	struct sa *sa = n > 0 ? pkt_of(pkts[0])->sa : NULL;
	bool is_metered = sa && atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_METERED;
	uint16_t n_kept = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = pkts[i];
		uint16_t front = sa->outer_bytes + sa_ah_bytes(sa);

		if (!has_room_out_one(m, front))
			sa_drop_one(tally, m, out_buf);
		else if (is_metered && !sa_pay_one(sa, tally, pkt_of(m)->ip_len + front))
			sa_drop_one(tally, m, out_expired);
		else if (!encapsulate_one(m, sa, front, first + i))
			sa_drop_one(tally, m, in_hdr);
		else
			kept[n_kept++] = m;
	}
	return n_kept;
}

/* n packets of one SA. */
static uint16_t encapsulate_run(
	struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **kept, const struct sa_tally *tally)
{
	struct sa *sa = pkt_of(pkts[0])->sa;
	bool is_ended = atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_ENDED;
	uint64_t first = 0;
	uint16_t reserved, n_kept;

	if (is_ended) {
		for (uint16_t i = 0; i < n; i++)
			sa_drop_one(tally, pkts[i], out_expired);
		return 0;
	}
	reserved = (uint16_t)seq_reserve(&sa->seq, n, &first);
	n_kept = encapsulate_numbered(pkts, reserved, first, kept, tally);
	esp_out_drop_unnumbered(&pkts[reserved], n - reserved, tally);
	return n_kept;
}

void ah_out_prepare(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(ah_out_prepare, burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t start = 0, end; start < burst->n; start = end) {
		const struct sa *sa = pkt_of(burst->pkts[start])->sa;

		for (end = start + 1; end < burst->n && pkt_of(burst->pkts[end])->sa == sa; end++)
			;
		kept += encapsulate_run(&burst->pkts[start], end - start, &burst->pkts[kept], tally);
	}
	burst->n = kept;
}

void ah_out_finish(struct burst *burst, const struct sa_tally *tally)
{
	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct pkt *p = pkt_of(m);

		uncover_one(m);
		memcpy(icv_one(m), rte_pktmbuf_mtod_offset(m, uint8_t *, p->icv_offset), p->sa->icv_bytes);
	}
	esp_out_finish(burst, tally); /* the rest is the same */
}

/* On the way in. */

/* Lengths, and the 64-bit sequence number (RFC 4302 section 3.4.2). */
static struct verdict locate_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	uint16_t ah_bytes = sa_ah_bytes(p->sa);

	if (atomic_load_explicit(&p->sa->special, memory_order_relaxed) & SA_ENDED)
		return DROP(in_expired);
	if (p->l4 + ah_bytes > p->ip_len || header_one(m)->length != length_field(ah_bytes))
		return DROP(in_hdr);
	p->seq = replay_guess(p->sa->replay, rte_be_to_cpu_32(header_one(m)->seq));
	return verdict_of(replay_check(p->sa->replay, p->seq));
}

static struct verdict uncovered_one(struct rte_mbuf *m)
{
	struct verdict verdict = locate_one(m);

	if (!is_kept_one(verdict))
		return verdict;
	if (ICV_SLOT_BYTES > rte_pktmbuf_tailroom(m) || !saved_place_one(m))
		return DROP(in_buf);
	return cover_one(m) ? KEEP : DROP(in_hdr);
}

void ah_in_prepare(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(ah_in_prepare, burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		kept += apply_one(m, uncovered_one(m), &burst->pkts[kept], tally);
	}
	burst->n = kept;
}

/* Take AH off: *family is that of what is left. */
static struct verdict strip_one(struct rte_mbuf *m, uint8_t *family)
{
	const struct pkt *p = pkt_of(m);
	uint16_t ah_bytes = sa_ah_bytes(p->sa);
	uint8_t next_header = header_one(m)->next_header;

	if (next_header == IPPROTO_NONE)
		return DROP(in_dummy); /* as with ESP, RFC 4303 section 2.6 */
	if (sa_is_transport(p->sa)) {
		*family = p->family;
		transport_remove_one(m, p->l4, ah_bytes, next_header);
		ip_length_set_one(m, p->ip_len - ah_bytes);
		return KEEP;
	}
	if (next_header != IPPROTO_IPIP && next_header != IPPROTO_IPV6)
		return DROP(in_sa_proto);
	*family = next_header == IPPROTO_IPIP ? IP_V4 : IP_V6;
	m->data_off += p->l4 + ah_bytes;
	length_set_one(m, p->ip_len - p->l4 - ah_bytes);
	return KEEP;
}

/* An authentic packet whose number was accepted: leave the inner one. */
static struct verdict decapsulate_one(struct rte_mbuf *m)
{
	uint8_t outer_class, family;
	struct verdict verdict;

	uncover_one(m);
	outer_class = traffic_class_get_one(m);
	verdict = strip_one(m, &family);
	if (!is_kept_one(verdict))
		return verdict;
	pkt_of(m)->flags |= PKT_DECAPSULATED;
	if (!parse_inner_one(m, family))
		return DROP(in_sa_proto);
	return sa_is_transport(pkt_of(m)->sa) ? KEEP : ecn_merge_one(m, outer_class);
}

void ah_in_finish(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(ah_in_finish, burst, tally->drops);

	esp_in_finish_as(burst, tally, decapsulate_one);
}
