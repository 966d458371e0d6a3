/*
 * The lives of SAs: the control thread looks at what each has used of its limits, ends those whose time is
 * over, and tells of each limit once when it is reached: the soft one, at which the SA is to be replaced, and
 * the hard one, at which it has ended (RFC 4301 section 4.4.2.1).
 *
 * Workers end an SA by bytes and packets themselves (ipsec/life.h). Control thread only; the SAs outlive it.
 * Limits: it looks LIFETIME_LOOKS_PER_SECOND times, and only at SAs that have limits.
 */
#ifndef CULVERT_CONTROL_LIFETIME_H
#define CULVERT_CONTROL_LIFETIME_H

#include "ipsec/sa.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIFETIME_LOOKS_PER_SECOND 10

struct lifetime_event {
	const struct sa *sa;
	enum sa_limit_kind kind;
	bool is_hard; /* the SA has ended */
	uint64_t used;
	uint64_t limit;
};

typedef void (*lifetime_listener)(void *argument, const struct lifetime_event *event);

struct lifetime {
	struct lifetime_watch *watched; /* SAs that have limits */
	size_t n;
	lifetime_listener listener;
	void *argument;
	uint64_t next_ns;
};

/* Watch no SA yet, and tell the listener. lifetime_fini frees its memory. */
void lifetime_init(struct lifetime *lifetime, lifetime_listener listener, void *argument);
void lifetime_fini(struct lifetime *lifetime);

/* Watch an SA, if it has limits; watch it no more, if it was. */
void lifetime_add(struct lifetime *lifetime, struct sa *sa);
void lifetime_remove(struct lifetime *lifetime, const struct sa *sa);

/* Look, unless it is too soon after the last time. */
void lifetime_poll(struct lifetime *lifetime, uint64_t now_ns);

/* Look now. */
void lifetime_look(struct lifetime *lifetime, uint64_t now_ns);

/* A listener: a line of the log. */
void lifetime_log(void *argument, const struct lifetime_event *event);

/* `seconds`, `bytes`, `packets`. */
const char *lifetime_unit(enum sa_limit_kind kind);

#endif
