/*
 * Bundles at run time: several SAs one around the other (RFC 4301 section 4.4.1.2), applied in order on the
 * way out, and required in order on the way in.
 *
 * Workers only. Which SA is around which is fixed when a configuration is applied (model/bundle.h).
 */
#ifndef CULVERT_IPSEC_BUNDLE_H
#define CULVERT_IPSEC_BUNDLE_H

#include "ipsec/sa.h"
#include "net/burst.h"

/* SAs that a packet may come out of, one inside the other, bundles and tunnels in tunnels together. */
#define BUNDLE_DEPTH_MAX 8

/* Outbound, after an SA was applied: move the packets that another is around to *more, as packets for it. */
void bundle_next(struct burst *burst, struct burst *more, struct drops *drops);

/*
 * Inbound, after an SA was taken off: move packets whose bundle has another SA inside, and which say that it
 * follows, to *inside. What should follow and does not, the selectors will refuse.
 */
void bundle_inside(struct burst *burst, struct burst *inside, struct drops *drops);

/*
 * Inbound, after sad_lookup: keep packets that came out of the SA around theirs, or out of none where there
 * is none; IPComp is not for here, as it protects nothing alone (ipcomp_in). Drops: in_bundle.
 */
void bundle_check(struct burst *burst, const struct sa_tally *tally);

/* Inbound, packets that go through another SA: drop what did too often already, as in_nesting. */
void bundle_depth(struct burst *burst, const struct sa_tally *tally);

#endif
