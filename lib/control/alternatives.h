/*
 * From the alternatives that policies name to those that the workers read.
 *
 * Control thread; a part of apply.c.
 */
#ifndef CULVERT_CONTROL_ALTERNATIVES_H
#define CULVERT_CONTROL_ALTERNATIVES_H

#include "base/err.h"
#include "control/control.h"

/*
 * Make control->replies, unless it is there: an SA is for a peer. Returns 0, or -ENOMEM with err set.
 */
int alternatives_prepare(struct control *control, struct err *err);

/*
 * Set alternatives_out and alternatives_in of the snapshot, which has its routes; it owns them, also after a
 * failure. `gateway` has the policies, as they will be. Returns 0, or -ENOMEM with err set.
 */
int alternatives_build(const struct control *control, const struct gateway *gateway,
	struct snapshot *snapshot, struct err *err);

#endif
