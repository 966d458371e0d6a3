/*
 * What one object of a gateway says about another: the checks that need the whole model.
 *
 * Called by control code after config/ has read a file, before anything is applied. A value's own type,
 * range and length are checked where it is read.
 */
#ifndef CULVERT_MODEL_CHECK_H
#define CULVERT_MODEL_CHECK_H

#include "base/report.h"
#include "model/gateway.h"
#include "model/name_index.h"

/* Add a finding for every contradiction. Paths are those of the configuration: `policies[2].sas[0]`. */
void gateway_check(const struct gateway *gateway, struct report *report);

/*
 * The same for one SA that is to be added to a gateway, whose SAs `names` has, and that no policy uses. That
 * no other has its SPI or its key is not looked at.
 */
void gateway_check_sa(const struct gateway *gateway, const struct name_index *names,
	const struct sa_conf *conf, struct report *report);

#endif
