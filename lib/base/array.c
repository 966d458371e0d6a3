#include "base/array.h"

#include <stdlib.h>
#include <string.h>

void *xcalloc(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

char *xstrdup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		abort();
	return copy;
}

/* Room for `capacity` elements. What may have been a key is not left behind, as realloc would. */
static char *array_move(char *items, size_t count, size_t capacity, size_t item_bytes)
{
	char *moved = xcalloc(capacity, item_bytes);

	if (!items)
		return moved;
	memcpy(moved, items, count * item_bytes);
	explicit_bzero(items, count * item_bytes);
	free(items);
	return moved;
}

/* The capacity is the next power of two of the count, so that it need not be stored. */
void *array_grow(void *items_pointer, size_t *count, size_t item_bytes)
{
	char *items;

	memcpy(&items, items_pointer, sizeof(items));
	if ((*count & (*count - 1)) == 0) {
		items = array_move(items, *count, *count ? 2 * *count : 1, item_bytes);
		memcpy(items_pointer, &items, sizeof(items));
	}
	memset(items + *count * item_bytes, 0, item_bytes);
	*count += 1;
	return items + (*count - 1) * item_bytes;
}

void names_free(char **names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

bool names_equal(char *const *a, size_t n_a, char *const *b, size_t n_b)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}
