/*
 * From what the operator wants to what the workers read: SAs, the SAD, and the snapshot.
 *
 * Main thread only. Order: SAs first, then the policies that use them; all is built before anything is
 * published.
 */
#ifndef CULVERT_CONTROL_APPLY_H
#define CULVERT_CONTROL_APPLY_H

#include "control/control.h"

/*
 * Build the SAs and the first snapshot of control->gateway, and publish it to all workers, which don't run
 * yet. Returns 0 or -errno with err naming the object; then nothing is left.
 */
int apply_create(struct control *control, struct err *err);

/* Unpublish and free. No worker runs. */
void apply_destroy(struct control *control);

#endif
