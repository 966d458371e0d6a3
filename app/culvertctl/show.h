/*
 * What the `show` commands have in common: a list that the daemon gives a page at a time, as a table.
 *
 * Called by show.c and top.c. Values that an item does not have are shown as `-`.
 */
#ifndef CULVERT_CULVERTCTL_SHOW_H
#define CULVERT_CULVERTCTL_SHOW_H

#include "client.h"
#include "table.h"

#include <jansson.h>

#define SHOW_CELL_MAX 1024

/* The number of that key; 0 if there is none. */
uint64_t show_number(const json_t *object, const char *key);
/* The text of that key; `-` if there is none. */
const char *show_text(const json_t *object, const char *key);

/*
 * All items of the list `name` of that command's answers, page by page. `arguments`, an object, is borrowed;
 * its `limit`, if it has one, is the most items wanted, from its `offset`. Returns a result like that of one
 * answer with all items, or NULL with err set. The caller frees it.
 */
json_t *show_all_pages(struct client *client, const char *command, const char *name, const json_t *arguments,
	struct err *err);

/* Print JSON for a program. */
void show_json(const json_t *value);

#endif
