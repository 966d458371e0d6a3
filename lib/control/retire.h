/*
 * What workers may still hold after a change: the snapshot before, and SAs that it took out.
 *
 * Main thread only. An SA dies in two phases: it is taken out of the SAD and of the policies, the snapshot
 * without it is published, and when every worker has adopted that one or a later one, nobody holds the SA:
 * a worker adopts between two bursts, with its crypto queues empty, having forgotten what it remembered of
 * flows, and with no fragment that came out of the SA. Then its session is destroyed and its keys are wiped.
 * A worker that hangs delays that, and nothing else.
 */
#ifndef CULVERT_CONTROL_RETIRE_H
#define CULVERT_CONTROL_RETIRE_H

#include "control/control.h"

struct retired;

/*
 * The snapshot `before` was replaced by control->snapshot, which has been published. It and the n SAs, which
 * no table has any more, are destroyed when that may be. The array `sas` stays the caller's.
 */
void retire(struct control *control, struct snapshot *before, struct sa *const *sas, size_t n_sas);

/* Destroy what nobody holds any more. */
void retire_poll(struct control *control);

/* Destroy all; no worker runs. */
void retire_fini(struct control *control);

/* Changes that some worker has not adopted yet. */
size_t retire_pending(const struct control *control);

#endif
