#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/report.h"
#include "config/load.h"
#include "config/yaml.h"

static int text_read(struct document *document, const char *path, size_t *length, struct err *err)
{
	bool is_input = strcmp(path, "-") == 0;
	FILE *file = is_input ? stdin : fopen(path, "re");
	int ret = 0;

	if (!file)
		return err_set(err, errno, "%s: %s", path, strerror(errno));
	/* Nothing of a key stays behind in the stream's buffer. */
	if (!is_input)
		setvbuf(file, NULL, _IONBF, 0);
	document->text = xcalloc(DOCUMENT_BYTES_MAX + 1, 1);
	*length = fread(document->text, 1, DOCUMENT_BYTES_MAX + 1, file);
	if (ferror(file))
		ret = err_set(err, errno, "%s: %s", path, strerror(errno));
	else if (*length > DOCUMENT_BYTES_MAX)
		ret = err_set(err, EFBIG,
			"%s: longer than %zu bytes; `culvertctl apply` takes a whole configuration of any "
			"size",
			path, DOCUMENT_BYTES_MAX);
	if (!is_input)
		fclose(file);
	return ret;
}

int document_read(struct document *document, const char *path, struct err *err)
{
	struct report report;
	size_t length = 0;
	int ret;

	*document = (struct document){.name = strcmp(path, "-") == 0 ? "standard input" : path};
	ret = text_read(document, path, &length, err);
	if (ret != 0)
		return ret;
	report_init(&report);
	document->root = yaml_tree_parse(document->text, length, &report);
	config_report_print(stderr, document->name, &report);
	report_fini(&report);
	return document->root ? 0 : err_set(err, EINVAL, "%s can't be read", document->name);
}

void document_close(struct document *document)
{
	yaml_tree_free(document->root);
	if (document->text)
		explicit_bzero(document->text, DOCUMENT_BYTES_MAX + 1);
	free(document->text);
	*document = (struct document){.name = NULL};
}

static json_t *node_json(const struct document *document, const struct yaml_node *node, struct err *err);

/* Put one item where it belongs. 0, or -EINVAL with err set. */
static int item_put(
	const struct document *document, json_t *parent, const struct yaml_node *item, struct err *err)
{
	json_t *value = node_json(document, item, err);

	if (!value)
		return -EINVAL;
	if (!json_is_object(parent))
		return json_array_append_new(parent, value) == 0 ? 0 : -EINVAL;
	if (!json_object_get(parent, item->key))
		return json_object_set_new(parent, item->key, value) == 0 ? 0 : -EINVAL;
	json_decref(value);
	return err_set(err, EINVAL, "%s:%u:%u: the key '%s' stands twice", document->name, item->key_line,
		item->key_column, item->key);
}

static json_t *node_json(const struct document *document, const struct yaml_node *node, struct err *err)
{
	json_t *json;

	if (node->kind == YAML_SCALAR)
		return json_string(node->text);
	json = node->kind == YAML_LIST ? json_array() : json_object();
	for (size_t i = 0; i < node->n_items; i++)
		if (item_put(document, json, &node->items[i], err) != 0) {
			json_decref(json);
			return NULL;
		}
	return json;
}

json_t *document_json(const struct document *document, struct err *err)
{
	return node_json(document, document->root, err);
}

void document_finding_print(
	const struct document *document, const char *within, const char *path, const char *text)
{
	size_t length = strlen(within);
	const char *inner = strncmp(path, within, length) == 0 ? path + length : path;
	const struct yaml_node *node;

	node = yaml_node_find_path(document->root, inner);
	fprintf(stderr, "%s:%u:%u: %s%s%s\n", document->name, node->line, node->column, path,
		path[0] ? ": " : "", text);
}
