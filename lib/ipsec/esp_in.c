#include "ipsec/esp_in.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_esp.h>
#include <rte_prefetch.h>

#include "ipsec/natt.h"
#include "ipsec/verdict.h"
#include "net/parse.h"
#include "net/rewrite.h"
#include "net/stage.h"
#include "net/transport.h"

/* RFC 4303 section 2.4: the n-th byte of padding is n. */
#define PAD8(n) (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7
#define PAD64(n)                                                                                             \
	PAD8(n), PAD8((n) + 8), PAD8((n) + 16), PAD8((n) + 24), PAD8((n) + 32), PAD8((n) + 40),              \
		PAD8((n) + 48), PAD8((n) + 56)
static const uint8_t padding[] = {PAD64(1), PAD64(65), PAD64(129), PAD8(193), PAD8(201), PAD8(209), PAD8(217),
	PAD8(225), PAD8(233), PAD8(241), 249, 250, 251, 252, 253, 254, 255};

_Static_assert(sizeof(padding) == UINT8_MAX, "the longest padding");

/* Bytes between IV and ICV; negative where they don't even fit. */
static inline int payload_bytes_one(const struct pkt *p)
{
	return p->ip_len - p->l4 - ESP_HEADER_BYTES - p->sa->iv_bytes - p->sa->icv_bytes;
}

/* The 64-bit sequence number, and where ESP header and ICV are. */
static inline struct verdict locate_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const struct sa *sa = p->sa;
	int payload_bytes = payload_bytes_one(p);
	const struct rte_esp_hdr *esp;

	if (unlikely(atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_ENDED))
		return DROP(in_expired);

	/* The least payload is padding and trailer alone, one unit long; a unit is a power of two. */
	if (payload_bytes < sa->align_bytes || (payload_bytes & (sa->align_bytes - 1)) != 0)
		return DROP(in_hdr);
	esp = rte_pktmbuf_mtod_offset(m, const struct rte_esp_hdr *, p->l4);
	p->esp_offset = p->l4;
	p->icv_offset = p->ip_len - sa->icv_bytes;
	p->seq = replay_guess(sa->replay, rte_be_to_cpu_32(esp->seq));
	replay_prefetch_word(sa->replay, p->seq);
	return KEEP;
}

void esp_in_prepare(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(esp_in_prepare, burst, tally->drops);
	uint16_t located = 0, kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		located += apply_one(m, locate_one(m), &burst->pkts[located], tally);
	}
	for (uint16_t i = 0; i < located; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		const struct pkt *p = pkt_of(m);

		rte_prefetch0(&p->sa->counters[tally->worker]);
		kept += apply_one(
			m, verdict_of(replay_check(p->sa->replay, p->seq)), &burst->pkts[kept], tally);
	}
	burst->n = kept;
}

/* In front of the trailer. Little is compared in a register: at least the ESP header is in front of it too.
 */
static inline bool padding_is_right(const uint8_t *trailer, uint8_t pad_bytes)
{
	uint64_t word, expected;

	if (pad_bytes == 0)
		return true;
	if (pad_bytes > sizeof(word))
		return memcmp(trailer - pad_bytes, padding, pad_bytes) == 0;
	memcpy(&word, trailer - sizeof(word), sizeof(word));
	memcpy(&expected, padding, sizeof(expected));
	/* The last byte in memory is the highest of the word (x86 is little-endian). */
	return word >> 8 * (sizeof(word) - pad_bytes) ==
	       (expected & UINT64_MAX >> 8 * (sizeof(word) - pad_bytes));
}

/* Strip ESP from between the packet's IP header and the rest; `start` is where the payload is. */
static __rte_noinline void transport_strip_one(
	struct rte_mbuf *m, uint16_t start, uint8_t pad_bytes, uint8_t next_header)
{
	const struct pkt *p = pkt_of(m);
	uint16_t payload_bytes = p->icv_offset - ESP_TRAILER_BYTES - pad_bytes - start;

	transport_remove_one(m, p->esp_offset, start - p->esp_offset, next_header);
	ip_length_set_one(m, p->esp_offset + payload_bytes);
}

/*
 * Strip all but the inner packet; *family is what the next header says. The padding and its length are the
 * peer's word, which the ICV only proves to be his: they are checked against the payload.
 */
static inline struct verdict strip_one(struct rte_mbuf *m, uint8_t *family)
{
	const struct pkt *p = pkt_of(m);
	uint16_t start = p->esp_offset + ESP_HEADER_BYTES + p->sa->iv_bytes;
	const uint8_t *trailer =
		rte_pktmbuf_mtod_offset(m, const uint8_t *, p->icv_offset - ESP_TRAILER_BYTES);
	uint8_t pad_bytes = trailer[0];
	uint8_t next_header = trailer[1];

	if (start + pad_bytes + ESP_TRAILER_BYTES > p->icv_offset || !padding_is_right(trailer, pad_bytes))
		return DROP(in_sa_proto);
	if (next_header == IPPROTO_NONE)
		return DROP(in_dummy); /* RFC 4303 section 2.6 */
	if (unlikely(sa_is_transport(p->sa))) {
		*family = p->family;
		transport_strip_one(m, start, pad_bytes, next_header);
		return KEEP;
	}
	if (next_header != IPPROTO_IPIP && next_header != IPPROTO_IPV6)
		return DROP(in_sa_proto);
	*family = next_header == IPPROTO_IPIP ? IP_V4 : IP_V6;
	m->data_off += start;
	m->data_len = p->icv_offset - ESP_TRAILER_BYTES - pad_bytes - start;
	m->pkt_len = m->data_len;
	return KEEP;
}

