#include "ipsec/esp_out.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_esp.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "ipsec/outer.h"
#include "net/icmp.h"
#include "net/mss.h"
#include "net/oversize.h"
#include "net/stage.h"
#include "net/transport.h"

/*
 * RFC 4303 section 2.4: padding counts up from 1. All of it is written, however little is needed: a constant
 * length is one store. What is too much is overwritten, or lies where the ICV will.
 */
#define PADDING_BYTES 16
static const uint8_t padding[PADDING_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Lengths of one encapsulation. */
struct shape {
	uint16_t front; /* tunnel header, ESP header and IV */
	uint16_t tfc;   /* zeros behind the inner packet, RFC 4303 section 2.7 */
	uint16_t pad;
	uint16_t back; /* all padding, trailer and ICV */
};

/* Of so many bytes to encrypt, and so many zeros behind them. */
static inline struct shape shape_of(const struct sa *sa, uint16_t bytes, uint16_t tfc)
{
	uint16_t pad = (uint16_t)(-(bytes + tfc + ESP_TRAILER_BYTES)) & (sa->align_bytes - 1);

	return (struct shape){
		.front = sa->outer_bytes + ESP_HEADER_BYTES + sa->iv_bytes,
		.tfc = tfc,
		.pad = pad,
		.back = tfc + pad + ESP_TRAILER_BYTES + sa->icv_bytes,
	};
}

/* IPv6 hosts send it without being told (RFC 8200 section 5), so it goes on, and its tunnel's packet is cut.
 */
static bool is_least_ipv6_one(struct rte_mbuf *m)
{
	return pkt_of(m)->family == IP_V6 && !is_oversize_one(m, IPV6_MTU_MIN);
}

/* How much longer the inner packet gets, as its SA wants it; never longer than the tunnel or the buffer
 * carries. */
static uint16_t tfc_bytes_one(struct rte_mbuf *m, const struct sa *sa)
{
	uint16_t inner_mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
	int room = rte_pktmbuf_tailroom(m) - PADDING_BYTES - ESP_TRAILER_BYTES - sa->icv_bytes;
	int tfc = RTE_MIN(RTE_MIN(sa->tfc_bytes, inner_mtu) - pkt_of(m)->ip_len, room);

	return (uint16_t)RTE_MAX(tfc, 0);
}

static struct shape shape_special_one(struct rte_mbuf *m, const struct sa *sa, uint8_t special)
{
	const struct pkt *p = pkt_of(m);
	uint16_t tfc = special & SA_TFC ? tfc_bytes_one(m, sa) : 0;

	if (tfc > 0)
		memset(rte_pktmbuf_mtod_offset(m, void *, p->ip_len), 0, tfc);
	/* In transport mode the IP header stays in front. */
	return shape_of(sa, p->ip_len - (special & SA_IS_TRANSPORT ? p->l4 : 0), tfc);
}

/*
 * Is it the tunnel's packet that is cut? Of IPv6's least packets it must be. What was made whole from
 * fragments lies in a buffer of its own kind, and goes in fragments.
 */
static bool is_cut_after_one(struct rte_mbuf *m, const struct sa *sa, uint16_t inner_mtu)
{
	return is_least_ipv6_one(m) ||
	       (sa->cuts_after && !(pkt_of(m)->flags & PKT_LARGE) && oversize_is_cut_one(m, inner_mtu));
}

/* What is not to be kept as it is. */
static void oversize_one(struct rte_mbuf *m, uint16_t inner_mtu, struct burst *oversize,
	struct burst *too_big, const struct sa_tally *tally)
{
	if (pkt_of(m)->family == IP_V6)
		inner_mtu = RTE_MAX(inner_mtu, (uint16_t)IPV6_MTU_MIN);
	if (inner_mtu < IPV4_MTU_MIN) {
		sa_drop_one(tally, m, out_mtu);
	} else if (oversize_is_cut_one(m, inner_mtu)) {
		burst_add_one(oversize, m);
	} else {
		/* The gateway counts it when it makes the ICMP error. */
		pkt_of(m)->sa->counters[tally->worker].drops[SA_DROP_out_mtu]++;
		icmp_set_too_big_one(m, inner_mtu);
		burst_add_one(too_big, m);
	}
}

void esp_out_mtu(
	struct burst *burst, struct burst *oversize, struct burst *too_big, const struct sa_tally *tally)
{
	STAGE(esp_out_mtu, burst, tally->drops, oversize, too_big);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct sa *sa = pkt_of(m)->sa;
		uint16_t inner_mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);

		if (unlikely(pkt_of(m)->flags & PKT_TCP_SYN) && sa->mss_clamp)
			mss_clamp_one(m, inner_mtu);
		/* Transport mode is for whole packets alone: its own are cut (RFC 4303 section 3.1.1). */
		if (!is_oversize_one(m, inner_mtu) || sa_is_transport(sa)) {
			burst->pkts[kept++] = m;
		} else if (is_cut_after_one(m, sa, inner_mtu)) {
			pkt_of(m)->flags |= PKT_OUTER_CUT;
			burst->pkts[kept++] = m;
		} else {
			oversize_one(m, inner_mtu, oversize, too_big, tally);
		}
	}
	burst->n = kept;
}

