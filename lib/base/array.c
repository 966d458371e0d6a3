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

/* The capacity is the next power of two of the count, so that it need not be stored. */
void *array_grow(void *items_pointer, size_t *count, size_t item_bytes)
{
	char *items;

	memcpy(&items, items_pointer, sizeof(items));
	if ((*count & (*count - 1)) == 0) {
		items = reallocarray(items, *count ? 2 * *count : 1, item_bytes);
		if (!items)
			abort();
		memcpy(items_pointer, &items, sizeof(items));
	}
	memset(items + *count * item_bytes, 0, item_bytes);
	*count += 1;
	return items + (*count - 1) * item_bytes;
}
