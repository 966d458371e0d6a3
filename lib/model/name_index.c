#include "model/name_index.h"
#include "base/array.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void name_index_init(struct name_index *index, size_t capacity)
{
	*index = (struct name_index){
		.entries = xcalloc(capacity + 1, sizeof(*index->entries)),
		.capacity = capacity,
	};
}

void name_index_fini(struct name_index *index)
{
	free(index->entries);
	*index = (struct name_index){0};
}

void name_index_add(struct name_index *index, const char *name, size_t value)
{
	assert(index->n_entries < index->capacity);
	index->entries[index->n_entries++] = (struct name_entry){name, value};
}

static int compare_entries(const void *a, const void *b)
{
	const struct name_entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->value > y->value) - (x->value < y->value);
}

void name_index_sort(struct name_index *index)
{
	qsort(index->entries, index->n_entries, sizeof(*index->entries), compare_entries);
}

long name_index_find(const struct name_index *index, const char *name)
{
	size_t low = 0, high = index->n_entries;

	/* The first entry that is not less than name: with equal names, that of the least value. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(index->entries[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->n_entries || strcmp(index->entries[low].name, name) != 0)
		return -1;
	return (long)index->entries[low].value;
}
