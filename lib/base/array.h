/*
 * Growing arrays and allocation for control code: a pointer and a count that the caller owns and frees.
 *
 * Memory that runs out while a configuration is read ends the program: at that point nothing runs yet, or
 * the old configuration's process manager restarts it. Run-time objects (SAs, tables) don't use this; they
 * return -ENOMEM. What an array leaves behind when it moves is wiped, since it may be keys. Limits: no
 * shrinking.
 */
#ifndef CULVERT_BASE_ARRAY_H
#define CULVERT_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Like calloc and strdup, but never NULL. */
void *xcalloc(size_t count, size_t size);
char *xstrdup(const char *text);

/* Are two texts the same, or both NULL? */
bool texts_equal(const char *a, const char *b);

/* Names that the caller owns: free them all and their array; are two lists the same? */
void names_free(char **names, size_t count);
bool names_equal(char *const *a, size_t n_a, char *const *b, size_t n_b);

/* Make room for one more element and return it, zeroed; *count has grown by one. */
void *array_grow(void *items_pointer, size_t *count, size_t item_bytes);

/* array_append(&items, &n_items): a pointer to the new last element, of the items' own type. */
#define array_append(items_pointer, count_pointer)                                                           \
	((__typeof__(*(items_pointer)))array_grow(                                                           \
		(items_pointer), (count_pointer), sizeof(**(items_pointer))))

#endif
