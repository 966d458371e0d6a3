/*
 * Do the SAs of a policy with alternatives go together? Part of gateway_check, after the SAs and policies
 * have been checked by themselves.
 *
 * Control code.
 */
#ifndef CULVERT_MODEL_CHECK_ALTERNATIVES_H
#define CULVERT_MODEL_CHECK_ALTERNATIVES_H

#include "base/report.h"
#include "model/gateway.h"
#include "model/name_index.h"

/* `sas` finds the gateway's SAs by name. Names that it does not find have findings already. */
void check_alternatives(const struct gateway *gateway, const struct name_index *sas, struct report *report);

/* Of one SA that no policy uses yet. */
void check_alternatives_of_sa(const struct gateway *gateway, const struct name_index *sas,
	const struct sa_conf *sa, struct report *report);

#endif