/*
 * Room at both ends of the buffer, so that nothing can fail once the packet is being changed. `more` is what
 * others put in front later.
 */
static inline bool has_room_one(struct rte_mbuf *m, struct shape shape, uint16_t more)
{
	return shape.front + more + LINK_HEADER_BYTES <= rte_pktmbuf_headroom(m) &&
	       RTE_MAX(shape.back, (uint16_t)PADDING_BYTES) <= rte_pktmbuf_tailroom(m);
}

/* The IV field. For CBC it is only the seed: the device encrypts it, see ipsec/crypto.c. */
static inline void iv_write_one(uint8_t *iv, const struct sa *sa, uint64_t seq)
{
	rte_be64_t unique = rte_cpu_to_be_64(seq ^ sa->iv_mask);

	if (sa->iv_bytes == 0)
		return;
	memcpy(iv, &unique, sizeof(unique));
	if (unlikely(sa->iv_bytes > sizeof(unique)))
		memset(iv + sizeof(unique), 0, sa->iv_bytes - sizeof(unique));
}

static inline void trailer_write_one(uint8_t *end_of_inner, uint16_t pad, uint32_t next_header)
{
	/* Both bytes in one store (x86 is little-endian): pad length, next header. */
	uint16_t trailer = (uint16_t)(next_header << 8 | pad);

	memcpy(end_of_inner, padding, PADDING_BYTES);
	memcpy(end_of_inner + pad, &trailer, sizeof(trailer));
}

/* Describe the outer packet, with its ESP header at `esp_offset`, from here on. */
static inline void pkt_describe_outer_one(
	struct pkt *p, const struct sa *sa, struct shape shape, uint16_t esp_offset, uint64_t seq)
{
	p->flags = PKT_LOCAL | (p->flags & (PKT_LARGE | PKT_OUTER_CUT));
	p->family = sa->family;
	p->protocol = IPPROTO_ESP;
	p->l4 = esp_offset;
	p->inner_len = p->ip_len;
	p->ip_len = shape.front + p->inner_len + shape.back;
	p->esp_offset = esp_offset;
	p->icv_offset = p->ip_len - sa->icv_bytes;
	p->seq = seq;
}

static inline void esp_write_one(uint8_t *at, const struct sa *sa, uint64_t seq)
{
	struct rte_esp_hdr *esp = (struct rte_esp_hdr *)at;

	esp->spi = sa->spi;
	esp->seq = rte_cpu_to_be_32((uint32_t)seq);
	iv_write_one((uint8_t *)(esp + 1), sa, seq);
}

