/*
 * SAs that go on between other ends, under the key that they have (RFC 4555, RFC 7296 section 2.23).
 *
 * Main thread; control/commands_change.c calls it with the argument `moves` of a change. A moved SA is made
 * anew with its configuration, in which the ends are others; by its key it goes on with its sequence numbers,
 * window and limits (control/sas.h).
 */
#ifndef CULVERT_CONTROL_MOVES_H
#define CULVERT_CONTROL_MOVES_H

#include "control/change.h"

#include <jansson.h>

/*
 * Add to the change what `moves`, an object of SAs by name, says of each: `source`, `destination`, `encap`,
 * `source_port`, `destination_port`, and `follows`, which may be null or empty: none. `tell`, if not NULL, is
 * called with each name. NULL is no moves. Returns 0, or -errno with err set.
 */
int moves_take(const struct control *control, const json_t *moves, struct change *change,
	void (*tell)(void *argument, const char *name), void *argument, struct err *err);

#endif
