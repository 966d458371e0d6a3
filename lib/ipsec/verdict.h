/*
 * What came of one packet on the way in, and what all protocols judge alike.
 *
 * Workers only; for the files that decapsulate.
 */
#ifndef CULVERT_IPSEC_VERDICT_H
#define CULVERT_IPSEC_VERDICT_H

#include "ipsec/replay.h"
#include "ipsec/sa.h"
#include "net/drop.h"
#include "net/rewrite.h"

#include <stdint.h>

#include <rte_mbuf.h>

#define ECN_MASK 0x03
#define ECN_DROP 0xff

/* DROP_COUNT where it is to be kept. */
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

/* Out of a tunnel whose header had that traffic class. */
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

#endif
