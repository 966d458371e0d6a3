/*
 * Which SA has a key: each has one of its own (RFC 4106 section 8.1), and one that is to be added is not
 * compared with all the others.
 *
 * Main thread only; control/sas.c keeps it. Keys are found by their hash under a secret of this process, so
 * that no second copy of a key is anywhere. Limits: an SA without a key is not in it.
 */
#ifndef CULVERT_CONTROL_SA_KEYS_H
#define CULVERT_CONTROL_SA_KEYS_H

#include "base/secret.h"
#include "control/keyed_hash.h"

struct control_sa;

/* All zero at the beginning. */
struct sa_keys {
	struct keyed_hash hash;
	void *root; /* of tsearch */
};

void sa_keys_fini(struct sa_keys *keys);

/* The SA has that key. While a change is made two may have it. */
void sa_keys_add(struct sa_keys *keys, const struct secret *key, struct control_sa *sa);
/* It has it no more. */
void sa_keys_remove(struct sa_keys *keys, const struct secret *key, struct control_sa *sa);

/* An SA that has the key, or NULL. O(log n), as the others. */
struct control_sa *sa_keys_find(const struct sa_keys *keys, const struct secret *key);

#endif
