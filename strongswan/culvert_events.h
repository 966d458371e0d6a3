/*
 * What culvertd tells of by itself, and what charon makes of it: an SA is to be replaced or has ended,
 * packets want an SA, a peer is elsewhere.
 */
#ifndef CULVERT_EVENTS_H
#define CULVERT_EVENTS_H

#include "kernel_culvert.h"

/* One event; the lock is not held, and charon is called without it. */
void culvert_event_hear(struct kernel_culvert *this, json_t *event);

#endif
