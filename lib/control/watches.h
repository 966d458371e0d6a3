/*
 * What control looks at beside the queues from the workers, each in its own time: lifetimes, NAT keepalives
 * and peers that move, hints about ICVs, acquires, the audit log.
 *
 * Main thread only.
 */
#ifndef CULVERT_CONTROL_WATCHES_H
#define CULVERT_CONTROL_WATCHES_H

#include "control/control.h"

/* Watch nothing yet; the first change (control/change.h) brings the SAs. Returns 0. */
int watches_create(struct control *control, struct err *err);
void watches_destroy(struct control *control);

/* Look now: a run that was short tells what it has to tell too. */
void watches_look(struct control *control);
void watches_poll(struct control *control, uint64_t now_ns);

/* An SA came; an SA goes. */
void watches_add(struct control *control, struct sa *sa, const struct sa_conf *conf, uint64_t now_ns);
void watches_remove(struct control *control, const struct sa *sa);
/* The policies are others, and so is the table of acquires. */
void watches_policies(struct control *control);

#endif
