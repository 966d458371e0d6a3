#include "key_text.h"

#include "config/read.h"

/* A bar would end the table's cell. */
void key_cell_print(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void choices_print(FILE *out, const struct schema_key *key)
{
	for (const struct schema_choice *choice = key->choices; choice->name; choice++)
		fprintf(out, "%s`%s`", choice == key->choices ? " " : ", ", choice->name);
}

static void limits_print(FILE *out, const struct schema_key *key)
{
	if (key->type == &read_name)
		fprintf(out, " of at most %u characters", (unsigned)key->max);
	else if (key->type == &read_port_range)
		fprintf(out, " of 0 to %llu", (unsigned long long)key->max);
	else if (key->type == &read_number)
		fprintf(out, " from %llu to %llu%s%s%s", (unsigned long long)key->min,
			(unsigned long long)key->max, key->unit ? " " : "", key->unit ? key->unit : "",
			key->or_zero ? ", or 0" : "");
}

void key_type_print(FILE *out, const struct schema_key *key)
{
	if (key->shape == SHAPE_LIST)
		fprintf(out, "a list, each ");
	key_cell_print(out, key->type->text);
	if (key->choices)
		choices_print(out, key);
	limits_print(out, key);
	if (key->shape == SHAPE_ONE_OR_LIST)
		fprintf(out, "; or a list of them");
	if (key->items_max > 0)
		fprintf(out, "; at most %zu", key->items_max);
}

void key_default_print(FILE *out, const struct schema_key *key)
{
	if (key->required)
		fprintf(out, "required");
	else if (key->fallback)
		fprintf(out, key->shape == SHAPE_LIST ? "`[%s]`" : "`%s`", key->fallback);
	else
		key_cell_print(out, key->absent);
}

const char *key_shape_text(enum schema_shape shape)
{
	if (shape == SHAPE_OBJECT_LIST)
		return "A list; each item is a mapping of these keys.";
	if (shape == SHAPE_OBJECT_NAMES)
		return "A mapping from names to mappings of these keys.";
	return "A mapping of these keys.";
}
