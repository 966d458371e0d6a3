/*
 * The names of peers that inbound SAs have, to the numbers that workers know them by (ipsec/replies.h).
 *
 * Main thread only. A name has its number for as long as an SA of the gateway has the name; when it comes
 * again it gets another, so that nobody answers a peer that is gone by the SAs of one that has its name now.
 * A change counts the SAs that come and those that leave, and forgets names at its end, so that SAs may take
 * the place of others within one change, and a change that fails leaves all as it was.
 */
#ifndef CULVERT_CONTROL_PEERS_H
#define CULVERT_CONTROL_PEERS_H

#include "model/name_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;

/* Zeroed: there are none. */
struct peers {
	struct name_index names; /* to places in the list */
	struct peer *list;
	size_t n;
	uint64_t last_number;
	bool has_unused;
};

void peers_fini(struct peers *peers);

/* One more SA has the name; returns its number, which is never REPLIES_PEER_NONE. */
uint64_t peers_take(struct peers *peers, const char *name);
/* One SA less has it. */
void peers_release(struct peers *peers, const char *name);
/* Forget the names that no SA has. */
void peers_forget_unused(struct peers *peers);

/* The number of that name, or REPLIES_PEER_NONE. */
uint64_t peers_find(const struct peers *peers, const char *name);
/* The reverse; NULL where no name has the number. */
const char *peers_name(const struct peers *peers, uint64_t number);

#endif
