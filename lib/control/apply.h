/*
 * From what the operator wants to what the workers read: the snapshot.
 *
 * Main thread only; control/change.h is who calls it. The SAs are there already, and the policies that name
 * them get them here. All is built before anything is published.
 */
#ifndef CULVERT_CONTROL_APPLY_H
#define CULVERT_CONTROL_APPLY_H

#include "control/control.h"
#include "datapath/snapshot.h"

struct apply_conf {
	const struct control *control; /* whose SAs those of the snapshot are; SA_RETIRED ones are left out */
	const struct gateway *gateway; /* as it will be */
	struct snapshot *before;       /* NULL: this is the first */
	unsigned stays;                /* enum snapshot_part: what is taken over from `before` */
	struct sa *const *policy_sas;  /* of each policy, the SA or NULL; NULL if no SPD is built */
	bool is_local;                 /* control/change_check.h */
	bool brings_bundles;           /* an SA that is not single ESP is new, or new policies have one */
	const size_t *fresh;           /* places of SAs that `before` has not */
	size_t n_fresh;
};

/* Build a snapshot. Returns 0, or -errno with err naming the object; then nothing is left. */
int apply_snapshot(const struct apply_conf *conf, struct snapshot **snapshot, struct err *err);
/* Free one that was built and is not to be published. */
void apply_snapshot_drop(const struct apply_conf *conf, struct snapshot *snapshot);

/* All workers adopt it at their next turn. */
void apply_publish(struct control *control, struct snapshot *snapshot);

/* An outbound SA's MTU comes from the link to its peer, or to that of its bundle. */
void apply_path_mtu(struct sa *sa, const struct snapshot *snapshot);

/* Say in the log where the SAs of each algorithm have their sessions: all of one algorithm go the same way.
 */
void apply_log_devices(const struct control *control);

#endif
