/*
 * What a key of the schema takes, in words: for the programs that print the configuration's reference.
 * Markdown.
 */
#ifndef CULVERT_TOOLS_DOCS_KEY_TEXT_H
#define CULVERT_TOOLS_DOCS_KEY_TEXT_H

#include "config/schema.h"

#include <stdio.h>

/* The text as a table's cell. */
void key_cell_print(FILE *out, const char *text);

/* The kind of value, its choices and its limits. */
void key_type_print(FILE *out, const struct schema_key *key);

/* What stands for a key that is left out, or that it is required. */
void key_default_print(FILE *out, const struct schema_key *key);

/* A sentence that says what a section holds. */
const char *key_shape_text(enum schema_shape shape);

#endif