/* An authentic packet whose number was accepted: leave the inner one. */
static inline struct verdict decapsulate_one(struct rte_mbuf *m)
{
	uint8_t outer_class = traffic_class_get_one(m);
	uint8_t family;
	struct verdict verdict = strip_one(m, &family);

	if (!is_kept_one(verdict))
		return verdict;
	pkt_of(m)->flags |= PKT_DECAPSULATED;
	if (!parse_inner_one(m, family))
		return DROP(in_sa_proto);
	if (likely(!sa_is_transport(pkt_of(m)->sa)))
		return ecn_merge_one(m, outer_class);
	natt_mend_one(m);
	return KEEP;
}

/* Drop what the crypto did not verify: nobody may look at its contents. */
static void keep_authentic(struct burst *burst, const struct sa_tally *tally)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		uint16_t flags = pkt_of(m)->flags;

		if (flags & PKT_CRYPTO_FAILED)
			sa_drop_one(tally, m, crypto_failed);
		else if (flags & PKT_ICV_BAD)
			sa_drop_one(tally, m, in_icv);
		else
			burst->pkts[kept++] = m;
	}
	burst->n = kept;
}

/* Bytes that the crypto worked on (RFC 4301 section 4.4.2.1): of AH all that the ICV covers. */
static inline uint32_t metered_bytes_one(const struct pkt *p)
{
	return p->sa->protocol == SA_AH ? p->icv_offset : (uint32_t)payload_bytes_one(p);
}

/* An authentic packet with a new number: it counts against the SA's limits, whatever is in it. */
static inline __attribute__((always_inline)) struct verdict accepted_one(
	struct rte_mbuf *m, struct sa *sa, bool is_metered, const struct sa_tally *tally, verdict_open open)
{
	if (unlikely(is_metered) && !sa_pay_one(sa, tally, metered_bytes_one(pkt_of(m))))
		return DROP(in_expired);
	return open(m);
}

/* n authentic packets of one SA: take their numbers, and leave the inner packets. Returns how many are kept,
 * and adds their flags to *seen.
 */
static inline __attribute__((always_inline)) uint16_t finish_run(struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **kept, const struct sa_tally *tally, verdict_open open, uint16_t *seen)
{
	struct sa *sa = pkt_of(pkts[0])->sa;
	enum replay_verdict accepted[BURST_MAX];
	uint64_t seqs[BURST_MAX];
	uint64_t bytes = 0;
	uint16_t n_kept = 0;
	bool is_metered = atomic_load_explicit(&sa->special, memory_order_relaxed) & SA_METERED;
	bool is_alive = false;

	for (uint16_t i = 0; i < n; i++)
		seqs[i] = pkt_of(pkts[i])->seq;
	replay_accept(sa->replay, seqs, n, accepted);
	if (unlikely(sa_is_in_udp(sa) && sa->natt->peer))
		natt_follow(sa, pkts, accepted, n);
	for (uint16_t i = 0; i < n; i++) {
		struct verdict verdict = verdict_of(accepted[i]);

		if (is_kept_one(verdict)) {
			is_alive = true;
			verdict = accepted_one(pkts[i], sa, is_metered, tally, open);
		}
		if (is_kept_one(verdict)) {
			bytes += pkt_of(pkts[i])->ip_len;
			*seen |= pkt_of(pkts[i])->flags;
		}
		n_kept += apply_one(pkts[i], verdict, &kept[n_kept], tally);
	}
	sa->counters[tally->worker].packets += n_kept;
	sa->counters[tally->worker].bytes += bytes;
	if (is_alive)
		sa->counters[tally->worker].last_tsc = tally->now_tsc;
	return n_kept;
}

/* In the order of RFC 4303 section 3.4: the window moves for authentic packets only, but for all of those. */
static inline __attribute__((always_inline)) void finish(
	struct burst *burst, const struct sa_tally *tally, verdict_open open)
{
	uint16_t kept = 0;

	burst->seen = 0;
	keep_authentic(burst, tally);
	for (uint16_t start = 0, end; start < burst->n; start = end) {
		const struct sa *sa = pkt_of(burst->pkts[start])->sa;

		for (end = start + 1; end < burst->n && pkt_of(burst->pkts[end])->sa == sa; end++)
			;
		kept += finish_run(
			&burst->pkts[start], end - start, &burst->pkts[kept], tally, open, &burst->seen);
	}
	burst->n = kept;
}

void esp_in_finish(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(esp_in_finish, burst, tally->drops);

	finish(burst, tally, decapsulate_one);
}

void esp_in_finish_as(struct burst *burst, const struct sa_tally *tally, verdict_open open)
{
	finish(burst, tally, open);
}
