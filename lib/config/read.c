#include "config/read.h"
#include "base/array.h"
#include "config/suggest.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Append to the path; returns what path_pop needs to take it off again. */
static size_t path_push(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static size_t path_push(struct reader *reader, const char *format, ...)
{
	size_t length = strlen(reader->path);
	va_list args;

	va_start(args, format);
	vsnprintf(reader->path + length, sizeof(reader->path) - length, format, args);
	va_end(args);
	return length;
}

/* Without a format, since it is done for each key of each SA. */
static size_t path_push_key(struct reader *reader, const char *key)
{
	size_t length = strlen(reader->path), end = sizeof(reader->path) - 1;
	char *at = reader->path + length;

	if (length > 0 && length < end)
		*at++ = '.';
	*stpncpy(at, key, (size_t)(reader->path + end - at)) = '\0';
	return length;
}

static void path_pop(struct reader *reader, size_t length)
{
	reader->path[length] = '\0';
}

void read_fault(struct reader *reader, const struct yaml_node *node, const char *key, const char *format, ...)
{
	size_t length = strlen(reader->path);
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	if (key)
		path_push_key(reader, key);
	report_add_at(reader->report, node->line, node->column, reader->path, "%s", text);
	path_pop(reader, length);
	free(text);
}

/* A finding about the node's own key, at the place of the key, with the key quoted between the texts. */
static void key_fault(
	struct reader *reader, const struct yaml_node *node, const char *before, const char *after)
{
	char quoted[READ_QUOTED_MAX];

	report_add_at(reader->report, node->key_line, node->key_column, reader->path, "%s%s%s", before,
		read_quote(node->key, quoted), after);
}

static bool looks_like_key(const char *text)
{
	size_t run = 0;

	for (; *text; text++) {
		run = isxdigit((unsigned char)*text) ? run + 1 : 0;
		if (run >= READ_KEY_DIGITS_MIN)
			return true;
	}
	return false;
}

const char *read_quote(const char *text, char buf[READ_QUOTED_MAX])
{
	size_t length = strlen(text), shown = READ_QUOTED_MAX - 6;

	if (looks_like_key(text)) {
		strcpy(buf, "what looks like a key");
		return buf;
	}
	snprintf(buf, READ_QUOTED_MAX, "'%.*s%s'", (int)shown, text, length > shown ? "..." : "");
	for (char *c = buf; *c; c++)
		*c = isprint((unsigned char)*c) ? *c : '?';
	return buf;
}

static size_t find_key(const struct schema *schema, const char *name)
{
	size_t i = 0;

	/* Most differ in the first letter, which needs no call to be seen. */
	while (i < schema->n_keys &&
		(schema->keys[i].name[0] != name[0] || strcmp(schema->keys[i].name, name) != 0))
		i++;
	return i;
}

bool result_is_good(const struct schema_result *result, const char *key)
{
	size_t k = find_key(result->schema, key);

	return k < result->schema->n_keys && result->good[k];
}

static const char *node_kind(const struct yaml_node *node)
{
	if (node->kind == YAML_LIST)
		return "a list";
	if (node->kind == YAML_MAPPING)
		return "a mapping";
	return node->text[0] ? "a single value" : "nothing";
}

static bool expect_kind(
	struct reader *reader, const struct yaml_node *node, enum yaml_kind kind, const char *expected)
{
	if (node->kind == kind)
		return true;
	read_fault(reader, node, NULL, "expects %s, not %s", expected, node_kind(node));
	return false;
}

static bool read_one(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, void *field)
{
	if (!expect_kind(reader, node, YAML_SCALAR, "a single value"))
		return false;
	if (node->text[0] == '\0') {
		read_fault(reader, node, NULL, "has no value");
		return false;
	}
	return key->type->read(reader, key, node, field);
}

/* How many values to read of those given; too many are a finding, and those past the limit are left. */
static size_t count_items(struct reader *reader, const struct schema_key *key, const struct yaml_node *node)
{
	if (node->n_items < key->items_min)
		read_fault(
			reader, node, NULL, "expects at least %zu, not %zu", key->items_min, node->n_items);
	if (key->items_max == 0 || node->n_items <= key->items_max)
		return node->n_items;
	read_fault(reader, node, NULL, "expects at most %zu, not %zu", key->items_max, node->n_items);
	return key->items_max;
}

static bool read_item(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, char *object)
{
	size_t *count = (size_t *)(void *)(object + key->count_offset);
	void *item = array_grow(object + key->offset, count, key->bytes);
	bool good = read_one(reader, key, node, item);

	if (!good)
		--*count;
	return good;
}

static bool read_list(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, char *object)
{
	size_t findings = report_total(reader->report);
	size_t n = count_items(reader, key, node);

	for (size_t i = 0; i < n; i++) {
		size_t length = path_push(reader, "[%zu]", i);

		read_item(reader, key, &node->items[i], object);
		path_pop(reader, length);
	}
	return report_total(reader->report) == findings;
}

/* One allocation of the final size: growing would leave copies of keys in freed memory. */
static char *allocate_objects(const struct schema_key *key, size_t n, char *object)
{
	char *items = xcalloc(n + 1, key->bytes);

	memcpy(object + key->offset, &items, sizeof(items));
	memcpy(object + key->count_offset, &n, sizeof(n));
	return items;
}

static void read_object_list(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, char *object)
{
	size_t n = count_items(reader, key, node);
	char *items = allocate_objects(key, n, object);

	for (size_t i = 0; i < n; i++) {
		size_t length = path_push(reader, "[%zu]", i);

		read_object(reader, key->object, &node->items[i], items + i * key->bytes);
		path_pop(reader, length);
	}
}

static bool is_duplicate(struct reader *reader, const struct yaml_node *mapping, const struct yaml_node *item)
{
	const struct yaml_node *first;
	char more[64];

	if (!item->is_repeated)
		return false;
	first = yaml_node_find(mapping, item->key);
	snprintf(more, sizeof(more), " is given twice; the first is in line %u", first->key_line);
	key_fault(reader, item, "", more);
	return true;
}

bool read_name_is_valid(const char *name, size_t length_max)
{
	size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return length > 0 && length <= length_max && name[length] == '\0' && !looks_like_key(name);
}

static void name_fault(struct reader *reader, const struct schema_key *key, const struct yaml_node *item)
{
	char after[96];

	snprintf(after, sizeof(after), " is not a name of 1 to %zu letters, digits, - and _",
		key->object->name_max);
	key_fault(reader, item, "", after);
}

static void read_object_names(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, char *object)
{
	size_t n = count_items(reader, key, node);
	char *items = allocate_objects(key, n, object);

	for (size_t i = 0; i < n; i++) {
		const struct yaml_node *item = &node->items[i];
		char *name = xstrdup(item->key);
		size_t length;

		memcpy(items + i * key->bytes + key->object->name_offset, &name, sizeof(name));
		is_duplicate(reader, node, item);
		if (!read_name_is_valid(name, key->object->name_max)) {
			name_fault(reader, key, item);
			continue;
		}
		length = path_push_key(reader, name);
		read_object(reader, key->object, item, items + i * key->bytes);
		path_pop(reader, length);
	}
}

static bool read_value(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *node, char *object)
{
	size_t findings = report_total(reader->report);

	switch (key->shape) {
	case SHAPE_ONE:
		return read_one(reader, key, node, object + key->offset);
	case SHAPE_ONE_OR_LIST:
		if (node->kind != YAML_LIST)
			return read_item(reader, key, node, object);
		return read_list(reader, key, node, object);
	case SHAPE_LIST:
		return expect_kind(reader, node, YAML_LIST, "a list") && read_list(reader, key, node, object);
	case SHAPE_OBJECT:
		read_object(reader, key->object, node, object + key->offset);
		break;
	case SHAPE_OBJECT_LIST:
		if (expect_kind(reader, node, YAML_LIST, "a list"))
			read_object_list(reader, key, node, object);
		break;
	case SHAPE_OBJECT_NAMES:
		if (expect_kind(reader, node, YAML_MAPPING, "a mapping from names"))
			read_object_names(reader, key, node, object);
		break;
	}
	return report_total(reader->report) == findings;
}

/* Read the row's fallback as if the file said so. A list's items are told apart by a comma and a space. */
static void read_fallback(struct reader *reader, const struct schema_key *key, char *object)
{
	char text[128], *rest = text, *item;
	struct yaml_node node = {.kind = YAML_SCALAR, .text = text};

	snprintf(text, sizeof(text), "%s", key->fallback);
	if (key->shape == SHAPE_ONE) {
		read_value(reader, key, &node, object);
		return;
	}
	while ((item = strsep(&rest, ",")) != NULL) {
		node.text = item + strspn(item, " ");
		read_item(reader, key, &node, object);
	}
}

/* True if the absence is no fault. */
static bool read_absent(
	struct reader *reader, const struct schema_key *key, const struct yaml_node *mapping, char *object)
{
	const struct yaml_node empty = {
		.kind = YAML_MAPPING, .line = mapping->line, .column = mapping->column};

	if (key->required)
		read_fault(reader, mapping, NULL, "'%s' is missing", key->name);
	else if (key->fallback)
		read_fallback(reader, key, object);
	else if (key->shape == SHAPE_OBJECT)
		read_object(reader, key->object, &empty, object + key->offset);
	return !key->required;
}

static void add_unknown_key(struct reader *reader, const struct schema *schema, const struct yaml_node *node)
{
	struct suggestion suggestion = suggestion_for(node->key);
	char text[SUGGEST_TEXT_MAX];

	for (size_t i = 0; i < schema->n_keys; i++)
		suggestion_offer(&suggestion, schema->keys[i].name);
	key_fault(reader, node, "unknown key ", suggestion_format(&suggestion, text));
}

static void read_keys(struct reader *reader, struct schema_result *result, char *object)
{
	const struct schema *schema = result->schema;

	for (size_t i = 0; i < result->node->n_items; i++) {
		const struct yaml_node *node = &result->node->items[i];
		size_t k = find_key(schema, node->key), length;

		if (is_duplicate(reader, result->node, node))
			continue;
		if (k == schema->n_keys) {
			add_unknown_key(reader, schema, node);
			continue;
		}
		result->is_given[k] = true;
		length = path_push_key(reader, node->key);
		result->good[k] = read_value(reader, &schema->keys[k], node, object);
		path_pop(reader, length);
	}
}

void read_object(
	struct reader *reader, const struct schema *schema, const struct yaml_node *node, void *object)
{
	struct schema_result result = {.schema = schema, .node = node};

	if (schema->init)
		schema->init(object);
	if (!expect_kind(reader, node, YAML_MAPPING, "a mapping"))
		return;
	read_keys(reader, &result, object);
	for (size_t k = 0; k < schema->n_keys; k++)
		if (!result.is_given[k])
			result.good[k] = read_absent(reader, &schema->keys[k], node, object);
	if (schema->finish)
		schema->finish(reader, &result, object);
}
