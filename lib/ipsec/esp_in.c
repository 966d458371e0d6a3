#include "ipsec/esp_in.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include <rte_esp.h>
#include <rte_prefetch.h>

#include "net/parse.h"
#include "net/rewrite.h"
#include "net/stage.h"

#define ECN_MASK 0x03
#define ECN_DROP 0xff

/* RFC 4303 section 2.4: the n-th byte of padding is n. */
#define PAD8(n) (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7
#define PAD64(n)                                                                                             \
	PAD8(n), PAD8((n) + 8), PAD8((n) + 16), PAD8((n) + 24), PAD8((n) + 32), PAD8((n) + 40),              \
		PAD8((n) + 48), PAD8((n) + 56)
static const uint8_t padding[] = {PAD64(1), PAD64(65), PAD64(129), PAD8(193), PAD8(201), PAD8(209), PAD8(217),
	PAD8(225), PAD8(233), PAD8(241), 249, 250, 251, 252, 253, 254, 255};

_Static_assert(sizeof(padding) == UINT8_MAX, "the longest padding");

/*
 * RFC 6040 section 4.2: the new inner codepoint by inner (row) and outer (column), both in the order of their
 * numbers: Not-ECT, ECT(1), ECT(0), CE.
 */
static const uint8_t ecn_merged[4][4] = {
	{0, 0, 0, ECN_DROP},
	{1, 1, 1, 3},
	{2, 1, 2, 3},
	{3, 3, 3, 3},
};

/* What came of one packet: DROP_COUNT where it is to be kept. */
struct verdict {
	enum drop_reason reason;
	enum sa_drop slot;
};

#define KEEP       ((struct verdict){.reason = DROP_COUNT})
#define DROP(name) ((struct verdict){.reason = DROP_##name, .slot = SA_DROP_##name})

static inline bool is_kept_one(struct verdict verdict)
{
	return verdict.reason == DROP_COUNT;
}

static inline struct verdict verdict_of(enum replay_verdict replay)
{
	switch (replay) {
	case REPLAY_OK:
		return KEEP;
	case REPLAY_ZERO:
		return DROP(in_seq_zero);
	case REPLAY_DUPLICATE:
		return DROP(in_replay);
	default:
		return DROP(in_late);
	}
}

/* Keep the packet, or drop it as the verdict says; returns how many were kept. */
static inline uint16_t apply_one(
	struct rte_mbuf *m, struct verdict verdict, struct rte_mbuf **kept, const struct sa_tally *tally)
{
	if (is_kept_one(verdict)) {
		*kept = m;
		return 1;
	}
	sa_drop_slot_one(tally, m, verdict.reason, verdict.slot);
	return 0;
}

/* Bytes between IV and ICV; negative where they don't even fit. */
static inline int payload_bytes_one(const struct pkt *p)
{
	return p->ip_len - p->l4 - ESP_HEADER_BYTES - p->sa->iv_bytes - p->sa->icv_bytes;
}

static inline struct verdict prepare_one(struct rte_mbuf *m)
{
	struct pkt *p = pkt_of(m);
	const struct sa *sa = p->sa;
	int payload_bytes = payload_bytes_one(p);
	const struct rte_esp_hdr *esp;

	/* The least payload is padding and trailer alone, one unit long. */
	if (payload_bytes < sa->align_bytes || payload_bytes % sa->align_bytes != 0)
		return DROP(in_hdr);
	esp = rte_pktmbuf_mtod_offset(m, const struct rte_esp_hdr *, p->l4);
	p->esp_offset = p->l4;
	p->icv_offset = p->ip_len - sa->icv_bytes;
	p->seq = replay_guess(sa->replay, rte_be_to_cpu_32(esp->seq));
	return verdict_of(replay_check(sa->replay, p->seq));
}

void esp_in_prepare(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];

		kept += apply_one(m, prepare_one(m), &burst->pkts[kept], tally);
	}
	burst->n = kept;
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

	if (start + pad_bytes + ESP_TRAILER_BYTES > p->icv_offset ||
		memcmp(trailer - pad_bytes, padding, pad_bytes) != 0)
		return DROP(in_sa_proto);
	if (next_header == IPPROTO_NONE)
		return DROP(in_dummy); /* RFC 4303 section 2.6 */
	if (next_header != IPPROTO_IPIP && next_header != IPPROTO_IPV6)
		return DROP(in_sa_proto);
	*family = next_header == IPPROTO_IPIP ? IP_V4 : IP_V6;
	rte_pktmbuf_trim(m, pad_bytes + ESP_TRAILER_BYTES + p->sa->icv_bytes);
	rte_pktmbuf_adj(m, start);
	return KEEP;
}

static inline struct verdict ecn_merge_one(struct rte_mbuf *m, uint8_t outer_class)
{
	uint8_t inner_class = traffic_class_get_one(m);
	uint8_t merged = ecn_merged[inner_class & ECN_MASK][outer_class & ECN_MASK];

	if (merged == ECN_DROP)
		return DROP(in_ecn);
	if (merged != (inner_class & ECN_MASK))
		traffic_class_set_one(m, (uint8_t)(inner_class & ~ECN_MASK) | merged);
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
	return ecn_merge_one(m, outer_class);
}

/* In the order of RFC 4303 section 3.4: the window moves for authentic packets only, but for all of those. */
static inline struct verdict finish_one(struct rte_mbuf *m)
{
	const struct pkt *p = pkt_of(m);
	struct verdict verdict;

	if (p->flags & PKT_CRYPTO_FAILED)
		return DROP(crypto_failed);
	if (p->flags & PKT_ICV_BAD)
		return DROP(in_icv);
	verdict = verdict_of(replay_accept(p->sa->replay, p->seq));
	return is_kept_one(verdict) ? decapsulate_one(m) : verdict;
}

void esp_in_finish(struct burst *burst, const struct sa_tally *tally)
{
	STAGE(burst, tally->drops);
	uint16_t kept = 0;

	for (uint16_t i = 0; i < burst->n; i++) {
		struct rte_mbuf *m = burst->pkts[i];
		struct verdict verdict = finish_one(m);

		if (is_kept_one(verdict)) {
			struct sa_counters *counters = &pkt_of(m)->sa->counters[tally->worker];

			counters->packets++;
			counters->bytes += pkt_of(m)->ip_len;
		}
		kept += apply_one(m, verdict, &burst->pkts[kept], tally);
	}
	burst->n = kept;
}
