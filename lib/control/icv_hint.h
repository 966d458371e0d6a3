/*
 * A hint for whoever reads the log: packets that fail on an SA with HMAC-SHA2-256 may come from a peer that
 * cuts it to the other length.
 *
 * RFC 4868 cuts to 128 bits; the draft before it, and with it old Linux, Android and storage boxes, to 96.
 * Workers only count; the control thread looks at the counters once a second, and says it once for each SA.
 * Limits: inbound SAs.
 */
#ifndef CULVERT_CONTROL_ICV_HINT_H
#define CULVERT_CONTROL_ICV_HINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sa;

struct icv_hint {
	bool *told; /* of each SA */
	size_t n_sas;
	uint64_t next_ns;
};

/* Memory for so many SAs; icv_hint_fini frees it. */
void icv_hint_init(struct icv_hint *hint, size_t n_sas);
void icv_hint_fini(struct icv_hint *hint);

/* Look, unless the last time was less than a second before. `sas` are always the same, in the same order. */
void icv_hint_poll(struct icv_hint *hint, struct sa *const *sas, uint64_t now_ns);

/* Look now. Returns how many SAs were told of. */
size_t icv_hint_look(struct icv_hint *hint, struct sa *const *sas);

#endif
