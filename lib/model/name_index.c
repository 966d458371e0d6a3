#include "model/name_index.h"
#include "base/array.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct name_entry {
	const char *name;
	size_t value;
};

void name_index_init(struct name_index *index)
{
	*index = (struct name_index){0};
}

void name_index_fini(struct name_index *index)
{
	tdestroy(index->root, free);
	*index = (struct name_index){0};
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct name_entry *)a)->name, ((const struct name_entry *)b)->name);
}

static struct name_entry *entry_find(const struct name_index *index, const char *name)
{
	const struct name_entry key = {.name = name};
	struct name_entry *const *node = tfind(&key, &index->root, compare_entries);

	return node ? *node : NULL;
}

void name_index_add(struct name_index *index, const char *name, size_t value)
{
	struct name_entry *entry;

	if (entry_find(index, name))
		return;
	entry = xcalloc(1, sizeof(*entry));
	*entry = (struct name_entry){name, value};
	if (!tsearch(entry, &index->root, compare_entries))
		abort();
}

void name_index_set(struct name_index *index, const char *name, size_t value)
{
	struct name_entry *entry = entry_find(index, name);

	if (entry)
		entry->value = value;
}

void name_index_remove(struct name_index *index, const char *name)
{
	struct name_entry *entry = entry_find(index, name);

	if (!entry)
		return;
	tdelete(entry, &index->root, compare_entries);
	free(entry);
}

long name_index_find(const struct name_index *index, const char *name)
{
	const struct name_entry *entry = entry_find(index, name);

	return entry ? (long)entry->value : -1;
}
