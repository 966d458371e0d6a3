/*
 * Policies that a reload leaves alone, and where they are among those of the file.
 *
 * Main thread, by control/reload.h. They were added with `lasting` (docs/control-protocol.md), as those of a
 * key exchange are, and are not in the file.
 */
#ifndef CULVERT_CONTROL_LASTING_H
#define CULVERT_CONTROL_LASTING_H

#include "control/change.h"

/* The policies that a file is to be compared with: all of the gateway's that are not lasting. The caller
 * frees it. */
struct policy *lasting_others(const struct gateway *running, size_t *n);

/*
 * Make the wanted policies, which are taken over, the change's, with those that last among them: each before
 * the policy that it is before now, or behind all if that goes. One whose name is wanted for another does not
 * last.
 */
void lasting_merge(const struct gateway *running, struct gateway *wanted, struct change *change);

#endif
