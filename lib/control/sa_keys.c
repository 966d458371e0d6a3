#include "control/sa_keys.h"

#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/array.h"
#include "base/log.h"

struct sa_key {
	uint8_t hash[KEYED_HASH_BYTES];
	struct control_sa *sa;
};

static int compare_hashes(const void *a, const void *b)
{
	return memcmp(((const struct sa_key *)a)->hash, ((const struct sa_key *)b)->hash, KEYED_HASH_BYTES);
}

static int compare(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct sa_key *)a)->sa,
		  y = (uintptr_t)((const struct sa_key *)b)->sa;
	int order = compare_hashes(a, b);

	return order ? order : (x > y) - (x < y);
}

static void hash_begin(struct sa_keys *keys)
{
	uint8_t secret[KEYED_HASH_BYTES] = {0};

	if (keys->hash.context)
		return;
	/* The keys are in memory too, so that a poor secret would do. */
	if (getrandom(secret, sizeof(secret), 0) != sizeof(secret))
		log_warning("the operating system gives no random numbers");
	keyed_hash_init(&keys->hash, secret);
	explicit_bzero(secret, sizeof(secret));
}

void sa_keys_fini(struct sa_keys *keys)
{
	tdestroy(keys->root, free);
	if (keys->hash.context)
		keyed_hash_fini(&keys->hash);
	*keys = (struct sa_keys){0};
}

void sa_keys_add(struct sa_keys *keys, const struct secret *key, struct control_sa *sa)
{
	struct sa_key *entry;

	if (key->length_bytes == 0)
		return;
	hash_begin(keys);
	entry = xcalloc(1, sizeof(*entry));
	entry->sa = sa;
	keyed_hash_of(&keys->hash, key->bytes, key->length_bytes, entry->hash);
	if (!tsearch(entry, &keys->root, compare))
		abort();
}

void sa_keys_remove(struct sa_keys *keys, const struct secret *key, struct control_sa *sa)
{
	struct sa_key wanted = {.sa = sa}, **node, *entry;

	if (key->length_bytes == 0)
		return;
	keyed_hash_of(&keys->hash, key->bytes, key->length_bytes, wanted.hash);
	node = tfind(&wanted, &keys->root, compare);
	entry = node ? *node : NULL;
	tdelete(&wanted, &keys->root, compare);
	free(entry);
}

struct control_sa *sa_keys_find(const struct sa_keys *keys, const struct secret *key)
{
	struct sa_key wanted, *const *node;

	if (key->length_bytes == 0 || !keys->root)
		return NULL;
	keyed_hash_of(&keys->hash, key->bytes, key->length_bytes, wanted.hash);
	/* Those of one hash are beside each other in the tree, so that its order is this one's too. */
	node = tfind(&wanted, &keys->root, compare_hashes);
	return node ? (*node)->sa : NULL;
}
