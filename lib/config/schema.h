/*
 * What a configuration may say: one table of keys. It drives reading, checking, the suggestions for
 * mistyped keys, and docs/configuration.md.
 *
 * Constant data. read.c reads a file by it, tools/docs prints it. To add a key, add its row and its field.
 * Limits: a mapping has at most SCHEMA_KEYS_MAX keys.
 */
#ifndef CULVERT_CONFIG_SCHEMA_H
#define CULVERT_CONFIG_SCHEMA_H

#include "config/yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEMA_KEYS_MAX 48

struct reader;
struct schema_key;
struct schema_result;

/* How many values of the type a key takes, and in which shape. */
enum schema_shape {
	SHAPE_ONE,
	SHAPE_LIST,
	SHAPE_ONE_OR_LIST,
	SHAPE_OBJECT,       /* a mapping by .object */
	SHAPE_OBJECT_LIST,  /* a list of such mappings */
	SHAPE_OBJECT_NAMES, /* a mapping from names to such mappings */
};

struct schema_choice {
	const char *name;
	int value;
};

struct schema_type {
	const char *text; /* for the documentation: `an address` */
	/* Read the scalar into the field; false after a finding, with the field untouched. */
	bool (*read)(struct reader *reader, const struct schema_key *key, const struct yaml_node *node,
		void *field);
};

struct schema_key {
	const char *name;
	const char *doc;                /* one sentence, Markdown */
	const struct schema_type *type; /* of one value; NULL for objects */
	enum schema_shape shape;
	const struct schema *object;
	size_t offset;       /* of the field in the object, or of the pointer to several values */
	size_t bytes;        /* of one value */
	size_t count_offset; /* of the number of values */
	uint64_t min;        /* of a number, and of both ends of a range */
	uint64_t max;
	const char *unit;
	bool or_zero;                        /* 0 is allowed below min */
	const struct schema_choice *choices; /* ends with a NULL name */
	size_t items_min;
	size_t items_max; /* 0: no limit */
	bool required;
	const char *fallback; /* what stands for an absent key, read as if it were in the file; lists: a, b */
	const char *absent;   /* what an absent key means, where no text in the file says so */
};

struct schema {
	const char *title;
	const struct schema_key *keys;
	size_t n_keys;
	size_t name_offset;         /* SHAPE_OBJECT_NAMES: the field of the name */
	size_t name_max;            /* its longest length */
	void (*init)(void *object); /* may be NULL: the object is zeroed */
	/* What the keys of one object say about each other. May be NULL. */
	void (*finish)(struct reader *reader, const struct schema_result *result, void *object);
};

/* The schema of the whole file; the object is a struct gateway. */
const struct schema *schema_gateway(void);
/* That of `sas` and `policies` alone. */
const struct schema *schema_part(void);

#endif
