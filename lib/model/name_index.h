/*
 * A map from names to numbers, for objects that are many: 100,000 SAs and the policies that name them.
 *
 * Called by control code: init with the final number of names, add them, sort once, then find. The names stay
 * the caller's and must outlive the index. It is a sorted array, so that no choice of names makes it slow;
 * glibc's hsearch_r hashes no more than the first eight characters, which numbered names share.
 * Limits: no name is added after the sort.
 */
#ifndef CULVERT_MODEL_NAME_INDEX_H
#define CULVERT_MODEL_NAME_INDEX_H

#include <stddef.h>

struct name_index {
	struct name_entry *entries;
	size_t n_entries;
	size_t capacity;
};

struct name_entry {
	const char *name;
	size_t value;
};

void name_index_init(struct name_index *index, size_t capacity);
void name_index_fini(struct name_index *index);

/* At most `capacity` names. A name may be added more than once. */
void name_index_add(struct name_index *index, const char *name, size_t value);
void name_index_sort(struct name_index *index);

/* The value of that name, the least one if it was added more than once; -1 if it was not. O(log n). */
long name_index_find(const struct name_index *index, const char *name);

#endif
