#include "config/yaml.h"
#include "base/array.h"

#include <yaml.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SEGMENT_MAX 128

struct builder {
	yaml_parser_t parser;
	const char *text;
	size_t length_bytes;
	size_t n_nodes;
	struct report *report;
};

static void add_at_mark(struct builder *builder, const yaml_mark_t *mark, const char *sentence)
{
	report_add_at(
		builder->report, (unsigned)mark->line + 1, (unsigned)mark->column + 1, "", "%s", sentence);
}

/* libyaml names only the offset of a byte that it can't decode. */
static void add_at_offset(struct builder *builder, size_t offset)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < offset && i < builder->length_bytes; i++) {
		bool ends_line = builder->text[i] == '\n';

		line += ends_line;
		column = ends_line ? 1 : column + 1;
	}
	report_add_at(builder->report, line, column, "", "not UTF-8 text: %s", builder->parser.problem);
}

static bool is_tab_at(const struct builder *builder, size_t index)
{
	return index < builder->length_bytes && builder->text[index] == '\t';
}

static void add_syntax_error(struct builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		abort();
	if (parser->error == YAML_READER_ERROR) {
		add_at_offset(builder, parser->problem_offset);
		return;
	}
	report_add_at(builder->report, (unsigned)parser->problem_mark.line + 1,
		(unsigned)parser->problem_mark.column + 1, "", "not YAML: %s%s%s%s", parser->problem,
		parser->context ? " " : "", parser->context ? parser->context : "",
		is_tab_at(builder, parser->problem_mark.index) ? "; indent with spaces, not tabs" : "");
}

static bool next_event(struct builder *builder, yaml_event_t *event)
{
	if (yaml_parser_parse(&builder->parser, event))
		return true;
	add_syntax_error(builder);
	return false;
}

/* Free the event, and wipe its scalar first if nobody took it. */
static void drop_event(yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT && event->data.scalar.value)
		explicit_bzero(event->data.scalar.value, event->data.scalar.length);
	yaml_event_delete(event);
}

/* What the event has that is not read here, or NULL. */
static const char *event_refusal(const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return "aliases (*name) are not read; write the value out";
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		tag = event->data.scalar.tag;
		if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
			return "a NUL character in a value";
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		tag = event->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		tag = event->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return "anchors (&name) are not read; write the value out where it is used";
	return tag ? "tags (!name) are not read" : NULL;
}

static bool accept_event(struct builder *builder, const yaml_event_t *event, unsigned depth)
{
	const char *refusal = event_refusal(event);

	if (!refusal && depth > YAML_DEPTH_MAX)
		refusal = "nested too deep";
	if (refusal) {
		add_at_mark(builder, &event->start_mark, refusal);
		return false;
	}
	if (++builder->n_nodes <= YAML_NODES_MAX)
		return true;
	report_add_at(builder->report, (unsigned)event->start_mark.line + 1,
		(unsigned)event->start_mark.column + 1, "", "more than %u keys and values in one file",
		YAML_NODES_MAX);
	return false;
}

/* libyaml's string becomes ours, so that no copy of a key is left behind. */
static char *take_text(yaml_event_t *event)
{
	char *text = (char *)event->data.scalar.value;

	event->data.scalar.value = NULL;
	return text;
}

static bool build_node(struct builder *builder, yaml_event_t *event, unsigned depth, struct yaml_node *node);

/* Append one value to the parent, also one that is not complete: yaml_tree_free then finds it. */
static bool build_item(struct builder *builder, yaml_event_t *event, unsigned depth, struct yaml_node *parent,
	struct yaml_node item)
{
	bool built = build_node(builder, event, depth, &item);

	*array_append(&parent->items, &parent->n_items) = item;
	return built;
}

static bool build_list(struct builder *builder, unsigned depth, struct yaml_node *node)
{
	yaml_event_t event;

	for (;;) {
		if (!next_event(builder, &event))
			return false;
		if (event.type == YAML_SEQUENCE_END_EVENT) {
			drop_event(&event);
			return true;
		}
		if (!build_item(builder, &event, depth + 1, node, (struct yaml_node){0}))
			return false;
	}
}

/* Read the key of a mapping's next entry into item; consumes the event. */
static bool build_key(struct builder *builder, yaml_event_t *event, unsigned depth, struct yaml_node *item)
{
	bool accepted = accept_event(builder, event, depth);

	if (accepted && event->type != YAML_SCALAR_EVENT) {
		add_at_mark(builder, &event->start_mark, "a key must be a word");
		accepted = false;
	}
	if (accepted) {
		item->key = take_text(event);
		item->key_line = (unsigned)event->start_mark.line + 1;
		item->key_column = (unsigned)event->start_mark.column + 1;
	}
	drop_event(event);
	return accepted;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *const *x = a, *const *y = b;
	int order = strcmp((*x)->key, (*y)->key);

	return order ? order : (*x > *y) - (*x < *y);
}

static void index_mapping(struct yaml_node *node)
{
	node->by_key = xcalloc(node->n_items + 1, sizeof(struct yaml_node *));
	for (size_t i = 0; i < node->n_items; i++)
		node->by_key[i] = &node->items[i];
	qsort(node->by_key, node->n_items, sizeof(struct yaml_node *), compare_keys);
	for (size_t i = 1; i < node->n_items; i++)
		node->by_key[i]->is_repeated = strcmp(node->by_key[i - 1]->key, node->by_key[i]->key) == 0;
}

