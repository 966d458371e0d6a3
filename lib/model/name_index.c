#include "model/name_index.h"
#include "base/array.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 16

/* FNV-1a, 64 bits (RFC 9923 section 2). */
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

struct name_entry {
	const char *name;
	size_t value;
	uint64_t hash;
};

void name_index_init(struct name_index *index)
{
	*index = (struct name_index){0};
}

void name_index_fini(struct name_index *index)
{
	free(index->entries);
	*index = (struct name_index){0};
}

static uint64_t hash_of(const char *name)
{
	uint64_t hash = FNV_OFFSET;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * FNV_PRIME;
	return hash;
}

/* The higher bits have seen every byte of a short name too. */
static size_t home_of(const struct name_index *index, uint64_t hash)
{
	return (hash ^ hash >> 32) & (index->capacity - 1);
}

static size_t next_to(const struct name_index *index, size_t place)
{
	return (place + 1) & (index->capacity - 1);
}

/* Where the name is, or the free entry where it would be. Some entry is free. */
static struct name_entry *entry_for(const struct name_index *index, const char *name, uint64_t hash)
{
	size_t place = home_of(index, hash);

	for (;; place = next_to(index, place)) {
		struct name_entry *entry = &index->entries[place];

		if (!entry->name || (entry->hash == hash && strcmp(entry->name, name) == 0))
			return entry;
	}
}

static struct name_entry *entry_find(const struct name_index *index, const char *name)
{
	struct name_entry *entry = index->n > 0 ? entry_for(index, name, hash_of(name)) : NULL;

	return entry && entry->name ? entry : NULL;
}

/* Twice the room, before more than three quarters are in use. */
static void room_make(struct name_index *index)
{
	struct name_index grown = {.capacity = index->capacity ? 2 * index->capacity : CAPACITY_FIRST};

	if (index->n + 1 <= index->capacity / 4 * 3)
		return;
	grown.entries = xcalloc(grown.capacity, sizeof(*grown.entries));
	grown.n = index->n;
	for (size_t i = 0; i < index->capacity; i++)
		if (index->entries[i].name)
			*entry_for(&grown, index->entries[i].name, index->entries[i].hash) =
				index->entries[i];
	free(index->entries);
	*index = grown;
}

void name_index_add(struct name_index *index, const char *name, size_t value)
{
	uint64_t hash = hash_of(name);
	struct name_entry *entry;

	room_make(index);
	entry = entry_for(index, name, hash);
	if (entry->name)
		return;
	*entry = (struct name_entry){name, value, hash};
	index->n++;
}

void name_index_set(struct name_index *index, const char *name, size_t value)
{
	struct name_entry *entry = entry_find(index, name);

	if (entry)
		entry->value = value;
}

/* May the entry at `from` move to the free place `to`: does its home come no later than that? */
static bool may_move(const struct name_index *index, size_t to, size_t from)
{
	size_t mask = index->capacity - 1, home = home_of(index, index->entries[from].hash);

	return ((from - home) & mask) >= ((from - to) & mask);
}

/* Those behind move up, so that no free entry is between a name and its home. */
void name_index_remove(struct name_index *index, const char *name)
{
	struct name_entry *entry = entry_find(index, name);
	size_t hole, place;

	if (!entry)
		return;
	hole = (size_t)(entry - index->entries);
	for (place = next_to(index, hole); index->entries[place].name; place = next_to(index, place)) {
		if (!may_move(index, hole, place))
			continue;
		index->entries[hole] = index->entries[place];
		hole = place;
	}
	index->entries[hole] = (struct name_entry){0};
	index->n--;
}

long name_index_find(const struct name_index *index, const char *name)
{
	const struct name_entry *entry = entry_find(index, name);

	return entry ? (long)entry->value : -1;
}
