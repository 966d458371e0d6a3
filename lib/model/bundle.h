/*
 * Bundles: which SA is around which, as the policies have them (RFC 4301 section 4.4.1.2, and 4.5 of RFC
 * 2401, which named them).
 *
 * Called by control code. An SA is in the same company in all policies that use it, so that the SA alone says
 * what comes next. Limits: POLICY_BUNDLE_MAX SAs one around the other.
 */
#ifndef CULVERT_MODEL_BUNDLE_H
#define CULVERT_MODEL_BUNDLE_H

#include "base/report.h"
#include "model/gateway.h"
#include "model/name_index.h"

#define BUNDLE_NONE SIZE_MAX

/* For each SA of the gateway, by index. */
struct bundle_place {
	size_t around; /* the SA that is next on the way out, and comes before it on the way in */
	size_t inside; /* the reverse; the first one found, as several may share one around them */
	size_t policy; /* the first that uses the SA, or BUNDLE_NONE */
};

/*
 * The places of all SAs: an array of gateway->n_sas + 1, which the caller frees. `names` maps their names to
 * their indexes. A contradiction is a finding, if `report` is not NULL, and the first policy counts; names
 * that no SA has are left out.
 */
struct bundle_place *bundles_make(
	const struct gateway *gateway, const struct name_index *names, struct report *report);

/*
 * Add a finding for every bundle that can't be: IPComp that is not innermost or alone, and transport mode
 * around, or for, packets that are not between the SA's ends.
 */
void bundles_check(const struct gateway *gateway, const struct name_index *names, struct report *report);

#endif