static bool build_mapping(struct builder *builder, unsigned depth, struct yaml_node *node)
{
	yaml_event_t event;

	for (;;) {
		struct yaml_node item = {0};

		if (!next_event(builder, &event))
			return false;
		if (event.type == YAML_MAPPING_END_EVENT) {
			drop_event(&event);
			index_mapping(node);
			return true;
		}
		if (!build_key(builder, &event, depth + 1, &item))
			return false;
		if (!next_event(builder, &event)) {
			*array_append(&node->items, &node->n_items) = item;
			return false;
		}
		if (!build_item(builder, &event, depth + 1, node, item))
			return false;
	}
}

/* Make the node that begins with this event, which is consumed. */
static bool build_node(struct builder *builder, yaml_event_t *event, unsigned depth, struct yaml_node *node)
{
	yaml_event_type_t type = event->type;
	bool accepted = accept_event(builder, event, depth);

	node->line = (unsigned)event->start_mark.line + 1;
	node->column = (unsigned)event->start_mark.column + 1;
	if (accepted && type == YAML_SCALAR_EVENT)
		node->text = take_text(event);
	drop_event(event);
	if (!accepted || type == YAML_SCALAR_EVENT)
		return accepted;
	node->kind = type == YAML_SEQUENCE_START_EVENT ? YAML_LIST : YAML_MAPPING;
	return node->kind == YAML_LIST ? build_list(builder, depth, node)
				       : build_mapping(builder, depth, node);
}

/*
 * Read one event that must be there; true if it is of that type. Its end, if `else_sentence` fits, is a
 * finding.
 */
static bool expect_event(struct builder *builder, yaml_event_type_t type, const char *else_sentence)
{
	yaml_event_t event;
	bool expected;

	if (!next_event(builder, &event))
		return false;
	expected = event.type == type;
	if (!expected)
		add_at_mark(builder, &event.start_mark, else_sentence);
	drop_event(&event);
	return expected;
}

static bool build_document(struct builder *builder, struct yaml_node *root)
{
	yaml_event_t event;

	return expect_event(builder, YAML_STREAM_START_EVENT, "not YAML") &&
	       expect_event(builder, YAML_DOCUMENT_START_EVENT, "the file is empty") &&
	       next_event(builder, &event) && build_node(builder, &event, 1, root) &&
	       expect_event(builder, YAML_DOCUMENT_END_EVENT, "not YAML") &&
	       expect_event(builder, YAML_STREAM_END_EVENT, "a second document; one file is one gateway");
}

/* libyaml's two input buffers hold the file's text, keys and all; it frees them as they are. */
static void delete_parser(yaml_parser_t *parser)
{
	explicit_bzero(parser->raw_buffer.start, (size_t)(parser->raw_buffer.end - parser->raw_buffer.start));
	explicit_bzero(parser->buffer.start, (size_t)(parser->buffer.end - parser->buffer.start));
	yaml_parser_delete(parser);
}

struct yaml_node *yaml_tree_parse(const char *text, size_t length_bytes, struct report *report)
{
	struct builder builder = {.text = text, .length_bytes = length_bytes, .report = report};
	struct yaml_node *root;
	bool built;

	if (length_bytes > YAML_BYTES_MAX) {
		report_add(report, "", "the file is longer than %u bytes", YAML_BYTES_MAX);
		return NULL;
	}
	if (!yaml_parser_initialize(&builder.parser))
		abort();
	yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, length_bytes);
	root = xcalloc(1, sizeof(*root));
	built = build_document(&builder, root);
	delete_parser(&builder.parser);
	if (built)
		return root;
	yaml_tree_free(root);
	return NULL;
}

static void wipe_text(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void free_contents(struct yaml_node *node)
{
	for (size_t i = 0; i < node->n_items; i++)
		free_contents(&node->items[i]);
	wipe_text(node->key);
	wipe_text(node->text);
	free(node->items);
	free(node->by_key);
}

void yaml_tree_free(struct yaml_node *root)
{
	if (!root)
		return;
	free_contents(root);
	free(root);
}

const struct yaml_node *yaml_node_find(const struct yaml_node *mapping, const char *key)
{
	size_t low = 0, high = mapping->kind == YAML_MAPPING ? mapping->n_items : 0;
	size_t end = high;

	/* The first of the sorted items that is not less than key. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(mapping->by_key[middle]->key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < end && strcmp(mapping->by_key[low]->key, key) == 0 ? mapping->by_key[low] : NULL;
}

static const struct yaml_node *find_index(const struct yaml_node *list, const char *digits)
{
	size_t index = strtoul(digits, NULL, 10);

	return list->kind == YAML_LIST && index < list->n_items ? &list->items[index] : NULL;
}

const struct yaml_node *yaml_node_find_path(const struct yaml_node *root, const char *path)
{
	const struct yaml_node *found = root;

	for (const struct yaml_node *next = root; next && *path;) {
		char segment[PATH_SEGMENT_MAX];
		size_t length = strcspn(path + 1, ".[") + 1;

		if (length >= sizeof(segment))
			break;
		memcpy(segment, path, length);
		segment[length] = '\0';
		if (*path == '[')
			next = find_index(next, segment + 1);
		else
			next = yaml_node_find(next, *path == '.' ? segment + 1 : segment);
		found = next ? next : found;
		path += length;
	}
	return found;
}
