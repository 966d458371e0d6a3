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

#include <stddef.h>
#include <stdint.h>

struct control;

/* Look, unless the last time was less than a second before. */
void icv_hint_poll(struct control *control, uint64_t now_ns);

/* Look now. Returns how many SAs were told of. */
size_t icv_hint_look(const struct control *control);

#endif
