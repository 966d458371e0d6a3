/*
 * A YAML file as a tree of nodes that know their line and column. libyaml is used in yaml.c and nowhere else.
 *
 * Called by control code. yaml_tree_parse makes the tree, yaml_tree_free wipes and frees it: a scalar may be
 * a key. (libyaml exports a yaml_free that it means for itself; ours must not take its place.)
 * Limits: one document; no anchors, aliases or tags; YAML_*_MAX. Where libyaml grows a scalar, its shorter
 * beginning stays in freed memory; a key in a file of its own (`key_file`) never passes through here.
 */
#ifndef CULVERT_CONFIG_YAML_H
#define CULVERT_CONFIG_YAML_H

#include "base/report.h"

#include <stdbool.h>
#include <stddef.h>

#define YAML_DEPTH_MAX 16
/* 100,000 tunnels are 57 MB and 5.8 million nodes, keys counted: 200,000 SAs and as many policies. */
#define YAML_BYTES_MAX (128u << 20)
#define YAML_NODES_MAX (8u << 20)

enum yaml_kind {
	YAML_SCALAR,
	YAML_LIST,
	YAML_MAPPING,
};

/* A value, with its key if it is in a mapping. Lines and columns count from 1. */
struct yaml_node {
	enum yaml_kind kind;
	unsigned line;
	unsigned column;
	unsigned key_line;
	unsigned key_column;
	bool is_repeated;        /* an item before this one has the same key */
	char *key;               /* NULL outside a mapping */
	char *text;              /* YAML_SCALAR: without NUL inside; "" for a value left out */
	struct yaml_node *items; /* in the file's order */
	size_t n_items;
	struct yaml_node **by_key; /* YAML_MAPPING: the items, sorted */
};

/* Parse text. Returns the root, or NULL after a finding. Owned by the caller: yaml_tree_free. */
struct yaml_node *yaml_tree_parse(const char *text, size_t length_bytes, struct report *report);
void yaml_tree_free(struct yaml_node *root);

/* The value of that key, the first one if the key is given twice; NULL if there is none. O(log n). */
const struct yaml_node *yaml_node_find(const struct yaml_node *mapping, const char *key);

/*
 * The node that a finding's path (`sas.hq.key`, `policies[2].sas[0]`) names, or the nearest one above it
 * that is in the file.
 */
const struct yaml_node *yaml_node_find_path(const struct yaml_node *root, const char *path);

#endif
