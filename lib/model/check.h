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

/* Add a finding for every contradiction. Paths are those of the configuration: `policies[2].sas[0]`. */
void gateway_check(const struct gateway *gateway, struct report *report);

#endif
