/*
 * What control does for SAs in UDP (ipsec/natt.h): keepalives for those that are idle, and news of peers that
 * moved.
 *
 * Control thread. Workers move a peer and count packets; this looks at both now and then. A peer that has
 * moved may be behind another link, so that its SA's MTU follows, and the log tells. Limits: a keepalive is
 * late by NATT_WATCH_PERIOD_NS at most; no more than NATT_WATCH_LOG_MAX moves are told at a time.
 */
#ifndef CULVERT_CONTROL_NATT_WATCH_H
#define CULVERT_CONTROL_NATT_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define NATT_WATCH_PERIOD_NS (UINT64_C(500) * CLOCK_NS_PER_MS)
#define NATT_WATCH_LOG_MAX   16

struct control;
struct sa;
struct natt_watched;

struct natt_watch {
	struct natt_watched *sas; /* outbound, with keepalives or a peer that moves */
	size_t n_sas;
	uint64_t next_ns;
};

/* Watch an SA from now on, if there is something to watch; watch it no more, if it was. */
void natt_watch_add(struct natt_watch *watch, struct sa *sa, uint32_t keepalive_s, uint64_t now_ns);
void natt_watch_remove(struct natt_watch *watch, const struct sa *sa);
/* Free what was taken. */
void natt_watch_fini(struct natt_watch *watch);

/* Look, unless the last time was less than a period before. */
void natt_watch_poll(struct natt_watch *watch, struct control *control, uint64_t now_ns);

/* Tell of peers that moved since the last look, now. */
void natt_watch_tell(struct natt_watch *watch, struct control *control);

#endif
