/*
 * A change of the running gateway: made wholly, or not at all.
 *
 * Main thread only. Whoever wants a change (control/reload.h, control/commands_change.c) fills a struct
 * change, has it checked, and makes it here: SAs are made first, a snapshot is built with them, and only when
 * nothing can fail any more are the SADs changed and the snapshot published. What was before is retired
 * (control/retire.h). SAs that a change does not name keep their sequence numbers, windows and counters.
 * Cost: an SA that no policy names costs the same among many as among few; a change of policies builds the
 * SPD of their direction anew.
 */
#ifndef CULVERT_CONTROL_CHANGE_H
#define CULVERT_CONTROL_CHANGE_H

#include "base/report.h"
#include "control/control.h"

#include <stdbool.h>
#include <stddef.h>

/* Changes that some worker has not adopted; one more is refused. */
#define CHANGES_PENDING_MAX 256

struct change {
	/* SAs to be made; one of the name of an SA that there is takes its place. The change's until made. */
	struct sa_conf *fresh;
	size_t n_fresh;
	/* SAs that go, by name; borrowed. */
	const char **gone;
	size_t n_gone;
	/* The whole list of policies, if has_policies. */
	bool has_policies;
	struct policy *policies;
	size_t n_policies;
	bool *is_owned; /* by place in `policies`: it is the change's until made, and not the gateway's */
	bool *is_kept;  /* by place in the gateway's list: it is in `policies` */
	/* The whole lists, if they change; the change's until made. */
	bool has_routes;
	struct route_conf *routes;
	size_t n_routes;
	bool has_neighbours;
	struct neighbour_conf *neighbours;
	size_t n_neighbours;
	bool has_icmp;
	struct icmp_conf icmp;
};

/* Begin with no change; change_fini frees what has not become the gateway's. */
void change_init(struct change *change);
void change_fini(struct change *change);

/* Begin to change policies: all are kept so far. Nothing if that was begun. */
void change_policies_begin(struct change *change, const struct gateway *gateway);
/* The policy, which is taken over, gets that place; n_policies is the last. */
void change_policy_insert(struct change *change, size_t place, struct policy *policy);
/* Take the policy at that place out. */
void change_policy_remove(struct change *change, size_t place, const struct gateway *gateway);
/* The place of the policy of that name, or -1. */
long change_policy_find(const struct change *change, const char *name);

/* The gateway with the lists that the change has in place of its own, but for SAs. Nothing is copied. */
struct gateway change_lists_after(const struct gateway *gateway, const struct change *change);

/* Is there room for all its SAs? 0, or -ENOSPC with err set. */
int change_check_room(const struct control *control, const struct change *change, struct err *err);

/*
 * Check the gateway as it would be, as a whole configuration is checked (control/change_check.h); findings go
 * to the report.
 */
void change_check(const struct control *control, const struct change *change, struct report *report);

/*
 * Make it. Returns 0, and the change is empty; or -errno with err set, and nothing has changed (-EBUSY:
 * workers don't keep up). It has been checked.
 */
int change_make(struct control *control, struct change *change, struct err *err);

/*
 * The first change: make all that control->gateway has, and publish it to the workers, which don't run yet.
 * Returns 0 or -errno with err naming the object; then nothing is left.
 */
int change_begin(struct control *control, struct err *err);
/* Unpublish and free all. No worker runs. */
void change_end(struct control *control);

#endif