static inline void tunnel_one(struct rte_mbuf *m, const struct sa *sa, struct shape shape, uint64_t seq)
{
	struct pkt *p = pkt_of(m);
	uint8_t *inner = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t *out = inner - shape.front;

	outer_write_one(out, sa, m, shape.front + p->ip_len + shape.back, seq);
	trailer_write_one(
		inner + p->ip_len + shape.tfc, shape.pad, p->family == IP_V4 ? IPPROTO_IPIP : IPPROTO_IPV6);
	pkt_describe_outer_one(p, sa, shape, sa->outer_bytes, seq);
	m->data_off -= shape.front;
	m->data_len = p->ip_len;
	m->pkt_len = p->ip_len;
	esp_write_one(out + sa->outer_bytes, sa, seq);
}

/* In transport mode the packet's IP header goes to the front (RFC 4303 section 3.1.1). */
static void transport_one(struct rte_mbuf *m, const struct sa *sa, struct shape shape, uint64_t seq)
{
	struct pkt *p = pkt_of(m);
	uint8_t *end = rte_pktmbuf_mtod_offset(m, uint8_t *, p->ip_len);
	uint8_t next_header = transport_insert_one(m, shape.front, IPPROTO_ESP);

	trailer_write_one(end, shape.pad, next_header);
	pkt_describe_outer_one(p, sa, shape, p->l4, seq);
	ip_length_set_one(m, p->ip_len);
	esp_write_one(rte_pktmbuf_mtod_offset(m, uint8_t *, p->l4), sa, seq);
}

/* Bytes that the cipher works on (RFC 4301 section 4.4.2.1). */
static inline uint32_t payload_bytes_one(struct rte_mbuf *m, const struct sa *sa, struct shape shape)
{
	return (uint32_t)pkt_of(m)->ip_len + shape.back - sa->icv_bytes;
}

void esp_out_drop_unnumbered(struct rte_mbuf **pkts, uint16_t n, const struct sa_tally *tally)
{
	struct sa *sa = n > 0 ? pkt_of(pkts[0])->sa : NULL;

	for (uint16_t i = 0; i < n; i++) {
		if (atomic_load_explicit(&sa->seq.last, memory_order_relaxed) < sa->seq_end)
			sa_drop_one(tally, pkts[i], out_seq_reserved);
		else if (sa->seq_end >= seq_last(sa->esn))
			sa_drop_one(tally, pkts[i], out_seq_overflow);
		else
			sa_drop_one(tally, pkts[i], out_expired);
	}
}

static uint16_t drop_expired(struct rte_mbuf **pkts, uint16_t n, const struct sa_tally *tally)
{
	for (uint16_t i = 0; i < n; i++)
		sa_drop_one(tally, pkts[i], out_expired);
	return 0;
}

/* Encapsulate a packet of an SA that is as most are. False: it was dropped. */
static inline bool encapsulate_one(
	struct rte_mbuf *m, const struct sa *sa, uint64_t seq, const struct sa_tally *tally)
{
	struct shape shape = shape_of(sa, pkt_of(m)->ip_len, 0);

	if (!has_room_one(m, shape, 0)) {
		sa_drop_one(tally, m, out_buf);
		return false;
	}
	tunnel_one(m, sa, shape, seq);
	return true;
}

/* The same where the SA has something special. */
static __rte_noinline bool encapsulate_special_one(
	struct rte_mbuf *m, struct sa *sa, uint8_t special, uint64_t seq, const struct sa_tally *tally)
{
	struct shape shape = shape_special_one(m, sa, special);

	if (!has_room_one(m, shape, special & SA_IN_UDP ? sizeof(struct rte_udp_hdr) : 0)) {
		sa_drop_one(tally, m, out_buf);
		return false;
	}
	if (special & SA_METERED && !sa_pay_one(sa, tally, payload_bytes_one(m, sa, shape))) {
		sa_drop_one(tally, m, out_expired);
		return false;
	}
	if (special & SA_IS_TRANSPORT)
		transport_one(m, sa, shape, seq);
	else
		tunnel_one(m, sa, shape, seq);
	if (special & SA_IN_UDP)
		pkt_of(m)->flags |= PKT_ENCAP;
	return true;
}

