/*
 * A map from names to numbers, for objects that are many and come and go: 100,000 SAs and the policies that
 * name them.
 *
 * Called by control code. The names stay the caller's and must outlive their entry. It is a hash table with
 * linear probing: among 200,000 names a tree costs a cache miss at each of 17 steps. glibc's hsearch_r hashes
 * no more than the first eight characters, which numbered names share. Limits: one number a name; the hash
 * has no secret, since who names SAs and policies may do worse than make it slow.
 */
#ifndef CULVERT_MODEL_NAME_INDEX_H
#define CULVERT_MODEL_NAME_INDEX_H

#include <stddef.h>

struct name_entry;

/* All zero is an empty one. */
struct name_index {
	struct name_entry *entries; /* by their hashes; a free one has no name */
	size_t capacity;            /* a power of two, or 0 */
	size_t n;
};

void name_index_init(struct name_index *index);
void name_index_fini(struct name_index *index);

/* If the name is there already, it keeps its number. */
void name_index_add(struct name_index *index, const char *name, size_t value);
/* A name that is there gets another number. */
void name_index_set(struct name_index *index, const char *name, size_t value);
void name_index_remove(struct name_index *index, const char *name);

/* The number of that name, or -1. */
long name_index_find(const struct name_index *index, const char *name);

#endif
