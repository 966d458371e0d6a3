/*
 * Is a change free of contradictions? Nothing but the answer: control/change.h makes it.
 *
 * Main thread only. The running gateway has been checked, so that a change that only adds, and takes what
 * nothing else uses, is checked by itself with the SAs that it names. Any other is checked as part of the
 * whole gateway, as its configuration would be; so is one with a finding, whose paths are those of the whole.
 * Limits: bundles, and SAs in use that are replaced, always take the whole.
 */
#ifndef CULVERT_CONTROL_CHANGE_CHECK_H
#define CULVERT_CONTROL_CHANGE_CHECK_H

#include "control/change.h"

/*
 * Does the change leave everything as it was that it does not name? Then no SA's links change, and no SA that
 * goes or is replaced is used by what stays.
 */
bool change_is_local(const struct control *control, const struct change *change);

/* Check the gateway as it would be, all of it. Costs what a configuration of its size costs. */
void change_check_whole(const struct control *control, const struct change *change, struct report *report);

#endif
