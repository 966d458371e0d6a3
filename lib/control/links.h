/*
 * Links between SAs: which one is around which in a bundle, and which follows which one's peer.
 *
 * Main thread only; a part of control/change.c. Workers read links without a lock, so they are set before an
 * SA is used and never changed: an SA whose links would change is made anew.
 */
#ifndef CULVERT_CONTROL_LINKS_H
#define CULVERT_CONTROL_LINKS_H

#include "control/control.h"

struct links {
	struct sa *around;
	bool has_inside;
	struct sa *ipcomp_inside;
	struct sa *follows;
};

/*
 * Those of all SAs of control, by place, with the policies of `gateway`: an array which the caller frees.
 */
struct links *links_make(const struct control *control, const struct gateway *gateway);

/* Has the SA at that place other links? */
bool links_differ(const struct control *control, const struct links *links, size_t place);

/* Set those of an SA that nobody uses yet. */
void links_set(const struct control *control, const struct links *links, size_t place);

#endif
