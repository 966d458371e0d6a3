/*
 * From a whole configuration to a change: the difference between what runs and what is wanted.
 *
 * Main thread only. What is the same is not touched. Workers, memory, ports and where the daemon is reached
 * can't change while it runs; a configuration that has others is refused.
 */
#ifndef CULVERT_CONTROL_RELOAD_H
#define CULVERT_CONTROL_RELOAD_H

#include "base/report.h"
#include "control/change.h"

/* How many of a kind are new, others, and gone. */
struct reload_counts {
	size_t added;
	size_t changed;
	size_t removed;
};

/* What a difference is made of; `tell`, if not NULL, is called with each. */
struct reload_summary {
	struct reload_counts sas;
	struct reload_counts policies;
	bool policies_reordered; /* and nothing else about them */
	struct reload_counts routes;
	struct reload_counts neighbours;
	bool icmp;
	void (*tell)(void *argument, const char *what, const char *kind, const char *name);
	void *argument;
};

/*
 * Fill the change, which has been initialised, with what makes the running gateway the wanted one, which has
 * been checked and is empty afterwards. What can't be is a finding.
 */
void reload_difference(const struct control *control, struct gateway *wanted, struct change *change,
	struct reload_summary *summary, struct report *report);

/*
 * The replay window is the key's, so that no packet is taken twice: an SA that changes under its key keeps
 * it, and can't get another size. False with err set, where it would.
 */
bool reload_sa_may_change(const struct sa_conf *running, const struct sa_conf *wanted, struct err *err);

#endif