/* n packets of one SA; returns how many were encapsulated, and drops the others. */
static uint16_t encapsulate_run(struct rte_mbuf **pkts, uint16_t n, const struct sa_tally *tally)
{
	struct sa *sa = pkt_of(pkts[0])->sa;
	uint8_t special = atomic_load_explicit(&sa->special, memory_order_relaxed);
	uint64_t first = 0;
	uint32_t reserved;
	uint16_t kept = 0;

	if (unlikely(special & SA_ENDED))
		return drop_expired(pkts, n, tally);
	reserved = seq_reserve(&sa->seq, n, &first);
	rte_prefetch0(&sa->counters[tally->worker]);
	for (uint16_t i = 0; i < reserved; i++) {
		struct rte_mbuf *m = pkts[i];

		if (likely(special == 0) ? encapsulate_one(m, sa, first + i, tally)
					 : encapsulate_special_one(m, sa, special, first + i, tally))
			pkts[kept++] = m;
	}
	if (unlikely(reserved < n))
		esp_out_drop_unnumbered(&pkts[reserved], (uint16_t)(n - reserved), tally);
	return kept;
}

void esp_out_prepare(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(esp_out_prepare, burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t start = 0, end; start < burst->n; start = end) {
		const struct sa *sa = pkt_of(burst->pkts[start])->sa;
		uint16_t done;

		for (end = start + 1; end < burst->n && pkt_of(burst->pkts[end])->sa == sa; end++)
			;
		done = encapsulate_run(&burst->pkts[start], end - start, tally);
		if (kept != start)
			memmove(&burst->pkts[kept], &burst->pkts[start], done * sizeof(burst->pkts[0]));
		kept += done;
	}
	burst->n = kept;
}

/* n packets of one SA were sent; their numbers are written once. */
static inline void sent_count(struct sa *sa, uint64_t packets, uint64_t bytes, const struct sa_tally *tally)
{
	struct sa_counters *counters = &sa->counters[tally->worker];

	counters->packets += packets;
	counters->bytes += bytes;
	if (packets > 0)
		counters->last_tsc = tally->now_tsc;
}

/* A packet that is not as most: false if it was dropped. */
static bool finish_unusual_one(struct rte_mbuf *m, const struct sa_tally *tally)
{
	if (pkt_of(m)->flags & (PKT_CRYPTO_FAILED | PKT_ICV_BAD)) {
		sa_drop_one(tally, m, crypto_failed);
		return false;
	}
	pkt_of(m)->sa->counters[tally->worker].dummies++;
	pkt_of(m)->sa->counters[tally->worker].last_tsc = tally->now_tsc;
	return true;
}

void esp_out_finish(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(esp_out_finish, burst, tally->drops);
	struct sa *sa = burst->n > 0 ? pkt_of(burst->pkts[0])->sa : NULL;
	uint64_t packets = 0, bytes = 0;
	uint16_t kept = 0, seen = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct pkt *p = pkt_of(m);

		seen |= p->flags;
		if (unlikely(p->flags & (PKT_CRYPTO_FAILED | PKT_ICV_BAD | PKT_DUMMY))) {
			if (finish_unusual_one(m, tally))
				burst->pkts[kept++] = m;
			continue;
		}
		if (p->sa != sa) {
			sent_count(sa, packets, bytes, tally);
			sa = p->sa;
			packets = bytes = 0;
		}
		packets++;
		bytes += p->inner_len;
		burst->pkts[kept++] = m;
	}
	if (sa)
		sent_count(sa, packets, bytes, tally);
	burst->seen = seen;
	burst->n = kept;
}

void esp_out_path(struct burst *burst, struct burst *oversize, struct drops *drops)
{
	STAGE(esp_out_path, burst, drops, oversize);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct pkt *p = pkt_of(m);
		uint16_t mtu_bytes = atomic_load_explicit(&p->sa->path.mtu_bytes, memory_order_relaxed);

		/* The path may have become wider meanwhile. */
		if (p->flags & PKT_OUTER_CUT && p->ip_len > mtu_bytes) {
			p->icmp_mtu = mtu_bytes;
			burst_add_one(oversize, m);
		} else {
			burst->pkts[kept++] = m;
		}
	}
	burst->n = kept;
}
